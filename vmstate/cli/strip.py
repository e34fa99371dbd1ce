"""``vmstate strip``: remove guest memory from a stream."""

from __future__ import annotations

import argparse

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.errors import quantity
from vmstate.front.memory_image import GuestMemory
from vmstate.front.opening import open_stream_file
from vmstate.front.rings import pages_of, queues
from vmstate.outputs import save
from vmstate.stream.strip import strip

EXAMPLES = (
    ("a small stream to attach to a report", "vmstate strip guest.mig -o small.mig"),
    ("one that a destination loads like the original", "vmstate strip guest.mig --keep-rings -o small.mig"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help='the file to write; "-" is the standard output'
    )
    parser.add_argument("--bare", action="store_true", help="write the bare stream, without its containers")
    parser.add_argument(
        "--keep-rings",
        action="store_true",
        help="keep the pages with the guest's virtio queues, which devices read when they are loaded",
    )
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Write the stream with zero pages only, in the same containers."""
    given = open_stream_file(options.stream, limit=options.limit)
    found = list(queues(given.contents))
    keep = pages_of(found, GuestMemory(given)) if found and options.keep_rings else {}
    edit = strip(given.stream, keep)
    chunks = edit.chunks() if options.bare else given.opened.rewrap(edit.chunks())
    written = save(options.output, chunks)
    size, kept = len(edit), sum(map(len, keep.values()))
    result = {"stream_bytes": len(given.stream.data), "stripped_bytes": size, "bytes": written}
    result |= {"queues": len(found), "kept_pages": kept}
    lines = [
        f"{len(given.stream.data)} bytes of stream, {size} without guest memory; {written} bytes written"
    ]
    if kept:
        lines.append(f"{quantity(kept, 'page')} kept, of {quantity(len(found), 'virtio queue')}")
    elif found:
        lines.append(
            f"the guest's {quantity(len(found), 'virtio queue')} went with its memory: a destination refuses"
            " or breaks their devices (--keep-rings keeps them)"
        )
    return Report(lines, result, given.findings, output_taken=options.output == "-")
