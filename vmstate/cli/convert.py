"""``vmstate convert``: change a stream so that a destination accepts it, and say what is lost with it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vmstate.cli.common_options import add_limit
from vmstate.cli.given_record import given_record
from vmstate.cli.not_judged import not_judged
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with, command_line
from vmstate.conversion.change import Change, Notice
from vmstate.conversion.converting import Conversion, Converter
from vmstate.conversion.destination import Destination
from vmstate.conversion.recorded import Recorded
from vmstate.conversion.simulated import Simulated
from vmstate.dataclass import dataclass, field
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, Finding, Severity
from vmstate.front.known import KnownDeclarations, known_meanings
from vmstate.front.opening import open_stream_file
from vmstate.front.stream_file import StreamFile
from vmstate.outputs import save
from vmstate.records import machine_of, read_record

if TYPE_CHECKING:
    from vmstate.qemu import RealVerdict

_EPILOG = """\
The stream is loaded in a simulated destination, or compared with a record of any QEMU; what the check that
decided refuses is changed, and the stream is loaded again, until it is accepted.  Each change says what is
lost with it and what a running guest notices, the worst first.  Nothing is written without -o, nor what the
destination would still refuse.  A record has no code of QEMU, which may refuse what the record does not:
--against asks the program."""

EXAMPLES = (
    (
        "what would have to change, and what is lost",
        "vmstate convert guest.mig --to 'qemu-7.2 -nodefaults -machine pseries-6.2 -m 256'",
    ),
    (
        "change it",
        "vmstate convert guest.mig --to 'qemu-7.2 -nodefaults -machine pseries-6.2 -m 256' -o converted.mig",
    ),
    (
        "only if the guest notices nothing",
        "vmstate convert guest.mig --to 'qemu-7.2 -nodefaults -m 256' --at-most nothing -o converted.mig",
    ),
    (
        "for a machine of any kind, as it was recorded",
        "vmstate convert guest.mig --to records/7.2:pc-q35-7.2 --against qemu-system-x86_64 -o converted.mig",
    ),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "--to",
        metavar="COMMAND",
        required=True,
        help="the destination, e.g. 'qemu-11.1 -nodefaults -machine pseries-10.0 -m 256'; or the folder of a "
        "record, DIR or DIR:TYPE, for a machine of any kind (no hooks are run)",
    )
    parser.add_argument("-o", "--output", metavar="OUT", help='the file to write; "-" is the standard output')
    parser.add_argument("--bare", action="store_true", help="write the bare stream, without its containers")
    parser.add_argument(
        "--at-most",
        choices=[notice.word for notice in Notice],
        default=Notice.GUEST.word,
        help="the worst that a running guest may notice: nothing; later, when it asks again or boots; "
        "a device that changes or is reset; guest, which may fail (default)",
    )
    parser.add_argument(
        "--against",
        metavar="PROGRAM",
        help="a real QEMU, started with the arguments of --to or of its record, which loads the stream as it "
        "was and as it is changed",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="N", help="seconds that QEMU may take (default: 60)"
    )
    add_with(parser)
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Convert the stream, let a real QEMU load it if requested, and write it if requested."""
    given = open_stream_file(options.stream, limit=options.limit)
    to = _destination(options, given)
    converter = Converter(to.destination, known_meanings(), Notice[options.at_most.upper()])
    conversion = converter.convert(given.contents)
    real = _Real(options, to, given, conversion)
    written = None
    if options.output is not None and conversion.accepted and real.accepts:
        chunks = iter([conversion.contents.stream.data])
        written = save(options.output, chunks if options.bare else given.opened.rewrap(chunks))
    lines = _lines(conversion, to.destination.promise, real, written)
    result = {
        "destination": to.destination.text,
        **to.about,
        **conversion.as_json(),
        "real": real.as_json(),
        "bytes": written,
    }
    if conversion.unknown is not None:
        return not_judged([conversion.unknown], lines, result)
    return Report(
        lines,
        result,
        (*given.findings, *conversion.findings, *real.findings()),
        ok=conversion.accepted and real.accepts,
        output_taken=options.output == "-",
    )


@dataclass
class _To:
    """A destination, and the real one that ``--against`` starts: its release and arguments.

    ``about``: what the JSON result says of it.
    """

    destination: Destination
    release: Release
    arguments: Sequence[str]
    about: dict[str, object] = field(default_factory=dict)


