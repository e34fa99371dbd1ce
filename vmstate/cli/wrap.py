"""``vmstate wrap``: pack a stream into a container, or into the same containers as another file."""

from __future__ import annotations

import argparse

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.containers import CONTAINERS, Layer, layer, open_input, pieces, rewrap
from vmstate.errors import Finding
from vmstate.outputs import save
from vmstate.stream.opening import open_source

EXAMPLES = (
    ("compress", "vmstate wrap guest.mig --as zstd -o guest.mig.zst"),
    (
        "put an edited stream back into its save image",
        "vmstate wrap edited.mig --like guest.save -o new.save",
    ),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "stream", metavar="STREAM", help='a stream, which is unpacked first; "-" is the standard input'
    )
    how = parser.add_mutually_exclusive_group(required=True)
    kinds = sorted(name for name, entry in CONTAINERS.items() if entry.made and name != "libvirt")
    how.add_argument("--as", dest="kind", choices=["plain", *kinds], help="the container to use")
    how.add_argument(
        "--like",
        metavar="FILE",
        help="use the same containers as this file, including libvirt's header and XML",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help='the file to write; "-" is the standard output'
    )
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Wrap the stream and write it."""
    layers, findings = _layers(options)
    with open_source(options.stream, limit=options.limit) as opened:
        size = save(options.output, rewrap(layers, pieces(opened.data), len(opened.data)))
        findings += opened.findings
        result = {
            "layers": [found.as_json() for found in layers],
            "bytes": size,
            "stream_bytes": len(opened.data),
        }
    around = " in ".join(found.container for found in reversed(layers)) or "plain"
    line = f"{result['stream_bytes']} bytes of stream, {around}: {size} bytes"
    return Report([line], result, findings, output_taken=options.output == "-")


def _layers(options: argparse.Namespace) -> tuple[tuple[Layer, ...], tuple[Finding, ...]]:
    if options.kind is not None:
        return (() if options.kind == "plain" else (layer(options.kind),)), ()
    with open_input(options.like) as pattern:
        return pattern.layers, pattern.findings
