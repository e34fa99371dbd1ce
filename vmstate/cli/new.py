"""``vmstate new``: write the stream that a QEMU with some command line would send."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vmstate.cli.report import Report
from vmstate.cli.with_option import add_with, command_line
from vmstate.outputs import save
from vmstate.simulate.migration import Sent, send

_EPILOG = """\
The machine is as it is after a reset; all pages of guest memory are zero, so neither firmware nor a guest
runs in it."""

EXAMPLES = (
    ("what a fresh QEMU 7.2 would send", "vmstate new 'qemu-7.2 -machine pseries-7.2 -m 256' -o fresh.mig"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("source", metavar="SOURCE", help="e.g. 'qemu-7.2 -machine pseries-7.2 -m 256'")
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help='the file to write; "-" is the standard output'
    )
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """Simulate a source and write its stream; the status is 1 if it does not start or does not save."""
    source = command_line(options.source, options)
    sent = send(source)
    written = None if sent.stream is None else save(options.output, [sent.stream])
    result = {
        "source": source.text,
        "release": None if sent.release is None else str(sent.release),
        "bytes": written,
        "source_messages": sent.messages,
        "decided_by": None if sent.refused is None else sent.refused.as_json(),
    }
    fine = written is not None
    return Report(_lines(sent, written), result, ok=fine, output_taken=options.output == "-")


def _lines(sent: Sent, written: int | None) -> Iterator[str]:
    if written is not None:
        yield f"{written} bytes written"
    else:
        yield "the source does not start" if sent.instance is None else "the source sends no stream"
    yield from (f"  source: {line}" for line in sent.messages)
