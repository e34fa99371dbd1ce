"""``vmstate strip``: remove guest memory from a stream."""

from __future__ import annotations

import argparse

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.front.opening import open_stream_file
from vmstate.outputs import save
from vmstate.stream.strip import strip

EXAMPLES = (("a small stream to attach to a report", "vmstate strip guest.mig -o small.mig"),)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help='the file to write; "-" is the standard output'
    )
    parser.add_argument("--bare", action="store_true", help="write the bare stream, without its containers")
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Write the stream with zero pages only, in the same containers."""
    given = open_stream_file(options.stream, limit=options.limit)
    edit = strip(given.stream)
    chunks = edit.chunks() if options.bare else given.opened.rewrap(edit.chunks())
    written = save(options.output, chunks)
    size = len(edit)
    result = {"stream_bytes": len(given.stream.data), "stripped_bytes": size, "bytes": written}
    line = f"{len(given.stream.data)} bytes of stream, {size} without guest memory; {written} bytes written"
    return Report([line], result, given.findings, output_taken=options.output == "-")
