"""``vmstate capture``: let a real QEMU save a stream."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.report import Report
from vmstate.containers import save
from vmstate.errors import ConfigurationError
from vmstate.qemu import QemuCommand, capture
from vmstate.stream import open_stream
from vmstate.stream.strip import strip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help='where the stream goes; "-" is standard output'
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="N", help="let the guest run for so long first"
    )
    parser.add_argument("--strip", action="store_true", help="leave guest memory out: every page a zero page")
    parser.add_argument(
        "--capability",
        action="append",
        default=[],
        metavar="NAME",
        help="a migration capability to switch on",
    )
    parser.add_argument("--timeout", type=float, default=60.0, metavar="N", help="seconds QEMU may take")
    parser.add_argument(
        "qemu", nargs="+", metavar="COMMAND", help="after --: the QEMU command line, its program first"
    )


def run(options: argparse.Namespace) -> Report:
    """Capture, strip if asked to, and tell what QEMU printed."""
    command = QemuCommand.parse(options.qemu)
    if options.seconds < 0 or options.timeout <= 0:
        raise ConfigurationError("--seconds and --timeout are not negative")
    plain = not options.strip and options.output != "-"
    # A stream goes straight to its place where it can; else by way of a file, as QEMU's own might fail.
    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        path = Path(options.output) if plain else Path(directory) / "stream"
        messages = capture(
            command, path, options.seconds, capabilities=options.capability, timeout=options.timeout
        )
        if not plain:
            stream = open_stream(path)
            save(options.output, strip(stream).chunks() if options.strip else [stream.data])
        size = path.stat().st_size
    result = {"output": options.output, "captured_bytes": size, "messages": list(messages)}
    return Report(_lines(messages, size), result, ok=True, output_taken=options.output == "-")


def _lines(messages: tuple[str, ...], size: int) -> Iterator[str]:
    yield from (f"  qemu: {message}" for message in messages)
    yield f"captured {size} bytes"
