"""``vmstate build``: make a stream from the JSON of ``vmstate show --json``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from vmstate.cli.report import Report
from vmstate.containers import Buffer
from vmstate.errors import ConfigurationError, EncodeError
from vmstate.front.building import built, document_of, refers, source_of
from vmstate.front.opening import open_stream_file
from vmstate.front.stream_file import StreamFile
from vmstate.outputs import save
from vmstate.tree.as_json import Json, JsonError

_EPILOG = """\
A document of show --json gives guest memory by its offset and size in the stream that it was made from;
that is opened again, and --from names it if it has moved.  A document of show --json --ram has all."""

EXAMPLES = (
    ("what show guest.mig --json > guest.json wrote", "vmstate build guest.json -o changed.mig"),
    ("the stream it came from has moved", "vmstate build guest.json --from guest.mig -o changed.mig"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("document", metavar="FROM.json", help='the document; "-" is the standard input')
    parser.add_argument(
        "-o", "--output", metavar="OUT", required=True, help='the file to write; "-" is the standard output'
    )
    parser.add_argument("--from", dest="source", metavar="STREAM", help="the stream that the memory is in")
    parser.add_argument("--bare", action="store_true", help="write the bare stream, without its containers")


def run(options: argparse.Namespace) -> Report:
    """Write the stream that the document describes, in the containers of the stream that it refers to."""
    document = _read(options.document)
    source = _source(document, options)
    chunks: Iterable[Buffer] = built(document, source)
    if source is not None and not options.bare:
        chunks = source.opened.rewrap(chunks)
    try:
        written = save(options.output, chunks)
    except (JsonError, EncodeError) as error:
        raise JsonError(f"{_shown(options.document)}: {error}") from None
    findings = () if source is None else source.findings
    line = f"{written} bytes written" + ("" if source is None else f", with the memory of {source.name}")
    result = {"bytes": written, "from": None if source is None else source.name}
    return Report([line], result, findings, ok=True, output_taken=options.output == "-")


def _read(name: str) -> Json:
    shown = _shown(name)
    try:
        text = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return document_of(json.loads(text))
    except ValueError as error:
        raise JsonError(f"{shown}: not JSON: {error}") from None
    except JsonError as error:
        raise JsonError(f"{shown}: {error}") from None


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name


def _source(document: Json, options: argparse.Namespace) -> StreamFile | None:
    """Open the stream that the document refers to; None if it needs none."""
    name = options.source
    if name is None and not refers(document):
        return None
    if name is None:
        name = source_of(document)
    if name is None:
        message = "guest memory is not in the document, nor where it came from: give --from STREAM"
        raise ConfigurationError(message)
    return open_stream_file(name)
