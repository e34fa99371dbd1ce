"""Two layouts walked side by side, to see if the bytes of one side mean the same to the other.

The walk needs no names: it stops where one side takes the next byte for something else
(:class:`Mismatch`).  On the way it notes what has the same bytes, but another name, type, check or condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmstate.compatibility.layout import (
    Blob,
    Item,
    Many,
    Maybe,
    Pointers,
    Queue,
    Repeat,
    Run,
    Subsections,
    words,
)
from vmstate.dataclass import dataclass

_UNROLLED = 1 << 16  # the most items that an array of structs is taken apart to
_UNUSED = "unused_buffer"
#: Types that compare the incoming value with the destination's, and what they are without that.
_CHECKED = {
    "uint8 equal": "uint8",
    "uint16 equal": "uint16",
    "uint32 equal": "uint32",
    "int32 equal": "int32",
    "int64 equal": "uint64",
    "uint64 equal": "uint64",
    "int32 le": "int32",
}
_SAME = {"buffer": "uint8", "uint64 equal": "int64 equal"}


@dataclass(frozen=True)
class Note:
    """Something that both sides have in the same bytes, but not alike; texts of source and destination."""

    rule: str
    source_path: str
    target_path: str
    source: str | None
    target: str | None


class Mismatch(Exception):
    """The layouts part: the destination takes the next byte for something else."""

    def __init__(self, source: Item | None, target: Item | None) -> None:
        super().__init__()
        self.source, self.target = source, target


Tails = Callable[[Subsections | None, Subsections | None], None]


class Tape:
    """The items of one side, and how much of the first one is left, in bytes if it is a run."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = list(reversed(items))
        self.left = 0
        self._open()

    def _open(self) -> None:
        item = self.peek()
        self.left = item.width * item.count if isinstance(item, Run) else 0

    def peek(self, ahead: int = 0) -> Item | None:
        """Return the next item, or one behind it."""
        return self.items[-1 - ahead] if len(self.items) > ahead else None

    def skip(self) -> None:
        """Go to the next item."""
        self.items.pop()
        self._open()

    def put(self, items: Sequence[Item]) -> None:
        """Replace the next item by others."""
        self.items.pop()
        self.items += reversed(items)
        self._open()

    def take(self, size: int) -> None:
        """Use bytes of a run."""
        self.left -= size
        if not self.left:
            self.skip()

    def reaches(self, tail: Subsections) -> bool:
        """Return True if the subsections of a description of this name come later."""
        return any(isinstance(i, Subsections) and i.owner.name == tail.owner.name for i in self.items)

    @property
    def whole(self) -> bool:
        """True if nothing of the run has been used."""
        item = self.peek()
        return isinstance(item, Run) and self.left == item.width * item.count


