"""The page of a stream: a map of its bytes, its tree, the bytes and the meaning of each part, findings."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Any

from vmstate.describe import Node
from vmstate.errors import quantity
from vmstate.front.known import known_meanings
from vmstate.front.stream_file import StreamFile
from vmstate.front.tree_text import places_of
from vmstate.pages.rendering import Texts, render
from vmstate.stream.constants import SectionType
from vmstate.tree.display import text_of_place
from vmstate.tree.meanings import parts_of
from vmstate.tree.nodes import is_open
from vmstate.tree.paths import Place, inside, owner_of

_MOST = 512  # nodes inside another that are on the page
_BYTES = 1 << 16  # of a part without others inside, whose bytes are on the page
_ALL_BYTES = 8 << 20
_LONGEST = 2000  # characters of a value


def stream_page(given: StreamFile, name: str) -> str:
    """Return the page of a stream."""
    data = _Tree(given).all()
    machine = given.machine or "no machine type in the stream"
    return render(
        "stream",
        f"{name}: {machine}",
        data,
        machine=machine,
        size=len(given.data),
        sections=len(given.stream.sections),
        layers=[layer.container for layer in given.layers],
        findings=len(given.findings),
    )


class _Tree:
    """The nodes of a stream, in wire order, each with the number of the one that it is in."""

    def __init__(self, given: StreamFile) -> None:
        self.given = given
        self.contents = given.contents
        self.texts = Texts()
        self.meanings = known_meanings()
        self.nodes: list[list[Any]] = []
        self._left = _ALL_BYTES

    def all(self) -> dict[str, Any]:
        """Return everything for the page's script."""
        for place in places_of(self.contents, ()):
            self._add(place, owner_of(self.contents, place), -1)
        return {
            "size": len(self.given.data),
            "nodes": self.nodes,
            "texts": self.texts.all,
            "findings": [finding.as_json() for finding in self.given.findings],
        }

    def _add(self, place: Place, owner: str, parent: int) -> None:
        node = place.node
        number = len(self.nodes)
        children = self._children(node)
        value = "" if children else self._value(place)
        self.nodes.append(
            [
                parent,
                self.texts.number(node.name),
                self.texts.number(place.path),
                self.texts.number(node.kind),
                self.texts.number(node.type),
                node.start,
                node.end - node.start,
                self.texts.number(value),
                self._bytes(node, children),
                [[part.place, part.name, part.meaning] for part in parts_of(self.meanings, place)],
                self._error(place),
            ]
        )
        for inner, around in islice(inside(place, owner) if children else (), _MOST):
            self._add(inner, around, number)
        if len(children) > _MOST:
            self._add_rest(children[_MOST:], place, number)

    def _add_rest(self, rest: list[Node], place: Place, parent: int) -> None:
        """Add one node for those that are too many for a page."""
        start, end = rest[0].start, rest[-1].end
        name = f"… {quantity(len(rest), 'more part')}"
        number = self.texts.number
        self.nodes.append(
            [
                *(parent, number(name), number(f"{place.path} {name}"), number("many"), number("")),
                *(start, end - start, number(""), None, [], None),
            ]
        )

    @staticmethod
    def _children(node: Node) -> list[Node]:
        return list(node.children) if is_open(node) else []

    def _value(self, place: Place) -> str:
        text = text_of_place(place, self.meanings)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def _bytes(self, node: Node, children: list[Node]) -> str | None:
        """Return the bytes of a part without others inside, in base64, unless they are too many."""
        size = node.end - node.start
        if children or node.kind == "pages" or size > min(_BYTES, self._left):
            return None
        self._left -= size
        return base64.b64encode(self.given.data[node.start : node.end]).decode()

    def _error(self, place: Place) -> str | None:
        """Return why a section could not be read to its end."""
        section = place.section
        if section is None or place.node.kind != "section" or section.kind != SectionType.FULL:
            return None
        error = self.contents.decoded(section).error
        return None if error is None else error.message


def labels(given: StreamFile) -> Iterator[tuple[str, int, int]]:
    """Yield the name, offset and size of each thing at the top of a stream's tree."""
    for place in places_of(given.contents, ()):
        yield place.path, place.node.start, place.node.end - place.node.start
