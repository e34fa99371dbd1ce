"""The tree of a stream as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.describe import Node
from vmstate.describe.words import Meanings, Words
from vmstate.errors import quantity
from vmstate.front.known import known_meanings
from vmstate.front.paint import Paint, plain
from vmstate.front.stream_file import StreamFile
from vmstate.stream.wire import text_of
from vmstate.tree import Contents
from vmstate.tree.decoded import By
from vmstate.tree.display import text_in_words, text_of_place
from vmstate.tree.meanings import named_elements, parts_in_words, words_below, words_of_number
from vmstate.tree.nodes import element, is_open, is_uniform
from vmstate.tree.paths import PathError, Place, below_it, find, inner_owner, owner_of, told_apart, tops
from vmstate.tree.search import is_glob, search

_SHOWN = 8
_NAME_WIDTH = 34
_DEEPEST = 1 << 10
_QUIET = frozenset(("header", "footer"))
_TITLED = frozenset(("section", "subsection", "item"))


def tree_lines(
    stream: StreamFile,
    paths: Sequence[str] = (),
    *,
    full: bool = False,
    depth: int | None = None,
    paint: Paint = plain,
) -> Iterator[str]:
    """Yield the lines of the whole tree, or of what the paths lead to; PathError if one leads nowhere."""
    return lines_of(stream, places_of(stream.contents, paths), full=full, depth=depth, paint=paint)


def lines_of(
    stream: StreamFile,
    places: Sequence[Place],
    *,
    full: bool = False,
    depth: int | None = None,
    paint: Paint = plain,
) -> Iterator[str]:
    """Yield the lines of places of a stream's tree."""
    return _Text(stream, paint, full=full, depth=depth).of(places)


def places_of(contents: Contents, paths: Sequence[str]) -> list[Place]:
    """Return the places that paths or globs lead to; without paths, everything at the top of the tree.

    A text that is no path is a glob of the last parts of paths: ``nip``, ``*pvr*``.  PathError if it fits
    nothing.
    """
    if paths:
        return [place for path in paths for place in _meant(contents, path)]
    return list(tops(contents))


def _meant(contents: Contents, text: str) -> list[Place]:
    try:
        return find(contents, text)
    except PathError:
        places = list(_outermost(search(contents, text)))
        if places:
            return places
        if is_glob(text):
            raise PathError(f"nothing in this stream fits {text!r}") from None
        raise


def _outermost(places: Iterator[Place]) -> Iterator[Place]:
    """Yield places without those that are inside one before them."""
    seen: set[int] = set()
    for place in places:
        if not any(id(node) in seen for node in place.chain):
            seen.add(id(place.node))
            yield place


class _Text:
    """The lines of a stream's tree; ``full``: long arrays whole, headers and footers too."""

    def __init__(self, given: StreamFile, paint: Paint, *, full: bool, depth: int | None) -> None:
        self.given = given
        self.contents = given.contents
        self.paint = paint
        self.full = full
        self.hidden: frozenset[str] = frozenset() if full else _QUIET
        self.depth = _DEEPEST if depth is None else depth
        self.meanings: Meanings = known_meanings()

    def of(self, places: Sequence[Place]) -> Iterator[str]:
        """Yield the containers, then the lines of each place."""
        for layer in self.given.layers:
            yield self.paint("dim", f"in {layer.container}")
        for place in places:
            lines: list[str] = []  # generators inside of each other would hand each line on several times
            self._add(lines, place, owner_of(self.contents, place), 0, _NAME_WIDTH, place.path)
            yield from lines

    def _add(self, lines: list[str], place: Place, owner: str, depth: int, width: int, name: str) -> None:
        """Add the lines of a place."""
        node = place.node
        opened = is_open(node)
        if node.type == "json" and not depth:
            lines.append(text_of(self.contents.stream.view(node.start, node.end)))
            return
        if node.kind in _TITLED:
            lines.append(f"{'  ' * depth}{self.paint('bold', name)}{self._about(place)}")
        else:
            self._add_value(lines, node, words_of_number(self.meanings, place), depth, width, name)
        if depth >= self.depth or not (opened or node.kind == "array"):
            return
        if opened and (self.full or not is_uniform(node)):
            self._add_children(lines, place, owner, depth + 1)
        elif is_uniform(node):
            lines += self._some(place, depth + 1)
        elif node.kind == "array":
            lines += self._named(place, depth + 1)

    def _add_value(
        self, lines: list[str], node: Node, words: Words | None, depth: int, width: int, name: str
    ) -> None:
        """Add the line of a value, and those of its parts."""
        whole = node.kind not in {"struct", "element"}
        text = text_in_words(node, words, full=self.full) if whole or not is_open(node) else ""
        head = f"{name:<{width}} {_type(node):<12}" if whole else f"{name} {_type(node)}"
        lines.append(f"{'  ' * depth}{head} {text}".rstrip())
        if words is not None and depth < self.depth:
            lines += _parts(words, node, depth + 1)

    def _add_children(self, lines: list[str], place: Place, owner: str, depth: int) -> None:
        """Add the lines of what is inside; most are fields, which need no place for their lines."""
        shown = [one for one in told_apart(place.node.children, owner) if one[0].kind not in self.hidden]
        many = len(shown) > _SHOWN and sum(node.name.startswith("[") for node, _, _ in shown) > _SHOWN
        cut = _SHOWN if many and not self.full else len(shown)
        named = [(one, one[0].name + one[2]) for one in shown[:cut]]
        width = min(_NAME_WIDTH, max([len(name) for one, name in named if _is_short(one[0])], default=0))
        words = words_below(self.meanings, place)
        for one, name in named:
            node = one[0]
            if node.kind == "field" and not is_open(node):
                self._add_value(lines, node, words(node), depth, width, name)
            else:
                self._add(lines, below_it(place, one), inner_owner(owner, node), depth, width, name)
        if cut < len(shown):
            lines.append(f"{'  ' * depth}{self.paint('dim', f'… {len(shown) - cut} more (--all)')}")

    def _named(self, place: Place, depth: int) -> Iterator[str]:
        """Yield the elements of an array of numbers that have a meaning of their own."""
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
                yield f"{'  ' * depth}{self.paint('dim', '… (--all)')}"
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
        facts = [f"{node.start:#x}", quantity(node.end - node.start, "byte")]
        if node.version_id is not None:
            facts.insert(0, f"version {node.version_id}")
        if place.section is not None and node.kind == "section":
            decoded = self.contents.decoded(place.section)
            if decoded.by not in (By.VMDESC, By.LIVE):
                facts.append(f"read by {decoded.by}")
            if decoded.error is not None:
                facts.append(self.paint("red", decoded.error.message))
        return self.paint("dim", "  " + ", ".join(facts))


def _is_short(node: Node) -> bool:
    """Return True if a node has one line, which is aligned with others."""
    return not node.nodes and node.type != "section header"


def _parts(words: Words, node: Node, depth: int) -> Iterator[str]:
    """Yield a number part by part, if its parts are known."""
    parts = parts_in_words(words, node.value)
    places = max((len(part.place) for part in parts), default=0)
    names = max((len(part.name) for part in parts), default=0)
    for part in parts:
        yield f"{'  ' * depth}{part.place:<{places}}  {part.name:<{names}}  {part.meaning}"


def _type(node: Node) -> str:
    if node.kind == "array" and node.value is not None and hasattr(node.value, "__len__"):
        return f"{node.type}[{len(node.value)}]"
    return node.type
