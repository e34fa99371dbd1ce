"""Pairs of descriptions: what a destination with one makes of what a source with the other sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vmstate.compatibility.aligning import Laid, Pair, aligned, bare_name
from vmstate.compatibility.issue import Direction, Issue, subsection_path
from vmstate.compatibility.layout import (
    QUEUES,
    STRUCTS,
    Blob,
    Item,
    Maybe,
    Run,
    Side,
    Subsections,
    by_hand,
    width_of,
    words,
)
from vmstate.compatibility.matching import Mismatch, Note, Walk
from vmstate.dataclass import dataclass
from vmstate.schema import Description, Knows, Schema, SchemaField

_MESSAGES = {
    "field.renamed": "the field has another name",
    "condition.changed": "one side has a condition",
    "condition.renamed": "the condition is another function",
    "field.conditional": "only one side has the field, under a condition",
    "type.changed": "the type differs",
    "type.regrouped": "the same bytes are another type",
    "check.added": "the destination compares the value",
    "check.dropped": "the destination no longer compares the value",
    "value.dropped": "the destination has unused bytes here",
    "value.zeroed": "the source has unused bytes here",
    "count.source": "another field counts the elements",
}


_SWAPPED = "the fields come in another order"


@dataclass(frozen=True)
class _Key:
    """A pair that was compared: places in memory, as descriptions are compared many times."""

    source: int
    target: int
    versions: tuple[int, int]


class Descriptions:
    """Compares descriptions of a source with those of a destination; each pair once.

    ``loose``: one side does not tell which arrays have a fixed length, or has only what one state sent.
    Then fields are compared one by one, and lengths only where both sides know them.
    """

    def __init__(self, source: Schema, target: Schema, direction: Direction) -> None:
        self.source, self.target = Side(source, sends=True), Side(target, sends=False)
        self.direction = direction
        counts = {Knows.COUNTS in schema.knows for schema in (source, target)}
        self.sent_only = [Knows.UNSENT not in schema.knows for schema in (source, target)]
        self.loose = len(counts) > 1 or any(self.sent_only)
        self.unclear_counts = len(counts) > 1
        self._known: dict[_Key, dict[Issue, None]] = {}

    # ---- sections and subsections: their version is on the wire

    def section(self, source: Description, target: Description) -> list[Issue]:
        """Compare a section, or a subsection, of both sides."""
        found: dict[Issue, None] = {}
        self._versioned(source, target, found)
        return list(found)

    def _versioned(self, source: Description, target: Description, found: dict[Issue, None]) -> None:
        name, version = self._newer(source.name, target.name), source.version_id
        if source.opaque or target.opaque:
            if source.opaque != target.opaque:
                side, one = ("source", self.source) if source.opaque else ("destination", self.target)
                rule = "not-compared.by-hand" if one.schema.in_use else "not-compared.description"
                self._add(found, rule, name, f"the {side} has no description of it", None, None)
            if version == target.version_id or source.opaque != target.opaque:
                return
        old_new = (f"version {version}", _window(target))
        oldest = target.minimum_version_id
        if version > target.version_id:
            same = self._same_bytes(source, target)
            rule = "version.needless" if same else "version.too-new"
            self._add(found, rule, name, "the section's version is too new", *old_new)
        elif oldest is not None and version < oldest:
            self._add(found, "version.too-old", name, "the section's version is too old", *old_new)
        # A refused version is reported; the rest is compared as if it were not.
        inner: dict[Issue, None] = {}
        self._fields(source, target, (version, max(version, oldest or 0)), inner)
        newer = {f"{source.name}.{f.name}" for f in source.fields if f.version_id > target.version_id}
        removed = {issue for issue in inner if issue.rule == "field.removed" and issue.path in newer}
        found.update({issue: None for issue in inner if issue not in removed})
        self._skipped(target, version, found)
        if source.early_setup != target.early_setup:
            texts = (_setup(source), _setup(target))
            self._add(found, "device.early", name, "only one side sends it early", *texts)
        if source.unmigratable and not target.unmigratable:
            texts2 = ("cannot migrate", "can migrate")
            self._add(found, "device.unmigratable", name, "the source cannot migrate", *texts2)

    def _same_bytes(self, source: Description, target: Description) -> bool:
        if self.loose or source.opaque:
            return False
        items = self.source.items(source, source.version_id), self.target.items(target, target.version_id)
        walk = Walk(lambda _x, _y: None)
        if any(isinstance(item, Blob) for side in items for item in side):
            return False
        try:
            walk.items(*items)
        except Mismatch:
            return False
        return all(note.rule == "field.renamed" for note in walk.notes)

    def _skipped(self, target: Description, version: int, found: dict[Issue, None]) -> None:
        for one in target.fields:
            if version < one.version_id <= target.version_id and not one.conditional and not one.must_exist:
                texts = (f"version {version}", f"needs version {one.version_id}")
                path = f"{target.name}.{one.name}"
                self._add(found, "field.skipped", path, "the field is not loaded", *texts)

    def _subsections(
        self, source: Description | None, target: Description | None, found: dict[Issue, None]
    ) -> None:
        """Compare what may follow the fields; the order of subsections does not matter."""
        sent = source.subsections if source else ()
        known: dict[str, list[Description]] = {}
        for one in target.subsections if target else ():
            known.setdefault(one.name, []).append(one)
        owner = (target or source or Description("?")).name
        seen: Counter[str] = Counter()
        for one in sent:
            name = one.name
            twins = known.get(name, [])
            renamed = source is not None and target is not None and name.startswith(source.name)
            if twins and renamed and not name.startswith(owner):
                texts = (name, owner)
                self._add(found, "subsection.prefix", name, "the name does not begin as it must", *texts)
            elif seen[name] < len(twins):
                # A second one of the same name is a fault of one side alone, which linting reports.
                self._versioned(one, twins[seen[name]], found)
                seen[name] += 1
            elif twins:
                message = "the destination takes it for another subsection of this name"
                self._add(
                    found, "subsection.unknown", subsection_path(owner, name), message, _sent(one), None
                )
            elif self.sent_only[1]:
                message = "the destination's stream does not have the subsection"
                self._add(found, "not-compared.unsent", subsection_path(owner, name), message, "sent", None)
            elif one.conditional or self.sent_only[0]:
                message = "the destination does not know the subsection"
                self._add(
                    found, "subsection.unknown", subsection_path(owner, name), message, _sent(one), None
                )
            else:
                message = "the destination does not know the subsection"
                self._add(
                    found, "subsection.always", subsection_path(owner, name), message, "always sent", None
                )
        for name in known.keys() - {one.name for one in sent}:
            if not self.sent_only[0]:
                message = "only the destination has the subsection"
                self._add(found, "subsection.only-read", subsection_path(owner, name), message, None, "read")

    # ---- fields

    def _fields(
        self, source: Description, target: Description, versions: tuple[int, int], found: dict[Issue, None]
    ) -> None:
        key = _Key(id(source), id(target), versions)
        if key not in self._known:
            own: dict[Issue, None] = {}
            self._known[key] = own
            self._compare(source, target, versions, own)
        found.update(self._known[key])

    def _compare(
        self, source: Description, target: Description, versions: tuple[int, int], found: dict[Issue, None]
    ) -> None:
        if source.opaque:
            return
        if not self.loose:
            tails: list[tuple[Subsections | None, Subsections | None]] = []
            walk = Walk(lambda x, y: tails.append((x, y)))
            items = self.source.items(source, versions[0]), self.target.items(target, versions[1])
            try:
                walk.items(*items)
            except Mismatch:
                pass
            else:
                self._notes(walk.notes, found)
                self._orders(source, target, found)
                for x, y in tails:
                    self._subsections(x.owner if x else None, y.owner if y else None, found)
                return
        self._aligned(source, target, versions, found)

    def _orders(self, source: Description, target: Description, found: dict[Issue, None]) -> None:
        """Find fields of the same bytes in another order, in inner descriptions too."""
        ours, theirs = _order(source, target), _order(target, source)
        for one, other in zip(ours, theirs, strict=True):
            if one != other:
                path = f"{self._newer(source.name, target.name)}.{self._newer(one, other)}"
                issue = Issue(
                    "fields.swapped", path, _SWAPPED, *self._texts(one, other), directions=(self.direction,)
                )
                if not any(known.rule == issue.rule and known.path == path for known in found):
                    found[issue] = None
        inner = {f.name: f.vmsd for f in target.fields if f.vmsd is not None}
        for field in source.fields:
            vmsd = inner.get(field.name)
            if field.vmsd is not None and vmsd is not None and vmsd is not field.vmsd:
                self._orders(field.vmsd, vmsd, found)

    def _aligned(
        self, source: Description, target: Description, versions: tuple[int, int], found: dict[Issue, None]
    ) -> None:
        """Find each difference: fields are paired by name and layout, and the pairs compared."""
        before = len(found)
        sides = (self.source.fields(source, versions[0]), self.target.fields(target, versions[1]))
        items = (
            [(one, self.source.of_field(source, one)) for one in sides[0]],
            [(one, self.target.of_field(target, one)) for one in sides[1]],
        )
        pairs = list(aligned(*self._opened(*items), named=any(self.sent_only)))
        if self.loose:
            self._regions(source, target, pairs, found)
        else:
            for pair in pairs:
                self._pair(source, target, pair, found)
        if not self.loose and not any(_breaks(issue) for issue in list(found)[before:]):
            texts = (
                words(self.source.items(source, versions[0])),
                words(self.target.items(target, versions[1])),
            )
            self._add(found, "layout.differs", target.name, "the layouts differ", *texts)
        if source.subsections or target.subsections:
            self._subsections(source, target, found)

    def _regions(
        self, source: Description, target: Description, pairs: list[Pair], found: dict[Issue, None]
    ) -> None:
        """Compare pairs; a number of them that differ one by one may have the same bytes together."""
        region: list[Pair] = []
        kept: dict[Issue, None] = {}
        for pair in [*pairs, None]:
            own: dict[Issue, None] = {}
            if pair is not None:
                self._pair(source, target, pair, own)
                alone = pair.source is None or pair.target is None
                if alone or any(_breaks(issue) for issue in own):
                    region.append(pair)
                    kept.update(own)
                    continue
            if not any(_breaks(issue) for issue in kept) or not self._together(region, found):
                found.update(kept)
            region, kept = [], {}
            found.update(own)

    def _together(self, region: list[Pair], found: dict[Issue, None]) -> bool:
        """Return True if all fields of a region have the same bytes on both sides."""
        sides = [
            [item for laid in side if laid is not None for item in laid[1]]
            for side in ([pair.source for pair in region], [pair.target for pair in region])
        ]
        sent = [[inner for item in side for inner in _plainly((item,))] for side in sides]
        for tried in (sides, sent):  # what has a condition is not there, or is
            walk = Walk(lambda _x, _y: None)
            try:
                walk.items(*tried)
            except Mismatch:
                continue
            self._notes((note for note in walk.notes if note.rule != "field.conditional"), found)
            return True
        return False

    def _opened(self, ours: list[Laid], theirs: list[Laid]) -> tuple[list[Laid], list[Laid]]:
        """Take apart a struct of one side if the other has fields of its names in its place."""
        names = [{one.name for one, _ in side} for side in (ours, theirs)]
        return (
            self._open(self.source, ours, names[1] - names[0]),
            self._open(self.target, theirs, names[0] - names[1]),
        )

    @staticmethod
    def _open(side: Side, laid: list[Laid], missing: set[str]) -> list[Laid]:
        opened: list[Laid] = []
        for one, items in laid:
            if one.vmsd is None or one.count is not None or one.conditional or not items:
                opened.append((one, items))
                continue
            inner = side.fields(one.vmsd, side.version_of(one)) if one.kind not in QUEUES else []
            if one.pointers or missing.isdisjoint(field.name for field in inner):
                opened.append((one, items))
            else:
                opened += [(field, side.of_field(one.vmsd, field)) for field in inner]
        return opened

    def _pair(self, source: Description, target: Description, pair: Pair, found: dict[Issue, None]) -> None:
        if pair.source is None or pair.target is None:
            self._one_sided(source, target, pair, found)
            return
        (x, sent), (y, known) = pair.source, pair.target
        path = self._newer(f"{source.name}.{x.name}", f"{target.name}.{y.name}")
        if self.loose:
            self._loosely(x, y, (source, target), path, found)
            return
        if x.conditional != y.conditional:
            self._add(
                found, "condition.changed", path, _MESSAGES["condition.changed"], words(sent), words(known)
            )
            sent, known = (_plainly(items) for items in (sent, known))
        tails: list[tuple[Subsections | None, Subsections | None]] = []
        walk = Walk(lambda one, other: tails.append((one, other)))
        try:
            walk.items(sent, known)
        except Mismatch:
            self._broken(x, y, sent, known, path, found)
            return
        self._notes(walk.notes, found)
        for one, other in tails:
            self._subsections(one.owner if one else None, other.owner if other else None, found)

    def _broken(
        self,
        x: SchemaField,
        y: SchemaField,
        sent: Sequence[Item],
        known: Sequence[Item],
        path: str,
        found: dict[Issue, None],
    ) -> None:
        """Report a field that both sides have, with other bytes."""
        same_frame = (x.count, x.pointers, x.marked) == (y.count, y.pointers, y.marked)
        if x.vmsd is not None and y.vmsd is not None and same_frame and _framed_alike(x, y):
            versions = self.source.version_of(x), self.target.version_of(y)
            inner: dict[Issue, None] = {}
            self._fields(x.vmsd, y.vmsd, versions, inner)
            found.update(inner)
            if any(_breaks(issue) for issue in inner):
                return
        if by_hand(sent) or by_hand(known) or _counted_by_code(x) != _counted_by_code(y):
            message = "only code knows the bytes of one side"
            self._add(found, "not-compared.field", path, message, _sized(x, sent), _sized(y, known))
            return
        rule = "layout.differs"
        if len(sent) == len(known) == 1 and isinstance(sent[0], Run) and isinstance(known[0], Run):
            rule = "field.size"
            if sent[0].width == known[0].width and (x.count, y.count) != (None, None):
                rule = "array.length"
        elif x.count != y.count and x.kind == y.kind:
            rule = "array.length"
        self._add(found, rule, path, "the bytes differ", _sized(x, sent), _sized(y, known))

    def _one_sided(
        self, source: Description, target: Description, pair: Pair, found: dict[Issue, None]
    ) -> None:
        mine = pair.source or pair.target
        assert mine is not None
        one, items = mine
        sent = pair.source is not None
        if not items:
            return
        owner, others = (source, target) if sent else (target, source)
        array = self._array_of(one, others) if self.sent_only[0 if sent else 1] else None
        if array is not None:  # one element of an array whose elements differ
            path = f"{owner.name}.{one.name}"
            fields, owners = ((one, array), (owner, others)) if sent else ((array, one), (others, owner))
            self._loosely(*fields, owners, path, found)
            return
        path = f"{owner.name}.{one.name}"
        text = _sized(one, items)
        texts = (text, None) if sent else (None, text)
        maybe = one.conditional or isinstance(one.count, str)
        if self.sent_only[0 if not sent else 1] and maybe:
            return  # the other side is one state, which did not need it
        if isinstance(items[0], Maybe):
            self._add(found, "field.conditional", path, _MESSAGES["field.conditional"], *texts)
        elif sent:
            self._add(found, "field.removed", path, "the destination does not read the field", *texts)
        else:
            self._add(found, "field.added", path, "the source does not send the field", *texts)

    @staticmethod
    def _array_of(one: SchemaField, others: Description) -> SchemaField | None:
        name = bare_name(one.name)
        arrays = (f for f in others.fields if f.count is not None or f.pointers)
        return next((f for f in arrays if bare_name(f.name) == name), None)

    # ---- where one side knows less

    def _loosely(
        self,
        x: SchemaField,
        y: SchemaField,
        owners: tuple[Description, Description],
        path: str,
        found: dict[Issue, None],
    ) -> None:
        """Compare one element of a field, and the number of elements where both know it."""
        if _frame(x) == "null" and y.pointers:
            return
        if bare_name(x.name) != bare_name(y.name):
            self._add(found, "field.renamed", path, _MESSAGES["field.renamed"], x.name, y.name)
        if x.conditional != y.conditional and not any(self.sent_only):
            texts = (_condition(x), _condition(y))
            self._add(found, "condition.changed", path, _MESSAGES["condition.changed"], *texts)
        if x.vmsd is not None and y.vmsd is not None:
            self._fields(x.vmsd, y.vmsd, (self.source.version_of(x), self.target.version_of(y)), found)
            self._lengths(x, y, path, found)
            return
        if _frame(x) == "queue" and _frame(y) == "queue":
            return
        sides = self.source.element(owners[0], x, path), self.target.element(owners[1], y, path)
        known = [width_of(items) for items in sides]
        texts = (_sized(x, sides[0]), _sized(y, sides[1]))
        if _variable(x) or _variable(y) or None in known:
            if x.kind is not None and y.kind is not None and _plain(x.kind) != _plain(y.kind):
                unclear = by_hand(sides[0]) or by_hand(sides[1])
                rule = "not-compared.field" if unclear else "layout.differs"
                self._add(found, rule, path, "the types differ", *texts)
            return
        if (known[0] != known[1]) and self._counts_clear(x, y):
            total = [w * (one.count or 1) for w, one in zip(known, (x, y), strict=True) if w is not None]
            if total[0] != total[1]:
                self._add(found, "field.size", path, "the bytes differ", *texts)
                return
        walk = Walk(lambda _x, _y: None)
        try:
            walk.items(*sides)
        except Mismatch:
            self._add(found, "field.size", path, "the bytes differ", *texts)
            return
        self._notes((n for n in walk.notes if n.rule != "field.renamed"), found)
        self._lengths(x, y, path, found)

    def _counts_clear(self, x: SchemaField, y: SchemaField) -> bool:
        return not isinstance(x.count, str) and not isinstance(y.count, str)

    def _lengths(self, x: SchemaField, y: SchemaField, path: str, found: dict[Issue, None]) -> None:
        """Compare numbers of elements; one that a field gives is whatever the state had."""
        if isinstance(x.count, str) or isinstance(y.count, str) or x.pointers or y.pointers:
            return
        if any(self.sent_only) and None in (x.count, y.count):
            return  # an element that was described on its own
        counts = (x.count or 1, y.count or 1) if None in (x.count, y.count) else (x.count, y.count)
        if counts[0] == counts[1]:
            return
        texts = (f"{counts[0]} elements", f"{counts[1]} elements")
        if all(self.sent_only):
            self._add(found, "array.sent", path, "the number of elements differs", *texts)
        elif self.unclear_counts and None in (x.count, y.count) and not any(self.sent_only):
            self._add(found, "not-compared.field", path, "one source does not tell the number", *texts)
        else:
            self._add(found, "array.length", path, "the number of elements differs", *texts)

    # ---- writing issues

    def _notes(self, notes: Iterable[Note], found: dict[Issue, None]) -> None:
        notes = list(notes)
        swapped = _swapped(notes)
        for note in notes:
            rule = "fields.swapped" if note in swapped else note.rule
            message = _SWAPPED if note in swapped else _MESSAGES[note.rule]
            self._add(
                found,
                rule,
                self._newer(note.source_path, note.target_path),
                message,
                note.source,
                note.target,
            )

    def _newer(self, source: str, target: str) -> str:
        """Return the path of the new side."""
        return target if self.direction is Direction.FORWARD else source

    def _add(
        self,
        found: dict[Issue, None],
        rule: str,
        path: str,
        message: str,
        source: str | None,
        target: str | None,
    ) -> None:
        old, new = self._texts(source, target)
        found.setdefault(Issue(rule, path, message, old, new, (self.direction,)))

    def _texts(self, source: str | None, target: str | None) -> tuple[str | None, str | None]:
        return (source, target) if self.direction is Direction.FORWARD else (target, source)


def _breaks(issue: Issue) -> bool:
    return issue.rule in {
        *("field.removed", "field.added", "field.size", "array.length", "layout.differs"),
        *("field.conditional", "condition.changed", "type.regrouped", "not-compared.field"),
    }


def _swapped(notes: Sequence[Note]) -> set[Note]:
    """Return the renames whose fields the other side has in other places: each is loaded into another one."""
    renames = {note for note in notes if note.rule == "field.renamed" and note.source != "unused"}
    sources, targets = {n.source_path for n in renames}, {n.target_path for n in renames}
    return {note for note in renames if note.source_path in targets or note.target_path in sources}


def _order(one: Description, other: Description) -> list[str]:
    """Return the names of fields that both have once, in the order of the first."""
    counts = [Counter(f.name for f in side.fields if not f.must_exist) for side in (one, other)]
    return [
        f.name
        for f in one.fields
        if counts[0][f.name] == counts[1][f.name] == 1 and f.kind != "unused_buffer"
    ]


def _plainly(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return a field's layout without its condition."""
    return items[0].inner if len(items) == 1 and isinstance(items[0], Maybe) else items


