"""``vmstate show``: show the tree of a stream, or a part of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.common_options import add_limit, not_negative
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.errors import ConfigurationError, naming
from vmstate.front.known import known_meanings
from vmstate.front.opening import open_stream_file, open_without_pages
from vmstate.front.stream_file import StreamFile
from vmstate.front.tree_text import lines_of, places_of
from vmstate.outputs import save_text
from vmstate.stream.constants import SectionType
from vmstate.tree.as_json import node_json
from vmstate.tree.flat import flat_lines
from vmstate.tree.hexdump import hexdump
from vmstate.tree.meanings import may_have_parts, names_with_parts, parts_of
from vmstate.tree.paths import Place, below, owner_of

_MOST_ELEMENTS = 64

EXAMPLES = (
    ("all sections and fields", "vmstate show guest.mig"),
    ("a subsection, and a field", "vmstate show guest.mig 'cpu[0]/compat' spapr.tb"),
    ("every byte of a section, with its meaning", "vmstate show guest.mig --hex timer"),
    ("a page with a map of the bytes", "vmstate show guest.mig --html guest.html"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="show only this: cpu[0], cpu[0]/compat.compat_pvr, nip, '*pvr*', …",
    )
    parser.add_argument(
        "--flat",
        action="store_true",
        help="show one line for each field, with its whole path, as edit takes it",
    )
    parser.add_argument(
        "--elements",
        type=not_negative,
        default=_MOST_ELEMENTS,
        metavar="N",
        help=f"with --flat: show at most N elements of an array ({_MOST_ELEMENTS}); --all: all",
    )
    parser.add_argument(
        "--all", action="store_true", help="show long arrays in full, and headers and footers"
    )
    parser.add_argument("--hex", action="store_true", help="show every byte with its offset and meaning")
    parser.add_argument("--depth", type=not_negative, metavar="N", help="show at most N levels of the tree")
    parser.add_argument(
        "--ram", action="store_true", help="with --json: include guest memory instead of referring to it"
    )
    parser.add_argument(
        "--html", metavar="OUT.html", help="write a page instead: a map of the bytes, the tree, findings"
    )
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Show the whole tree, or the parts at the paths."""
    if options.ram or options.hex or options.html is not None:
        every_byte = options.ram or options.hex
        given = open_stream_file(options.stream, limit=options.limit, whole=every_byte)
    else:
        given = open_without_pages(options.stream, limit=options.limit)
    if options.html is not None:
        return _page(given, options)
    with naming(options.stream):
        places = places_of(given.contents, options.paths)
    paint = Style.of(sys.stdout).paint
    if options.flat:
        lines = _flat(given, places, options)
    elif options.hex:
        lines = _hex(given, places, options)
    else:
        lines = lines_of(given, places, full=options.all, depth=options.depth, paint=paint)
    return Report(lines, lambda: _result(given, places, options), given.findings)


def _page(given: StreamFile, options: argparse.Namespace) -> Report:
    if options.paths:
        raise ConfigurationError("--html shows the whole stream: give no PATH")
    from vmstate.pages.stream_page import stream_page

    text = stream_page(given, Path(options.stream).name if options.stream != "-" else "standard input")
    save_text(options.html, text)
    return Report(result={"page": options.html}, findings=given.findings)


def _result(given: StreamFile, places: list[Place], options: argparse.Namespace) -> object:
    if not options.paths:
        document = given.to_json(ram=options.ram, lazily=True)
        return {**document, "explained": _explained(given, places)}
    nodes = [
        {"path": place.path, **node_json(given.contents, place.node, ram=options.ram)} for place in places
    ]
    return {"places": nodes, "explained": _explained(given, places)}


def _explained(given: StreamFile, places: list[Place]) -> dict[str, list[dict[str, str]]]:
    """Return by path the values whose parts have their own meanings: option vectors, the process table."""
    meanings = known_meanings()
    names = names_with_parts(meanings)
    found: dict[str, list[dict[str, str]]] = {}
    for place in places:
        if place.section is None or place.section.kind != SectionType.FULL:
            continue  # guest memory has no such values, and is large
        owner = owner_of(given.contents, place)
        if not may_have_parts(names, place.node):
            continue
        for inner in below(place, owner):
            parts = parts_of(meanings, inner)
            if parts:
                found[inner.path] = [part.as_json() for part in parts]
    return found


def _flat(given: StreamFile, places: list[Place], options: argparse.Namespace) -> Iterator[str]:
    most = None if options.all else options.elements
    for place in places:
        owner = owner_of(given.contents, place)
        yield from flat_lines(given.contents, place, owner, known_meanings(), most=most, full=options.all)


def _hex(given: StreamFile, places: list[Place], options: argparse.Namespace) -> Iterator[str]:
    for place in places:
        owner = owner_of(given.contents, place)
        yield from hexdump(given.contents, place, owner, full=options.all)