class Walk:
    """One walk.  ``notes`` are complete when it ends; ``tails`` gets the subsections of both sides."""

    def __init__(self, tails: Tails) -> None:
        self.tails = tails
        self.notes: list[Note] = []

    def items(self, source: Sequence[Item], target: Sequence[Item]) -> None:
        """Walk over two layouts.  Raises Mismatch where they part."""
        a, b = Tape(source), Tape(target)
        while a.items or b.items:
            x, y = a.peek(), b.peek()
            if isinstance(x, Subsections) or isinstance(y, Subsections):
                self._tails(a, b, x, y)
            elif isinstance(x, Maybe) or isinstance(y, Maybe):
                self._maybe(a, b, x, y)
            elif isinstance(x, Run) and isinstance(y, Run):
                self._runs(a, b, x, y)
            elif isinstance(x, Repeat) and not _like(x, y):
                a.put(_unrolled(x, y))
            elif isinstance(y, Repeat) and not _like(y, x):
                b.put(_unrolled(y, x))
            elif isinstance(x, Blob) and x.width is not None and isinstance(y, Run):
                a.put((Run(x.path, x.kind, x.width),))
            elif isinstance(y, Blob) and y.width is not None and isinstance(x, Run):
                b.put((Run(y.path, y.kind, y.width),))
            else:
                self._pair(x, y)
                a.skip()
                b.skip()

    def fits(self, source: Sequence[Item], target: Sequence[Item]) -> bool:
        """Return True if a walk over these would end well; nothing is noted."""
        try:
            Walk(lambda _x, _y: None).items(source, target)
        except Mismatch:
            return False
        return True

    def _tails(self, a: Tape, b: Tape, x: Item | None, y: Item | None) -> None:
        if isinstance(x, Maybe) and isinstance(y, Subsections) and a.reaches(y):
            self._only(a, x, sent=True)
            return
        if isinstance(y, Maybe) and isinstance(x, Subsections) and b.reaches(x):
            self._only(b, y, sent=False)
            return
        sent = x if isinstance(x, Subsections) else None
        known = y if isinstance(y, Subsections) else None
        if sent and known and sent.owner.name != known.owner.name:
            later, other = a.peek(1), b.peek(1)
            if isinstance(later, Subsections) and later.owner.name == known.owner.name:
                known = None
            elif isinstance(other, Subsections) and other.owner.name == sent.owner.name:
                sent = None
        self.tails(sent, known)
        if sent:
            a.skip()
        if known:
            b.skip()

    def _maybe(self, a: Tape, b: Tape, x: Item | None, y: Item | None) -> None:
        """Take two conditions for the same one if what they are for fits; else the field is on one side."""
        if isinstance(x, Maybe) and isinstance(y, Maybe):
            if self.fits(x.inner, y.inner):
                self._tests(x, y)
                a.put(x.inner)
                b.put(y.inner)
                return
            later_x, later_y = a.peek(1), b.peek(1)
            one = x if isinstance(later_x, Maybe) and _named_alike(later_x, y) else y
            if one is y and not (isinstance(later_y, Maybe) and _named_alike(later_y, x)):
                raise Mismatch(x, y)
            self._only(a if one is x else b, one, sent=one is x)
        elif isinstance(x, Maybe):
            if y is not None and self._same_place(x, y):
                self._note("condition.changed", x, y, words([x]), words([y]))
                a.put(x.inner)
            else:
                self._only(a, x, sent=True)
        elif isinstance(y, Maybe):
            if x is not None and self._same_place(y, x):
                self._note("condition.changed", x, y, words([x]), words([y]))
                b.put(y.inner)
            else:
                self._only(b, y, sent=False)

    def _same_place(self, one: Maybe, other: Item) -> bool:
        return _field(one.path) == _field(other.path) and one.path == other.path

    def _only(self, tape: Tape, one: Maybe, *, sent: bool) -> None:
        rule = "field.conditional"
        text = words(one.inner)
        self.notes.append(Note(rule, one.path, one.path, text if sent else None, None if sent else text))
        tape.skip()

    def _tests(self, x: Maybe, y: Maybe) -> None:
        if x.test and y.test and x.test != y.test:
            self._note("condition.renamed", x, y, x.test, y.test)

    def _runs(self, a: Tape, b: Tape, x: Run, y: Run) -> None:
        if a.whole and b.whole:
            self._names(x, y)
        rule = meaning(x, y)
        aligned = x.width == y.width and a.left % x.width == 0 and b.left % y.width == 0
        if not aligned and rule is None:
            rule = "type.regrouped" if x.kind is not None and y.kind is not None else None
            if x.by_c or y.by_c:
                raise Mismatch(x, y)
        if rule is not None:
            self._note(rule, x, y, words([x]), words([y]))
        size = min(a.left, b.left)
        a.take(size)
        b.take(size)

    def _pair(self, x: Item | None, y: Item | None) -> None:
        """Compare two items that are no runs."""
        if isinstance(x, Blob) and isinstance(y, Blob):
            self._names(x, y)
            kinds, widths = {x.kind, y.kind} - {None}, {x.width, y.width} - {None}
            if len(kinds) > 1 or len(widths) > 1:
                raise Mismatch(x, y)
        elif isinstance(x, Many) and isinstance(y, Many):
            self._names(x, y)
            self._sources(x, y)
            self.items(x.inner, y.inner)
        elif isinstance(x, Pointers) and isinstance(y, Pointers):
            self._names(x, y)
            if (x.count, x.marked) != (y.count, y.marked):
                raise Mismatch(x, y)
            self.items(x.inner, y.inner)
        elif isinstance(x, Repeat) and isinstance(y, Repeat):
            self._names(x, y)
            self.items(x.inner, y.inner)
        elif isinstance(x, Queue) and isinstance(y, Queue):
            self._queues(x, y)
        else:
            raise Mismatch(x, y)

    def _queues(self, x: Queue, y: Queue) -> None:
        self._names(x, y)
        trees = (x.kind == "gtree", y.kind == "gtree")
        if trees[0] != trees[1] or (x.key is None) != (y.key is None):
            raise Mismatch(x, y)
        for ours, theirs in ((x.key, y.key), (x.inner, y.inner)):
            if ours is not None and theirs is not None:
                self.items(ours, theirs)

    def _sources(self, x: Many, y: Many) -> None:
        if x.multiply != y.multiply:
            raise Mismatch(x, y)
        if x.source is None or y.source is None or x.source[1] == y.source[1]:
            return
        if x.source[0] == y.source[0] >= 0:  # the same field under another name
            return
        self._note("count.source", x, y, x.source[1], y.source[1])

    def _names(self, x: Item, y: Item) -> None:
        if _field(x.path) != _field(y.path):
            self._note("field.renamed", x, y, _field(x.path), _field(y.path))

    def _note(self, rule: str, x: Item | None, y: Item | None, source: str, target: str) -> None:
        assert x is not None
        assert y is not None
        self.notes.append(Note(rule, x.path, y.path, source, target))


def _like(one: Repeat, other: Item | None) -> bool:
    return isinstance(other, Repeat) and one.count == other.count


def _unrolled(one: Repeat, other: Item | None) -> tuple[Item, ...]:
    """Return an array of structs as the structs, to compare it with something else."""
    if one.count * len(one.inner) > _UNROLLED:
        raise Mismatch(one, other)
    return one.inner * one.count


def _named_alike(one: Maybe, other: Maybe) -> bool:
    return one.path == other.path


def _field(path: str) -> str:
    return path.rpartition(".")[2]


def meaning(source: Run, target: Run) -> str | None:
    """Return the rule about the types of two runs of the same bytes; None if they mean the same."""
    x, y = _SAME.get(source.kind or "", source.kind), _SAME.get(target.kind or "", target.kind)
    if x == y or x is None or y is None:
        return None
    if y == _UNUSED:
        return "value.dropped"
    if x == _UNUSED:
        return "value.zeroed"
    plain_x, plain_y = _CHECKED.get(x, x), _CHECKED.get(y, y)
    if plain_x == plain_y:
        return "check.added" if y in _CHECKED else "check.dropped"
    if source.width != target.width:
        return "type.regrouped"
    return "type.changed"
