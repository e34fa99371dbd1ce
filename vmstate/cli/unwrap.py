"""``vmstate unwrap``: show the containers of a stream, and unpack it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.cli.terminal import progress
from vmstate.containers import Buffer, Layer, pieces
from vmstate.outputs import save
from vmstate.stream.opening import open_source

_SHOWN = 60


EXAMPLES = (
    ("what is around the stream", "vmstate unwrap guest.mig"),
    ("take it out", "vmstate unwrap guest.mig -o bare.mig"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "file", metavar="FILE", help='a compressed stream or save image; "-" is the standard input'
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT", help='write the bare stream to this file; "-" is the standard output'
    )
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Show the containers; write the stream if requested."""
    with open_source(options.file, limit=options.limit) as opened:
        size = len(opened.data)
        if options.output is not None:
            save(options.output, _with_progress(opened.data))
        layers, findings = opened.layers, opened.findings
    result = {"layers": [layer.as_json() for layer in layers], "stream_bytes": size}
    return Report(_lines(layers, size), result, findings, output_taken=options.output == "-")


def _with_progress(data: memoryview) -> Iterator[Buffer]:
    done = 0
    with progress("writing", len(data)) as tick:
        for piece in pieces(data):
            yield piece
            done += len(piece)
            tick(done)


def _lines(layers: tuple[Layer, ...], size: int) -> Iterator[str]:
    for depth, layer in enumerate(layers):
        facts = ", ".join(
            f"{key} {_short(value)}" for key, value in layer.as_json().items() if key != "container"
        )
        yield f"{'  ' * depth}{layer.container}: {facts}"
    yield f"{'  ' * len(layers)}stream: {size} bytes"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(str(value))} characters)"
