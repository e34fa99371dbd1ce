"""``vmstate describe``: the descriptions in a QEMU program, read without running it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vmstate.binaries import Layouts, schema_of_binary
from vmstate.cli.report import Report
from vmstate.cli.schema_text import description_lines
from vmstate.cli.table_text import columns, not_known
from vmstate.cli.terminal import Style
from vmstate.dataclass import replace
from vmstate.errors import Finding, Place, Severity, quantity
from vmstate.outputs import save_text
from vmstate.schema import Description, Schema, schema_to_json

EXAMPLES = (
    ("what a program has", "vmstate describe build/qemu-system-ppc64"),
    (
        "one description, checked with a stream",
        "vmstate describe build/qemu-system-ppc64 cpu --check guest.mig",
    ),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "binary", metavar="BINARY", help="a qemu-system program, stripped or not, for any host"
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="show these descriptions: cpu, spapr, …")
    parser.add_argument(
        *("-m", "--module"),
        action="append",
        default=[],
        metavar="PATH",
        help="a module (.so) of this QEMU, or a folder of them; may be repeated",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write the schema to FILE (JSON)")
    parser.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="STREAM",
        help="compare with what a stream's vmdesc says was sent; may be repeated",
    )


def run(options: argparse.Namespace) -> Report:
    """Read the program, and show a summary or the descriptions of these names."""
    schema, layouts = schema_of_binary(options.binary, modules_of(options.module))
    chosen = [pair for name in options.names for pair in _named(schema, name)]
    if options.output:
        save_text(options.output, schema_to_json(schema))
    findings, checked = _check(schema, options.check)
    return Report(
        _lines(schema, layouts, chosen, checked),
        lambda: {"host": layouts.host, "schema": json.loads(schema_to_json(_only(schema, chosen)))},
        findings,
    )


def modules_of(given: list[str]) -> list[Path]:
    """Return the modules: files as given, and the .so files of folders."""
    found: list[Path] = []
    for path in map(Path, given):
        found += sorted(path.glob("*.so")) if path.is_dir() else [path]
    return found


def _named(schema: Schema, name: str) -> list[tuple[str, Description]]:
    found = [(label, one) for label, one in schema.descriptions.items() if name in {label, one.name}]
    found = found or [(one.name, one) for one in every(schema) if one.name == name][:1]
    if not found:
        raise not_known("description", name, sorted({one.name for one in every(schema)}))
    return found


def every(schema: Schema) -> Iterator[Description]:
    """Yield each description once, also those of structs and subsections."""
    seen: set[int] = set()
    queue = list(schema.descriptions.values())
    while queue:
        one = queue.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            queue += one.inner()


def _only(schema: Schema, chosen: list[tuple[str, Description]]) -> Schema:
    return replace(schema, descriptions=dict(chosen)) if chosen else schema


def _check(schema: Schema, streams: list[str]) -> tuple[list[Finding], list[tuple[str, ...]]]:
    """Compare streams; return the differences, and a row of counts for each stream."""
    from vmstate.front.opening import open_stream_file
    from vmstate.schema.fitting_streams import fits

    findings: list[Finding] = []
    rows: list[tuple[str, ...]] = []
    for path in streams:
        with open_stream_file(path) as opened:
            found = list(fits(schema, opened.stream))
        for section in found:
            for one in section.misfits:
                place = Place(section=section.idstr, instance=section.instance_id, path=one.path)
                findings.append(Finding("describe.differs", Severity.ERROR, f"{path}: {one.message}", place))
        missing = sorted({one.name for one in found if one.described and one.label is None})
        covered = sum(one.label is not None for one in found)
        by_hand = sum(not one.described for one in found)
        rows.append(
            (
                path,
                quantity(len(found), "section"),
                f"{covered} described alike" if not any(s.misfits for s in found) else "differs",
                f"{by_hand} not described by the stream" if by_hand else "",
                f"not in the program: {', '.join(missing)}" if missing else "",
            )
        )
    return findings, rows


def _lines(
    schema: Schema, layouts: Layouts, chosen: list[tuple[str, Description]], checked: list[tuple[str, ...]]
) -> Iterator[str]:
    style = Style.of(sys.stdout)
    if chosen:
        for label, one in chosen:
            yield from description_lines(one, label, style.paint)
    else:
        yield from _summary(schema, layouts, style)
    if checked:
        yield ""
        yield from columns(checked)


def _summary(schema: Schema, layouts: Layouts, style: Style) -> Iterator[str]:
    all_of_them = list(every(schema))
    fields = [one for vmsd in all_of_them for one in vmsd.fields]
    yield style.paint("bold", f"{schema.source} for {layouts.host} hosts")
    field, outer = layouts.field, layouts.description
    by_hand = sorted({f.kind or "?" for f in fields if f.size is None and f.vmsd is None})
    uncounted = sum("" in {f.count, f.size} for f in fields)
    yield from columns(
        [
            ("descriptions", str(len(all_of_them))),
            ("of them sections or structs", str(len(schema.descriptions))),
            ("fields", str(len(fields))),
            ("a VMStateField", quantity(8 * field.stride, "byte")),
            ("a VMStateDescription", f"{quantity(8 * outer.words, 'byte')}, {len(outer.hooks)} hooks"),
            ("types of devices", ", ".join(by_hand) or "none"),
            ("counts that are not sent", str(uncounted)),
        ],
        "  ",
    )
    for note in schema.notes:
        yield f"  note: {note}"
    yield ""
    yield "names (vmstate describe BINARY NAME shows one):"
    yield from _wrapped(list(schema.descriptions))


def _wrapped(words: list[str], width: int = 100) -> Iterator[str]:
    line = " "
    for word in words:
        if len(line) + len(word) > width:
            yield line
            line = " "
        line += f" {word}"
    yield line
