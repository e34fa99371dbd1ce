"""``vmstate show``: show the tree of a stream, or a part of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from vmstate.cli.report import Report
from vmstate.cli.streams import Input, known_meanings, open_named
from vmstate.cli.terminal import Style
from vmstate.describe import Node
from vmstate.stream.constants import SectionType
from vmstate.stream.wire import text_of
from vmstate.tree.as_json import node_json, to_json
from vmstate.tree.decoded import By
from vmstate.tree.display import text_of_place
from vmstate.tree.hexdump import hexdump
from vmstate.tree.meanings import Meanings, named_elements, parts_of
from vmstate.tree.nodes import element, is_open, is_uniform
from vmstate.tree.paths import Place, below, find, inner_owner, joined

_SHOWN = 8
_NAME_WIDTH = 34
_QUIET = {"header", "footer"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="show only this: cpu[0], cpu[0]/compat.compat_pvr, spapr.tb, …",
    )
    parser.add_argument(
        "--all", action="store_true", help="show long arrays in full, and headers and footers"
    )
    parser.add_argument("--hex", action="store_true", help="show every byte with its offset and meaning")
    parser.add_argument("--depth", type=int, metavar="N", help="show at most N levels of the tree")
    parser.add_argument(
        "--ram", action="store_true", help="with --json: include guest memory instead of referring to it"
    )
    parser.add_argument("--limit", type=int, metavar="BYTES", help="refuse to decompress to more than this")


def run(options: argparse.Namespace) -> Report:
    """Show the whole tree, or the parts at the paths."""
    given = open_named(options.stream, limit=options.limit, whole=options.ram or options.hex)
    places = _places(given, options.paths)
    lines = _hex(given, places, options) if options.hex else _Lines(given, options).of(places)
    return Report(lines, lambda: _result(given, places, options), given.findings)


def _places(given: Input, paths: Sequence[str]) -> list[Place]:
    if paths:
        return [place for path in paths for place in find(given.contents, path)]
    by_start = given.contents.by_start
    return [
        Place(node.name, (node,), by_start.get(node.start) if node.kind == "section" else None)
        for node in given.contents.nodes
    ]


def _result(given: Input, places: list[Place], options: argparse.Namespace) -> object:
    if not options.paths:
        document = to_json(given.contents, ram=options.ram)
        document["layers"] = [layer.as_json() for layer in given.opened.layers]
        document["explained"] = _explained(given, places)
        return document
    nodes = [
        {"path": place.path, **node_json(given.contents, place.node, ram=options.ram)} for place in places
    ]
    return {"places": nodes, "explained": _explained(given, places)}


def _explained(given: Input, places: list[Place]) -> dict[str, list[dict[str, str]]]:
    """Return by path the values whose parts have their own meanings: option vectors, the process table."""
    meanings = known_meanings()
    found: dict[str, list[dict[str, str]]] = {}
    for place in places:
        if place.section is None or place.section.kind != SectionType.FULL:
            continue  # guest memory has no such values, and is large
        for inner in below(place, _owner(given, place)):
            parts = parts_of(meanings, inner)
            if parts:
                found[inner.path] = [part.as_json() for part in parts]
    return found


def _hex(given: Input, places: list[Place], options: argparse.Namespace) -> Iterator[str]:
    for place in places:
        owner = _owner(given, place)
        yield from hexdump(given.contents, place, owner, full=options.all)


def _owner(given: Input, place: Place) -> str:
    owner = place.owner
    if owner.kind == "section" and place.section is not None:
        return given.contents.decoded(place.section).root.name
    return owner.name


class _Lines:
    """The lines for people."""

    def __init__(self, given: Input, options: argparse.Namespace) -> None:
        import sys

        self.given = given
        self.full: bool = options.all
        self.depth: int = 1 << 10 if options.depth is None else options.depth
        self.style = Style.of(sys.stdout)
        self.meanings: Meanings = known_meanings()

    def of(self, places: list[Place]) -> Iterator[str]:
        for layer in self.given.opened.layers:
            yield self.style.paint("dim", f"in {layer.container}")
        for place in places:
            yield from self._lines(place, _owner(self.given, place), 0, _NAME_WIDTH, place.path)

    def _lines(self, place: Place, owner: str, depth: int, width: int, name: str) -> Iterator[str]:
        node = place.node
        indent = "  " * depth
        if node.type == "json" and not depth:
            yield text_of(self.given.stream.view(node.start, node.end))
            return
        whole = node.kind not in {"section", "subsection", "item", "struct", "element"}
        if node.kind in {"section", "subsection", "item"}:
            yield f"{indent}{self.style.paint('bold', name)}{self._about(place)}"
        else:
            text = text_of_place(place, self.meanings, full=self.full) if whole or not is_open(node) else ""
            head = f"{name:<{width}} {_type(node):<12} " if whole else f"{name} {_type(node)} "
            yield f"{indent}{head}{text}".rstrip()
            yield from self._parts(place, depth + 1)
        if depth < self.depth and is_open(node) and (self.full or not is_uniform(node)):
            yield from self._children(place, owner, depth + 1)
        elif depth < self.depth and is_uniform(node):
            yield from self._some(place, depth + 1)
        elif depth < self.depth and node.kind == "array":
            yield from self._named(place, depth + 1)

    def _parts(self, place: Place, depth: int) -> Iterator[str]:
        """Yield the parts of a value that have meanings of their own."""
        parts = parts_of(self.meanings, place) if depth <= self.depth else ()
        places = max((len(part.place) for part in parts), default=0)
        names = max((len(part.name) for part in parts), default=0)
        for part in parts:
            yield f"{'  ' * depth}{part.place:<{places}}  {part.name:<{names}}  {part.meaning}"

    def _children(self, place: Place, owner: str, depth: int) -> Iterator[str]:
        shown = [n for n in place.node.children if self.full or n.kind not in _QUIET]
        elements = [n for n in shown if n.name.startswith("[")]
        cut = len(shown) if self.full or len(elements) <= _SHOWN else _SHOWN
        width = min(_NAME_WIDTH, max((len(n.name) for n in shown[:cut] if not n.nodes), default=0))
        for child in shown[:cut]:
            path = joined(place.path, owner, child)
            inner = Place(path, (*place.chain, child), place.section)
            yield from self._lines(inner, inner_owner(owner, child), depth, width, child.name)
        if cut < len(shown):
            yield f"{'  ' * depth}{self.style.paint('dim', f'… {len(shown) - cut} more (--all)')}"

    def _named(self, place: Place, depth: int) -> Iterator[str]:
        """Yield the elements of an array of numbers that have meanings of their own."""
        owner = place.owner.type if place.owner.kind == "section" else place.owner.name
        for index in named_elements(self.meanings, owner, place.node.name):
            node = element(place.node, index)
            if node is not None and node.value:
                inner = Place(place.path + node.name, (*place.chain, node), place.section)
                yield f"{'  ' * depth}{node.name} {text_of_place(inner, self.meanings)}"

    def _some(self, place: Place, depth: int) -> Iterator[str]:
        """Yield the first few elements of a uniform array that are not zero."""
        records = place.node.value
        if not hasattr(records, "raw"):
            return
        size = records.item.size
        zero = bytes(size)
        shown = 0
        for index in range(len(records)):
            if bytes(records.raw[index * size : (index + 1) * size]) == zero:
                continue
            if shown == _SHOWN:
                yield f"{'  ' * depth}{self.style.paint('dim', '… (--all)')}"
                return
            shown += 1
            node = element(place.node, index)
            assert node is not None
            chain = (*place.chain, node)
            values = [
                f"{child.name}={text_of_place(self._within(chain, child), self.meanings)}"
                for child in node.nodes
            ]
            yield f"{'  ' * depth}{node.name} {' '.join(values)}"

    @staticmethod
    def _within(chain: tuple[Node, ...], child: Node) -> Place:
        return Place(child.name, (*chain, child))

    def _about(self, place: Place) -> str:
        node = place.node
        facts = [f"{node.start:#x}", f"{node.end - node.start} bytes"]
        if node.version_id is not None:
            facts.insert(0, f"version {node.version_id}")
        if place.section is not None and node.kind == "section":
            decoded = self.given.contents.decoded(place.section)
            if decoded.by not in (By.VMDESC, By.LIVE):
                facts.append(f"read by {decoded.by}")
            if decoded.error is not None:
                facts.append(self.style.paint("red", decoded.error.message))
        return self.style.paint("dim", "  " + ", ".join(facts))


def _type(node: Node) -> str:
    if node.kind == "array" and node.value is not None and hasattr(node.value, "__len__"):
        return f"{node.type}[{len(node.value)}]"
    return node.type
