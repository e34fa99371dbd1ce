"""Random damage for a stream's framing and device sections: one change each, as edits that can be replayed.

An edit is ``[offset, old, new]`` in hexadecimal, as recorded verdicts have them.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import accumulate

from vmstate.describe import Node
from vmstate.stream import Section, Stream
from vmstate.tree import Contents
from vmstate.tree.nodes import element, leaves

Edit = list[object]
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 64) - 1)
_LARGE = 1 << 14  # bytes: what lies between fields of such size is worth more guesses than its inside
_LIVE_SHARE = 0.05  # damage to memory and hash table is another campaign's business


class Damage:
    """Random single changes to one stream; the same ``seed`` gives the same ones.

    Raises what opening the stream's tree raises.
    """

    def __init__(self, stream: Stream, seed: int) -> None:
        self._contents = Contents(stream)
        self._data = stream.data
        self._random = random.Random(seed)
        self._devices = [s for s in stream.sections if not _is_live(s)]
        self._live = [s for s in stream.sections if _is_live(s)]
        self._ways: Sequence[tuple[int, Callable[[], Edit]]] = (
            *((40, self._field), (22, self._byte), (10, self._framing), (6, self._subsection)),
            *((6, self._insertion), (6, self._deletion), (3, self._footer), (3, self._end)),
            *((2, self._removal), (2, self._repetition)),
        )

    def one(self) -> list[Edit]:
        """The next change: something that leaves the stream other than it was."""
        weights = [weight for weight, _ in self._ways]
        while True:
            way = self._random.choices(self._ways, weights)[0][1]
            offset, old, new = way()
            if old != new:
                return [[offset, old, new]]

    # ---- places

    def _section(self) -> Section:
        if self._live and self._random.random() < _LIVE_SHARE:
            return self._random.choice(self._live)
        return self._random.choice(self._devices)

    @cached_property
    def _fields(self) -> dict[int, list[Node]]:
        found = {}
        for node in self._contents.nodes:
            if node.kind == "section":
                found[node.start] = [leaf for leaf in leaves(node) if leaf.end - leaf.start < 1 << 24]
        return found

    def _named(self, section: Section, name: str) -> Node | None:
        return next((n for n in self._fields[section.start] if n.name == name), None)

    def _one_of(self, nodes: Sequence[Node]) -> Node:
        """A node, larger ones sooner but by no more than a few times; of an array, one element."""
        ends = list(accumulate(min(4, (n.end - n.start).bit_length()) for n in nodes))
        node = nodes[bisect_right(ends, self._random.random() * ends[-1])]
        value = node.value
        if node.kind == "array" and value is not None:
            inner = element(node, self._random.randrange(len(value))) if len(value) else None
            return inner or node
        return node

    # ---- changes

    def _change(self, start: int, end: int, new: bytes) -> Edit:
        return [start, bytes(self._data[start:end]).hex(), new.hex()]

    def _number(self, start: int, end: int) -> Edit:
        """Another value for the number there: an extreme, one more or less, one bit, or any."""
        size = end - start
        mask = (1 << 8 * size) - 1
        old = int.from_bytes(self._data[start:end], "big")
        new = self._random.choice(
            (
                self._random.choice(EXTREMES),
                old + 1,
                old - 1,
                old ^ 1 << self._random.randrange(8 * size),
                self._random.getrandbits(8 * size),
            )
        )
        return self._change(start, end, (new & mask).to_bytes(size, "big"))

    def _field(self) -> Edit:
        node = self._one_of(self._fields[self._section().start])
        return self._some_of(node.start, node.end)

    def _some_of(self, start: int, end: int) -> Edit:
        """A number of at most eight bytes from there."""
        if end - start > 8:
            start += self._random.randrange((end - start) // 8) * 8
        return self._number(start, min(end, start + 8))

    def _byte(self) -> Edit:
        section = self._section()
        start = section.start + self._random.randrange(min(section.end - section.start, _LARGE))
        if self._random.random() < 0.5:
            start = section.end - 1 - self._random.randrange(min(section.end - section.start, _LARGE))
        return self._number(start, start + 1)

    def _framing(self) -> Edit:
        """A number of a section's header, of the file's header, or of the configuration."""
        if self._random.random() < 0.2:
            heads = [n for n in self._contents.nodes if n.kind != "section"][:2]
            nodes = [leaf for head in heads for leaf in leaves(head)]
            node = self._one_of(nodes)
            return self._some_of(node.start, node.end)
        section = self._section()
        head = next(n for n in self._contents.node(section).children)
        node = self._random.choice(list(leaves(head)))
        if node.name == "idstr" or node.end - node.start > 8:
            at = self._random.randrange(node.start, node.end)
            return self._number(at, at + 1)
        return self._number(node.start, node.end)

    def _subsection(self) -> Edit:
        """Something of a subsection's header: its mark, its name's length, its name, its version."""
        heads = [n for fields in self._fields.values() for n in fields if n.kind == "header"]
        if not heads:
            return self._byte()
        node = self._random.choice(heads)
        if node.end - node.start == 4:
            return self._number(node.start, node.end)
        at = self._random.choice((node.start, node.start + 1, self._random.randrange(node.start, node.end)))
        return self._number(at, at + 1)

    def _insertion(self) -> Edit:
        section = self._section()
        at = self._boundary(section)
        return self._change(at, at, self._random.randbytes(self._random.choice((1, 1, 2, 4, 8, 16))))

    def _deletion(self) -> Edit:
        section = self._section()
        at = self._boundary(section)
        return self._change(at, min(at + self._random.choice((1, 1, 2, 4, 8, 16)), section.end), b"")

    def _boundary(self, section: Section) -> int:
        if self._random.random() < 0.5:
            return self._random.choice(self._fields[section.start]).start
        return self._random.randrange(section.start, section.end)

    def _footer(self) -> Edit:
        section = self._section()
        if section.footer is None:
            return self._byte()
        at = self._random.choice(
            (section.payload_end, self._random.randrange(section.payload_end, section.end))
        )
        return self._number(at, at + 1)

    def _end(self) -> Edit:
        """The end mark, what follows it, or a stream that stops early."""
        end = self._devices[-1].end
        way = self._random.randrange(4)
        if way == 0:
            return self._number(end, end + 1)
        if way == 1:
            at = self._random.randrange(end + 1, min(end + 7, len(self._data)))
            return self._number(at, at + 1)
        if way == 2:
            return self._change(end, end, self._random.randbytes(1))
        at = self._random.randrange(max(end - _LARGE, self._devices[0].start), end + 6)
        return self._change(at, len(self._data), b"")

    def _removal(self) -> Edit:
        """A whole section, or a whole subsection, gone."""
        subsections = [
            n for node in self._contents.nodes if node.kind == "section" for n in _subsections(node)
        ]
        if subsections and self._random.random() < 0.6:
            node = self._random.choice(subsections)
            return self._change(node.start, node.end, b"")
        section = self._random.choice([s for s in self._devices if s.end - s.start < _LARGE])
        return self._change(section.start, section.end, b"")

    def _repetition(self) -> Edit:
        """A section a second time, somewhere between two sections."""
        section = self._random.choice([s for s in self._devices if s.end - s.start < _LARGE])
        at = self._random.choice(self._devices).start
        return self._change(at, at, bytes(self._data[section.start : section.end]))


def _is_live(section: Section) -> bool:
    return section.idstr in {"ram", "spapr/htab", "block", "dirty-bitmap"}


def _subsections(node: Node) -> list[Node]:
    return [inner for child in node.children for inner in child.walk() if inner.kind == "subsection"]
