"""A stream taken apart for mutations: its sections, subsections, fields, counts and arrays, with offsets."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from vmstate.dataclass import dataclass, field
from vmstate.describe import Node, WireArray, WireRecords
from vmstate.pseries.declarations import pseries_declarations
from vmstate.stream import Section, Stream, open_stream
from vmstate.stream.constants import SectionType
from vmstate.stream.items import CommandItem, Configuration, EndOfStates, VmDescription
from vmstate.tree import Contents
from vmstate.tree.measuring import Measured
from vmstate.tree.nodes import is_open, is_uniform, taken_apart

T = TypeVar("T")
LIVE = frozenset({"ram", "spapr/htab", "block", "dirty-bitmap"})


@dataclass(frozen=True)
class Leaf:
    """A field: ``path`` as ``vmstate show`` writes it, ``type`` as the vmdesc names it."""

    path: str
    start: int
    end: int
    type: str
    value: object

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.end - self.start


@dataclass(frozen=True)
class Array:
    """An array of equal elements, ``width`` bytes each.

    ``fields``: the name, offset and size of each field of an element; empty for an array of numbers.
    """

    path: str
    start: int
    end: int
    length: int
    width: int
    fields: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True)
class Count:
    """A number that bounds a later array: it is the array's length in an undamaged stream."""

    leaf: Leaf
    array: Array

    @property
    def path(self) -> str:
        """The path of the number."""
        return self.leaf.path


@dataclass(frozen=True)
class Subsection:
    """A subsection: its mark is at ``start``, its name's length after that, its version at ``version_at``."""

    path: str
    name: str
    start: int
    version_at: int
    end: int


@dataclass
class Part:
    """A section as the fuzzer sees it; offsets of its header are those of a START or FULL."""

    path: str
    section: Section
    leaves: list[Leaf] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    subsections: list[Subsection] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """True for sections of guest memory, the hash table and other live data."""
        return self.section.idstr in LIVE

    @property
    def start(self) -> int:
        """The offset of its mark."""
        return self.section.start

    @property
    def end(self) -> int:
        """The offset after its footer."""
        return self.section.end


class Anatomy:
    """A base stream taken apart, once for a whole campaign.

    Raises the errors of :func:`vmstate.stream.open_stream`.
    """

    def __init__(self, data: bytes | memoryview, name: str = "") -> None:
        self.data = bytes(data)
        self.name = name
        self.declarations = pseries_declarations()
        self.stream: Stream = open_stream(self.data, Measured(self.declarations))
        self.contents = Contents(self.stream, self.declarations)
        self._known: dict[Any, Any] = {}

    def remember(self, key: Any, make: Callable[[Anatomy], T]) -> T:
        """Return the result of ``make`` for this stream, computed once per ``key``."""
        if key not in self._known:
            self._known[key] = make(self)
        found: T = self._known[key]
        return found

    @cached_property
    def sha256(self) -> str:
        """The hash by which a recipe refers to the stream."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def parts(self) -> list[Part]:
        """All sections, in order."""
        return [self._part(node) for node in self._sections()]

    def _part(self, node: Node) -> Part:
        """Take a section apart by its vmdesc, or by our declaration if that knows more (virtio, slirp)."""
        section = self.contents.by_start[node.start]
        part = Part(node.name, section)
        _collect(part, node, node.name)
        declared = self.contents.declared(section) if section.kind == SectionType.FULL else None
        if declared is not None and declared.whole:
            ours = Part(node.name, section)
            _collect(ours, declared.root, node.name)
            if len(ours.leaves) + len(ours.arrays) > len(part.leaves) + len(part.arrays):
                return ours
        return part

    def _sections(self) -> Iterator[Node]:
        for node in self.contents.nodes:
            if node.kind == "section":
                yield node
            else:
                yield from (inner for inner in node.children if inner.kind == "section")

    @cached_property
    def devices(self) -> list[Part]:
        """The sections of devices."""
        return [part for part in self.parts if not part.live]

    @cached_property
    def live(self) -> list[Part]:
        """The sections of guest memory and other live data."""
        return [part for part in self.parts if part.live]

    @cached_property
    def by_path(self) -> dict[str, Part]:
        """The sections by path."""
        return {part.path: part for part in self.parts}

    @cached_property
    def leaves(self) -> dict[str, Leaf]:
        """The fields of all sections, by path."""
        return {leaf.path: leaf for part in self.parts for leaf in part.leaves}

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """The arrays of all sections, by path."""
        return {array.path: array for part in self.parts for array in part.arrays}

    @cached_property
    def counts(self) -> dict[str, Count]:
        """The numbers that bound arrays, by path."""
        return {count.path: count for part in self.parts for count in part.counts}

    @cached_property
    def subsections(self) -> dict[str, Subsection]:
        """All subsections, by path."""
        return {sub.path: sub for part in self.parts for sub in part.subsections}

    @cached_property
    def configuration(self) -> Configuration | None:
        """The configuration section."""
        return next((i for i in self.stream.items if isinstance(i, Configuration)), None)

    @cached_property
    def end_mark(self) -> EndOfStates | None:
        """The end mark, after the last section."""
        return next((i for i in self.stream.items if isinstance(i, EndOfStates)), None)

    @cached_property
    def vmdesc(self) -> VmDescription | None:
        """The description at the end."""
        return next((i for i in self.stream.items if isinstance(i, VmDescription)), None)

    @cached_property
    def commands(self) -> list[CommandItem]:
        """The commands between the sections."""
        return [i for i in self.stream.items if isinstance(i, CommandItem)]


def _collect(part: Part, node: Node, path: str) -> None:
    """Collect the fields inside ``node``.

    An array is one field; a number that equals the length of a later array is a count.
    """
    numbers: list[Leaf] = []
    for child in node.children:
        below = _below(path, child)
        if child.kind == "subsection":
            version = next((n for n in child.nodes if n.name == "version_id"), child)
            part.subsections.append(Subsection(below, child.name, child.start, version.start, child.end))
        if child.kind in {"header", "footer", "item"} or child.end <= child.start:
            continue
        array = _array(child, below)
        if array is not None:
            part.arrays.append(array)
            part.counts += [Count(n, array) for n in numbers if n.value == array.length]
        elif is_open(child) and not is_uniform(child) and not taken_apart(child):
            _collect(part, child, below)
        else:
            leaf = Leaf(below, child.start, child.end, child.type, child.value)
            part.leaves.append(leaf)
            if isinstance(child.value, int) and not isinstance(child.value, bool):
                numbers.append(leaf)


def _below(path: str, child: Node) -> str:
    if child.kind == "subsection":
        return f"{path}/{child.name.removeprefix(path.split('[', maxsplit=1)[0] + '/')}"
    return f"{path}{child.name}" if child.name.startswith("[") else f"{path}.{child.name}"


def _array(node: Node, path: str) -> Array | None:
    size = node.end - node.start
    value = node.value
    if isinstance(value, WireArray | WireRecords | list) and len(value) and size % len(value) == 0:
        return Array(path, node.start, node.end, len(value), size // len(value), _columns(value))
    if node.type in {"buffer", "unused_buffer"} and size:
        return Array(path, node.start, node.end, size, 1)
    return None


def _columns(value: object) -> tuple[tuple[str, int, int], ...]:
    if not isinstance(value, WireRecords):
        return ()
    columns, at = [], 0
    for name, code in zip(value.names, value.item.format.lstrip(">"), strict=True):
        width = struct.calcsize(">" + code)
        columns.append((name, at, width))
        at += width
    return tuple(columns)
