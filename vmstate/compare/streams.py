"""Compare two streams: sections, fields, guest memory.

Sections are matched by name, instance and occurrence, their contents by name, elements with keys by key
(registers, MSI devices), other elements by number.  Guest memory is compared page
by page after all records are applied, however it was sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from vmstate.compare.difference import Difference
from vmstate.compare.memory import memory_differences
from vmstate.describe import Node, WireArray, WireRecords
from vmstate.describe.words import Meanings
from vmstate.errors import quantity
from vmstate.stream.items import Section
from vmstate.stream.sections.ram import Ram
from vmstate.tree import By, Contents
from vmstate.tree.display import text_of_place, text_of_value
from vmstate.tree.keys import are_keys, keys_of
from vmstate.tree.nodes import element, is_open, taken_apart
from vmstate.tree.paths import Place, inner_owner, joined, matches

_MOST_ELEMENTS = 8
_QUIET = frozenset({"header", "footer"})


Key = tuple[str, int, int]
Keyed = tuple[Node, Mapping[str, int]]
"""An array, and the number of each element by its key."""


class Diff:
    """A comparison of two streams; ``ignore``: globs of paths to leave out.

    ``tick`` is called with the number of bytes of guest memory compared so far.
    """

    def __init__(
        self,
        left: Contents,
        right: Contents,
        ignore: Sequence[str] = (),
        meanings: Meanings | None = None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.left = left
        self.right = right
        self.ignore = tuple(ignore)
        self.meanings = meanings
        self.tick = tick

    def differences(self) -> Iterator[Difference]:
        """Yield all differences not ignored, in the left stream's order, then those only in the right one."""
        for difference in self._all():
            if not any(matches(pattern, difference.path) for pattern in self.ignore):
                yield difference

    def _all(self) -> Iterator[Difference]:
        yield from self._configuration()
        yield from self._sections()
        if not self._ignored("ram"):
            yield from memory_differences(self.left.stream, self.right.stream, self.tick)

    def _ignored(self, path: str) -> bool:
        return any(matches(pattern, path) for pattern in self.ignore)

    # ---- framing

    def _configuration(self) -> Iterator[Difference]:
        tops = [
            next((n for n in contents.nodes if n.type == "configuration"), None)
            for contents in (self.left, self.right)
        ]
        yield from self._nodes(tops[0], tops[1], "configuration", "configuration")

    def _sections(self) -> Iterator[Difference]:
        left, right = _keyed(self.left), _keyed(self.right)
        for key, section in left.items():
            label = self.left.labels[section.start]
            other = right.get(key)
            if self._ignored(label):
                continue
            if other is None:
                yield Difference("diff.missing", label, str(section), None, section.start)
            else:
                yield from self._section(section, other, label)
        for key, section in right.items():
            if key not in left:
                label = self.right.labels[section.start]
                yield Difference("diff.extra", label, None, str(section), None, section.start)
        orders = [[key for key in side if key in left and key in right] for side in (left, right)]
        if orders[0] != orders[1]:
            first = next(a for a, b in zip(*orders, strict=True) if a != b)
            at = (left[first].start, right[first].start)
            yield Difference("diff.order", self.left.labels[at[0]], "here", "elsewhere", *at)

    def _section(self, one: Section, other: Section, label: str) -> Iterator[Difference]:
        if one.version_id != other.version_id:
            versions = (str(one.version_id), str(other.version_id))
            numbers = (one.version_id, other.version_id)
            yield Difference("diff.value", f"{label}.version_id", *versions, one.start, other.start, *numbers)
        if bytes(self.left.stream.payload(one)) == bytes(self.right.stream.payload(other)):
            return
        sides = (self.left.decoded(one), self.right.decoded(other))
        roots = [side.root for side in sides]
        if sides[0].by is By.LIVE:
            roots = [_without_pages(root) for root in roots]
        found = False
        for difference in self._children(roots[0], roots[1], label, roots[0].name):
            found = True
            yield difference
        if not found and sides[0].by is not By.LIVE:
            at = (one.payload_start, other.payload_start)
            yield Difference("diff.value", label, "different bytes for the same values", None, *at)

    # ---- nodes

    def _nodes(self, one: Node | None, other: Node | None, path: str, owner: str) -> Iterator[Difference]:
        if one is None or other is None:
            if one is not None:
                yield Difference("diff.missing", path, _summary(one), None, one.start, None, _number(one))
            elif other is not None:
                at = other.start
                yield Difference("diff.extra", path, None, _summary(other), None, at, None, _number(other))
            return
        if isinstance(one.value, WireRecords) and isinstance(other.value, WireRecords):
            yield from self._records(one, other, path)
        elif (is_open(one) or is_open(other)) and taken_apart(one) == taken_apart(other):
            yield from self._children(one, other, path, owner)
        elif bytes(self._raw(self.left, one)) != bytes(self._raw(self.right, other)):
            yield from self._leaf(one, other, path, owner)

    @staticmethod
    def _raw(contents: Contents, node: Node) -> memoryview:
        return contents.stream.data[node.start : node.end]

    def _children(self, one: Node, other: Node, path: str, owner: str) -> Iterator[Difference]:
        left, right = _by_step(one, owner), _by_step(other, owner)
        for step, place in dict.fromkeys((*left, *right)):
            node = left.get((step, place)) or right[step, place]
            several = (step, 1) in left or (step, 1) in right
            inner = f"{path}{step}#{place}" if several else f"{path}{step}"
            sides = (left.get((step, place)), right.get((step, place)))
            if are_keys(one, node) and are_keys(other, node) and None not in sides:
                continue  # what they are the keys of is compared by them
            keyed = [_with_keys(around, side) for around, side in zip((one, other), sides, strict=True)]
            if keyed[0] is not None and keyed[1] is not None:
                yield from self._keyed(keyed[0], keyed[1], inner, owner)
            else:
                yield from self._nodes(*sides, inner, inner_owner(owner, node))

    def _keyed(self, one: Keyed, other: Keyed, path: str, owner: str) -> Iterator[Difference]:
        """Compare the elements of two arrays by their keys, in the order of the left one."""
        for key in dict.fromkeys((*one[1], *other[1])):
            sides = [element(node, keys[key]) if key in keys else None for node, keys in (one, other)]
            yield from self._nodes(sides[0], sides[1], f"{path}[{key}]", owner)

    def _leaf(self, one: Node, other: Node, path: str, owner: str) -> Iterator[Difference]:
        if isinstance(one.value, WireArray) and isinstance(other.value, WireArray):
            yield from self._numbers(one, other, path, owner)
            return
        texts = (self._text(one, path, owner), self._text(other, path, owner))
        rule = "diff.value"
        if one.type != other.type:
            rule, texts = "diff.type", (f"{one.type} {texts[0]}", f"{other.type} {texts[1]}")
        elif texts[0] == texts[1]:
            texts = (
                quantity(one.end - one.start, "byte"),
                quantity(other.end - other.start, "different byte"),
            )
        yield Difference(rule, path, *texts, one.start, other.start, _number(one), _number(other))

    def _text(self, node: Node, path: str, owner: str) -> str:
        around = Node(owner, "subsection", owner, node.start, node.end)
        return text_of_place(Place(path, (around, node)), self.meanings)

    def _numbers(self, one: Node, other: Node, path: str, owner: str) -> Iterator[Difference]:
        a, b = one.value, other.value
        if len(a) != len(b) or a.code != b.code:
            texts = (quantity(len(a), "element"), quantity(len(b), "element"))
            yield Difference("diff.value", path, *texts, one.start, other.start)
            return
        places = [index for index, (mine, theirs) in enumerate(zip(a, b, strict=True)) if mine != theirs]
        for index in places[:_MOST_ELEMENTS]:
            at = index * a.width
            nodes = [
                Node(
                    f"{one.name}[{index}]",
                    "field",
                    n.type,
                    n.start + at,
                    n.start + at + a.width,
                    n.value[index],
                )
                for n in (one, other)
            ]
            texts = (self._text(nodes[0], path, owner), self._text(nodes[1], path, owner))
            facts = (nodes[0].start, nodes[1].start, _number(nodes[0]), _number(nodes[1]))
            yield Difference("diff.value", f"{path}[{index}]", *texts, *facts)
        if len(places) > _MOST_ELEMENTS:
            more = _more(len(places) - _MOST_ELEMENTS, len(a))
            yield Difference("diff.value", path, more, None, one.start, other.start)

    def _records(self, one: Node, other: Node, path: str) -> Iterator[Difference]:
        a, b = one.value, other.value
        if a == b:
            return
        if len(a) != len(b) or (a.names, a.item.format) != (b.names, b.item.format):
            texts = (text_of_value(one), text_of_value(other))
            yield Difference("diff.value", path, *texts, one.start, other.start)
            return
        size = a.item.size
        rows = zip(a.item.iter_unpack(a.raw), b.item.iter_unpack(b.raw), strict=True)
        places = [index for index, (mine, theirs) in enumerate(rows) if mine != theirs]
        for index in places[:_MOST_ELEMENTS]:
            for name in a.names:
                values = (getattr(a[index], name), getattr(b[index], name))
                if values[0] != values[1]:
                    texts = (str(values[0]), str(values[1]))
                    at = (one.start + index * size, other.start + index * size)
                    yield Difference("diff.value", f"{path}[{index}].{name}", *texts, *at, *values)
        if len(places) > _MOST_ELEMENTS:
            more = _more(len(places) - _MOST_ELEMENTS, len(a))
            yield Difference("diff.value", path, more, None, one.start, other.start)