def _destination(options: argparse.Namespace, given: StreamFile) -> _To:
    named = given_record(options.to)
    if named is None:
        configuration = command_line(options.to, options)
        words = shlex.split(" ".join(option.quoted for option in configuration.options))
        return _To(Simulated(configuration), configuration.release, words)
    folder, machine = named
    record = read_record(folder)
    destination = Recorded(record, machine_of(given.contents.stream, machine), KnownDeclarations())
    arguments = record.command_line(destination.machine_type)
    about: dict[str, object] = {"machine": destination.machine_type, "hooks": "not run"}
    return _To(destination, Release.parse(record.release), arguments, about)


class _Real:
    """The verdicts of a real QEMU on the stream as it was and as it is changed; none if none is asked."""

    def __init__(
        self, options: argparse.Namespace, to: _To, given: StreamFile, conversion: Conversion
    ) -> None:
        self.before: RealVerdict | None = None
        self.after: RealVerdict | None = None
        self.release = ""
        if options.against is None:
            return
        from vmstate.qemu import QemuCommand, identify, replay

        release = identify(options.against).release
        if release.line != to.release.line:
            raise ConfigurationError(f"--against is QEMU {release}, --to is QEMU {to.release}")
        self.release = str(release)
        command = QemuCommand.parse([options.against, *to.arguments])
        self.before = replay(given.data, command, timeout=options.timeout)
        if conversion.steps:
            changed = conversion.contents.stream.data
            self.after = replay(changed, command, timeout=options.timeout)

    @property
    def last(self) -> RealVerdict | None:
        """Its verdict on the stream as it is now."""
        return self.after or self.before

    @property
    def accepts(self) -> bool:
        """False if it refuses the stream as it is now."""
        return self.last is None or self.last.outcome == "accept"

    def findings(self) -> Iterator[Finding]:
        """Yield why its verdict is not good enough."""
        if self.last is not None and not self.accepts:
            text = f"real QEMU {self.release} says {self.last.outcome}: {'; '.join(self.last.messages[-2:])}"
            yield Finding("convert.real", Severity.ERROR, text)

    def lines(self) -> Iterator[str]:
        """Yield what it says."""
        if self.before is not None:
            after = "" if self.after is None else f", and changed: {self.after.outcome}"
            yield f"real QEMU {self.release}, the stream as it was: {self.before.outcome}{after}"

    def as_json(self) -> dict[str, object] | None:
        """Return both verdicts; None if it was not asked."""
        if self.before is None:
            return None
        after = None if self.after is None else self.after.as_json()
        return {"release": self.release, "before": self.before.as_json(), "after": after}


def _lines(conversion: Conversion, promise: str, real: _Real, written: int | None) -> Iterator[str]:
    style = Style.of(sys.stdout)
    if not conversion.steps and conversion.accepted:
        yield style.paint("green", promise.format(" as it is"))
    elif conversion.before.outcome == "accept":
        yield "as it is: accept, but the guest would stall"
    else:
        yield f"as it is: {_last(conversion)}"
    for number, step in enumerate(conversion.ranked(), 1):
        yield from _change(number, step.change, style)
        for other in step.others:
            yield f"     or: {other.what} ({other.notice.means})"
    if conversion.steps and conversion.accepted:
        count = len(conversion.steps)
        these = "this change" if count == 1 else f"these {count} changes"
        yield style.paint("green", promise.format(f" with {these}"))
    if conversion.unknown is not None:
        yield style.paint("red", f"cannot judge: {conversion.unmended or 'the load is not modelled'}")
    elif conversion.unmended:
        yield style.paint("red", f"no change of the stream mends this: {conversion.unmended}")
        yield from (f"  destination: {line}" for line in conversion.after.messages)
    yield from real.lines()
    if written is not None:
        yield f"{written} bytes written"


def _last(conversion: Conversion) -> str:
    messages = conversion.before.messages
    decided = conversion.before.decided_by
    said = next((line for line in messages if not line.startswith("warning: ")), "")
    return f"{conversion.before.outcome}" + (f", by {decided.rule}: {said}" if decided is not None else "")


def _change(number: int, change: Change, style: Style) -> Iterator[str]:
    yield style.paint("bold", f"{number:3}. {change.what}")
    yield f"     lost: {change.lost}"
    yield f"     {change.notice.means}"
    for edit in change.edits:
        if len(edit) <= _WIDEST:
            yield f"     vmstate edit {_argument(edit)}"


def _argument(edit: str) -> str:
    """Return a change as ``vmstate edit`` takes it."""
    word = {"-": "--remove ", "+": "--add "}.get(edit[0], "")
    return word + shlex.quote(edit[1:] if word else edit)


_WIDEST = 200