def _window(one: Description) -> str:
    oldest = "?" if one.minimum_version_id is None else one.minimum_version_id
    return f"accepts versions {oldest} to {one.version_id}"


def _setup(one: Description) -> str:
    return "sent in the setup" if one.early_setup else "sent at the end"


def _sent(one: Description) -> str:
    return "sent if needed" if one.conditional else "sent"


def _condition(one: SchemaField) -> str:
    return "under a condition" if one.conditional else "always"


def _framed_alike(x: SchemaField, y: SchemaField) -> bool:
    return _frame(x) == _frame(y)


def _frame(one: SchemaField) -> str:
    if one.kind in QUEUES:
        return "queue"
    if one.kind == "nullptr":
        return "null"
    return "struct" if one.kind in STRUCTS or (one.kind is None and one.vmsd is not None) else "plain"


def _counted_by_code(one: SchemaField) -> bool:
    """Return True if a number of elements or bytes is known only to code."""
    return "" in (one.count, one.size)


def _variable(one: SchemaField) -> bool:
    return isinstance(one.size, str)


def _plain(kind: str) -> str:
    return {"buffer": "uint8"}.get(kind, kind)


def _sized(one: SchemaField, items: Sequence[Item]) -> str:
    """Return a field's layout in words, with its bytes if they are fixed."""
    width = width_of(items)
    if one.vmsd is not None and one.kind not in QUEUES:
        size = "" if width is None else f" of {width} bytes"
        return f"struct {one.vmsd.name}{size}" + (f"[{one.count}]" if one.count is not None else "")
    if len(items) == 1 and isinstance(items[0], Blob):
        return f"{items[0].kind or 'unknown'}, written by hand"
    size = "" if width is None or len(items) == 1 else f" ({width} bytes)"
    return words(items) + size