def _more(number: int, total: int) -> str:
    return f"{number} more of {total} elements {'differs' if number == 1 else 'differ'}"


def _with_keys(around: Node, node: Node | None) -> Keyed | None:
    keys = None if node is None else keys_of(around, node)
    return None if node is None or keys is None else (node, keys)


def _by_step(node: Node, owner: str) -> dict[tuple[str, int], Node]:
    """Return what is inside a node by what its paths add, and its place among those of the same name."""
    found: dict[tuple[str, int], Node] = {}
    seen: Counter[str] = Counter()
    for child in node.children:
        if child.kind not in _QUIET:
            step = joined("", owner, child)
            found[step, seen[step]] = child
            seen[step] += 1
    return found


def _keyed(contents: Contents) -> dict[Key, Section]:
    """Return sections by name, instance and occurrence; only the first of guest memory, compared by page."""
    found: dict[Key, Section] = {}
    seen: dict[tuple[str, int], int] = {}
    ram = {idstr for idstr, handler in contents.stream.handlers if isinstance(handler, Ram)}
    for section in contents.stream.sections:
        same = (section.idstr, section.instance_id)
        number = seen.get(same, 0)
        seen[same] = number + 1
        if section.idstr not in ram or not number:
            found[*same, number] = section
    return found


def _without_pages(root: Node) -> Node:
    kept = [n for n in root.children if n.kind != "pages" and not n.name.startswith("(")]
    return Node(root.name, root.kind, root.type, root.start, root.end, nodes=kept)


def _number(node: Node) -> int | None:
    return int(node.value) if isinstance(node.value, int) and not is_open(node) else None


def _summary(node: Node) -> str:
    if not is_open(node):
        return text_of_value(node)
    return f"{node.kind} of {quantity(node.end - node.start, 'byte')}"
