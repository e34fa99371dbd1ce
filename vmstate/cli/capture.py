"""``vmstate capture``: save a stream from a real QEMU."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.grammar import CommandParser
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError
from vmstate.outputs import save
from vmstate.qemu import QemuCommand, capture
from vmstate.stream import open_stream
from vmstate.stream.opening import open_source
from vmstate.stream.strip import strip

EXAMPLES = (
    ("the state of a machine that never ran", "vmstate capture -o guest.mig -- qemu-system-ppc64 -S -m 256"),
    (
        "after five seconds, without guest memory",
        "vmstate capture --seconds 5 --strip -o guest.mig -- qemu-system-ppc64 -m 256",
    ),
)


def configure(parser: CommandParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help='the file to write; "-" is the standard output'
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, metavar="N", help="let the guest run for N seconds first"
    )
    parser.add_argument(
        "--strip", action="store_true", help="leave guest memory out: every page becomes a zero page"
    )
    parser.add_argument(
        "--capability",
        action="append",
        default=[],
        metavar="NAME",
        help="switch on a migration capability; with multifd, OUT is a new folder, with a file a channel",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a migration parameter: multifd-channels=4, multifd-compression=zstd",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="N", help="seconds that QEMU may take (default: 60)"
    )
    parser.add_program("qemu", "the command line of QEMU")


def run(options: argparse.Namespace) -> Report:
    """Capture a stream, strip it if requested, and show what QEMU printed."""
    command = QemuCommand.parse(options.qemu)
    if options.seconds < 0 or options.timeout <= 0:
        raise ConfigurationError("--seconds must not be negative, and --timeout must be positive")
    plain = not options.strip and options.output != "-"
    # QEMU writes straight to the output file if possible, otherwise to a temporary file.
    with tempfile.TemporaryDirectory(prefix="vmstate-") as directory:
        path = Path(options.output) if plain else Path(directory) / "stream"
        messages = capture(
            command,
            path,
            options.seconds,
            capabilities=options.capability,
            parameters=dict(map(_parameter, options.parameter)),
            timeout=options.timeout,
        )
        if not plain:
            stream = open_stream(open_source(path).data)
            save(options.output, strip(stream).chunks() if options.strip else [stream.data])
        size = sum(one.stat().st_size for one in (path.iterdir() if path.is_dir() else [path]))
    result = {"output": options.output, "captured_bytes": size, "messages": list(messages)}
    return Report(_lines(messages, size), result, ok=True, output_taken=options.output == "-")


def _parameter(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--parameter {text}: NAME=VALUE is required")
    words: dict[str, object] = {"on": True, "true": True, "off": False, "false": False}
    return name, words.get(value, int(value) if value.isdecimal() else value)


def _lines(messages: tuple[str, ...], size: int) -> Iterator[str]:
    yield from (f"  qemu: {message}" for message in messages)
    yield f"captured {size} bytes"
