"""``vmstate record``: record what each machine type of a QEMU is and sends, or say what changed since."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vmstate.cli.describe import modules_of
from vmstate.cli.grammar import CommandParser
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError, Finding, Place, Severity, quantity
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.machine_recorder import MachineRecorder
from vmstate.records import Record, changes, read_record, write_record
from vmstate.schema import Schema

EXAMPLES = (
    ("all machine types of a QEMU, for git", "vmstate record -o record/7.2 -- qemu-system-ppc64"),
    ("what has changed since", "vmstate record -o record/7.2 --check -- qemu-system-ppc64"),
)


def configure(parser: CommandParser) -> None:
    """Declare the arguments."""
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="the folder of the record")
    parser.add_argument(
        "--machine", action="append", default=[], metavar="PATTERN",
        help="record these machine types (* matches any text); by default all",
    )  # fmt: skip
    parser.add_argument(
        "--check", action="store_true", help="change nothing: say what differs from the record in DIR"
    )
    parser.add_argument(
        "--program", metavar="FILE", help="read the descriptions from this program (default: that of COMMAND)"
    )
    parser.add_argument(
        "-m", "--module", action="append", default=[], metavar="PATH",
        help="a module (.so) of this QEMU, or a folder of them; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="N", help="seconds for each start (default: 60)"
    )
    parser.add_program("qemu", "a QEMU, with options of its own")


def run(options: argparse.Namespace) -> Report:
    """Record, and write or compare."""
    if options.timeout <= 0:
        raise ConfigurationError("--timeout must be positive")
    old = read_record(options.output) if options.check else None
    recorder = MachineRecorder(QemuCommand.parse(options.qemu), timeout=options.timeout)
    schema, note = _schema(options, recorder)
    new = recorder.record(recorder.names(options.machine), schema)
    if old is not None:
        return _checked(old, new, options)
    changed = write_record(new, options.output)
    result = {"output": options.output, "machines": list(new.machines), "changed": changed}
    return Report(_lines(new, changed, options.output, note), result, ok=True)


def _schema(options: argparse.Namespace, recorder: MachineRecorder) -> tuple[Schema | None, str]:
    """Read the program's descriptions; None, and why, if it is a script or not understood."""
    from vmstate.binaries import schema_of_binary

    try:
        return schema_of_binary(options.program or recorder.binary.path, modules_of(options.module))[0], ""
    except ConfigurationError as why:
        if options.program:
            raise
        return None, f"no descriptions of the program: {why}"


def _checked(old: Record, new: Record, options: argparse.Namespace) -> Report:
    known = {name: one for name, one in old.machines.items() if not options.machine or name in new.machines}
    found = list(changes(Record(old.head, known, old.schema_text), new))
    findings = [Finding("record.changed", Severity.ERROR, what, Place(path=where)) for where, what in found]
    lines = [f"{quantity(len(new.machines), 'machine type')} compared with {options.output}"]
    return Report(lines, {"changed": [list(pair) for pair in found]}, findings)


def _lines(record: Record, changed: list[str], folder: str, note: str) -> Iterator[str]:
    if note:
        yield f"note: {note}"
    for name, one in record.machines.items():
        if one.stream is None:
            yield f"{name}: refused: {'; '.join(one.refused)}"
        else:
            sections, blocks = one.about["sections"], one.about["blocks"]
            counts = f"{quantity(len(sections), 'section')}, {quantity(len(blocks), 'RAM block')}"
            unsteady = one.about["unsteady"]
            yield f"{name}: {counts}" + (f"; zero, as it varies: {', '.join(unsteady)}" if unsteady else "")
    yield f"{folder}: {quantity(len(changed), 'file')} written"
