"""The JSON that QEMU appends to a stream (the vmdesc), written from descriptions as QEMU writes it.

migration/vmstate.c vmsd_desc_field_start/_end and migration/savevm.c; JSON text by qjson.c (to 5.2)
and qobject/json-writer.c (from 6.0).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache, lru_cache
from typing import Any, Protocol

from vmstate.dataclass import dataclass
from vmstate.describe.arrays import WireRecords
from vmstate.describe.composites import QueueInfo, TmpInfo, TreeInfo
from vmstate.describe.cursor import Writer
from vmstate.describe.fields import Field
from vmstate.describe.history import History, Release
from vmstate.describe.plan import Plan, plan_of, type_name
from vmstate.describe.steps import Nothing, Run, Step, count_of, fetch
from vmstate.describe.struct_steps import Nested, Structs
from vmstate.errors import EncodeError


class Style(Enum):
    """The spaces that a release's JSON writer puts: after ``{``/``[``, around ``:``, before ``}``/``]``."""

    SPACED = (" ", " : ")
    COMPACT = ("", ": ")

    def object(self, pairs: Iterable[tuple[str, str]]) -> str:
        """Return an object of names and values, already JSON, in order; names may repeat."""
        pad, colon = self.value
        return "{" + pad + ", ".join(f'"{k}"{colon}{v}' for k, v in pairs) + pad + "}"

    def array(self, items: Iterable[str]) -> str:
        """Return an array of values that are JSON already."""
        pad = self.value[0]
        return "[" + pad + ", ".join(items) + pad + "]"


STYLE = History(Style.SPACED, ("6.0", Style.COMPACT))
# The type of the entries for null pointers; None: they have no entries.  11.0 was not checked.
NULL_TYPE: History[str | None] = History(None, ("10.0", "nullptr"), ("11.1", "ptr-marker"))
SIGNED_INSTANCES = History(True, ("5.0", False))  # instance ids were ints; those of DMA windows are large
# Elements that are described one by one have their index.  11.0 was not checked.
NUMBERS_ELEMENTS = History(True, ("11.1", False))
DESCRIBES_CONFIGURATION = History(False, ("8.2", True))


#: The most results that are kept for descriptions made from streams.
_KEPT = 4096


@lru_cache(maxsize=_KEPT)
def _quoted(text: str | None) -> str:
    return json.dumps(text)


@dataclass(frozen=True)
class VmdescWriter:
    """Writes descriptions as one release does.

    ``replay``: for decoded states, with the subsections that they came with, and without running hooks.
    """

    style: Style
    null_type: str | None
    signed_instances: bool = False
    numbers_elements: bool = True
    replay: bool = False

    @staticmethod
    def at(release: Release | str) -> VmdescWriter:
        """Return the writer of a release."""
        return _writer(Release.parse(release))

    def device(self, plan: Plan, idstr: str, instance_id: int, state: Any) -> str:
        """Return the entry of a section that was just saved from ``state``."""
        return self.style.object([*self._ids(idstr, instance_id), *self.group(plan, state, plan.version_id)])

    def undescribed(self, idstr: str, instance_id: int, size: int) -> str:
        """Return the entry of a device without a description, of ``size`` bytes (vmstate_save_old_style)."""
        data = self.style.object((("name", '"data"'), ("size", str(size)), ("type", '"buffer"')))
        pairs = (("size", str(size)), ("fields", self.style.array((data,))))
        return self.style.object([*self._ids(idstr, instance_id), *pairs])

    def _ids(self, idstr: str, instance_id: int) -> list[tuple[str, str]]:
        if self.signed_instances and instance_id >= 1 << 31:
            instance_id -= 1 << 32
        return [("name", _quoted(idstr)), ("instance_id", str(instance_id))]

    def group(self, plan: Plan, state: Any, version_id: int) -> Iterator[tuple[str, str]]:
        """Yield ``vmsd_name``, ``version``, ``fields`` and, if any were sent, ``subsections``."""
        yield from _heading(plan, version_id)
        yield "fields", self._fields(plan, state, version_id)
        if not plan.ordered:
            return
        sent = (one for one, _ in plan.came(state)) if self.replay else plan.sent(state)
        described = [self._subsection(one, state) for one in sent]
        if described:
            yield "subsections", self.style.array(described)

    def _subsection(self, plan: Plan, state: Any) -> str:
        if is_static(plan) and not plan.ordered:
            return _static_subsection(self, plan)
        return self.style.object(self.group(plan, state, plan.version_id))

    def _fields(self, plan: Plan, state: Any, version_id: int) -> str:
        if is_static(plan):
            return _static_fields(self, plan, version_id)
        return self.style.array(self._entries(plan, state, version_id))

    def _entries(self, plan: Plan, state: Any, version_id: int) -> Iterator[str]:
        for step, name, static in _parts(self, plan):
            if static is not None:
                if step.version_id <= version_id:
                    yield static
            elif type(step) is not Nothing and step.present(state, version_id):
                yield from self.entry(step, name, state)

    def entry(self, step: Step, name: str, state: Any) -> Iterator[str]:
        """Yield the entries of a field: one, unless its elements differ or null pointers split it."""
        field = step.field
        count = count_of(field, state)
        if compresses(field) and not field.pointers:
            if count:
                yield self._element(step, name, state, 0, count, null=False)
            return
        if field.marked:
            yield from self._marked(step, name, state, count)
            return
        null_before = described = False
        for i in range(count):
            null = field.pointers and fetch(field, state)[field.start + i] is None
            length = count - i if self.null_type else count
            if self.null_type and field.pointers and null != null_before:
                null_before, described = null, False
                length = _run_length(field, state, i, count)
            if not (described and compresses(field)):
                described = True
                yield self._element(step, name, state, i, length, null=null)

    def _marked(self, step: Step, name: str, state: Any, count: int) -> Iterator[str]:
        """Yield an entry for each marker and each element; none stands for others (vmsd_can_compress)."""
        field = step.field
        pairs = (("name", _quoted(name)), ("type", _quoted(self.null_type)), ("size", "1"))
        for i in range(count):
            yield self.style.object(pairs)
            if fetch(field, state)[field.start + i] is not None:
                yield self._element(step, name, state, i, 1, null=False)

    def _element(self, step: Step, name: str, state: Any, index: int, length: int, *, null: bool) -> str:
        field = step.field
        pairs = [("name", _quoted(name))]
        if length > 1:
            if compresses(field):
                pairs.append(("array_len", str(length)))
            elif self.numbers_elements:
                pairs.append(("index", str(index)))
        fake = null and self.null_type is not None
        pairs.append(("type", _quoted(self.null_type if fake else type_name(field))))
        inner: list[tuple[str, str]] = []
        if field.vmsd is not None and not null:
            inner = list(self._inner(step, state, index))
        if field.vmsd is not None and field.info is None and field.struct_version is None and not fake:
            pairs.append(("struct", self.style.object(inner)))
        else:
            pairs += inner
        pairs.append(("size", str(1 if null else element_size(step, state, index, replay=self.replay))))
        return self.style.object(pairs)

    def _inner(self, step: Step, state: Any, index: int) -> Iterator[tuple[str, str]]:
        if isinstance(step, Nested):
            yield from self.group(step.plan, _element_state(step, state, index), step.version)
            return
        field = step.field
        assert field.vmsd is not None
        plan = plan_of(field.vmsd)
        if isinstance(field.info, TmpInfo):
            scratch = fetch(field, state) if self.replay or field.make is None else field.make(state)
            if plan.pre_save is not None and not self.replay:
                plan.pre_save(scratch)
            yield from self.group(plan, scratch, plan.version_id)
        elif isinstance(field.info, QueueInfo):
            for element in fetch(field, state):
                yield from self.group(plan, element, plan.version_id)
        elif isinstance(field.info, TreeInfo):
            for key, value in fetch(field, state):
                if field.key is not None:
                    yield from self.group(plan_of(field.key), key, plan_of(field.key).version_id)
                yield from self.group(plan, value, plan.version_id)


@cache
def _writer(release: Release) -> VmdescWriter:
    return VmdescWriter(
        STYLE.at(release),
        NULL_TYPE.at(release),
        SIGNED_INSTANCES.at(release),
        NUMBERS_ELEMENTS.at(release),
    )


@lru_cache(maxsize=_KEPT)
def _heading(plan: Plan, version_id: int) -> tuple[tuple[str, str], ...]:
    return (("vmsd_name", _quoted(plan.vmsd.name)), ("version", str(version_id)))


@lru_cache(maxsize=_KEPT)
def _static_subsection(writer: VmdescWriter, plan: Plan) -> str:
    return writer.style.object(writer.group(plan, None, plan.version_id))


@lru_cache(maxsize=_KEPT)
def _static_fields(writer: VmdescWriter, plan: Plan, version_id: int) -> str:
    parts = _parts(writer, plan)
    return writer.style.array(
        text for step, _, text in parts if text is not None and step.version_id <= version_id
    )


@lru_cache(maxsize=_KEPT)
def _parts(writer: VmdescWriter, plan: Plan) -> tuple[tuple[Step, str, str | None], ...]:
    """Return each field's step and name, and its entry if no state can change it (None for a validator)."""
    parts = []
    for step, name in zip(plan.fine, unique_names(plan.vmsd.fields), strict=True):
        static = type(step) is not Nothing and _static_field(step.field, step)
        text = ", ".join(writer.entry(step, name, _Zeros())) if static else None
        parts.append((step, name, text or None))
    return tuple(parts)


class _Zeros:
    """A state for static layouts: it has every attribute and element; no size depends on them."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, index: int) -> Any:
        return self


@lru_cache(maxsize=_KEPT)
def is_static(plan: Plan) -> bool:
    """Return True if the layout of the fields (not the subsections) never depends on the state."""
    return all(_static_field(f, s) for f, s in zip(plan.vmsd.fields, plan.fine, strict=True))


def _static_field(field: Field, step: Step) -> bool:
    if (
        field.exists is not None
        or isinstance(field.count, str)
        or isinstance(field.size, str)
        or field.pointers
    ):
        return False
    if isinstance(step, Nested):
        return not step.plan.ordered and is_static(step.plan)
    return field.vmsd is None and (
        field.info is not None and (field.info.width is not None or field.size > 0)
    )


@lru_cache(maxsize=_KEPT)
def compresses(field: Field) -> bool:
    """Return True if an array is described by its first element only (vmsd_can_compress)."""
    if field.exists is not None or field.marked:
        return False
    if field.vmsd is not None and field.info is None and field.struct_version is None:
        return all(compresses(f) for f in field.vmsd.fields) and not field.vmsd.subsections
    return True


class Named(Protocol):
    """A field of any kind: only its name counts here."""

    @property
    def name(self) -> str: ...


def unique_names(fields: Iterable[Named]) -> list[str]:
    """Return the fields' names; those that occur more than once get ``[n]`` appended."""
    fields = list(fields)
    total = Counter(f.name for f in fields)
    seen: Counter[str] = Counter()
    names = []
    for f in fields:
        names.append(f.name if total[f.name] == 1 else f"{f.name}[{seen[f.name]}]")
        seen[f.name] += 1
    return names


def _run_length(field: Field, state: Any, index: int, count: int) -> int:
    values = fetch(field, state)
    null = values[field.start + index] is None
    for j in range(index + 1, count):
        if (values[field.start + j] is None) != null:
            return j - index
    return count - index


def _element_state(step: Nested, state: Any, index: int) -> Any:
    if step.field.attr == ".":
        return state
    value = fetch(step.field, state)
    return value if step.field.count is None else value[step.field.start + index]


def element_size(step: Step, state: Any, index: int, *, replay: bool = False) -> int:
    """Return the size of an element on the wire in bytes."""
    field = step.field
    if field.info is not None and field.info.width is not None:
        return field.info.width
    if isinstance(step, Nested):
        if isinstance(step, Structs) and isinstance(value := fetch(field, state), WireRecords):
            return value.item.size
        fixed = fixed_size(step.plan, step.version)
        if fixed is not None:
            return fixed
        return step.plan.size(_element_state(step, state, index), step.version, replay=replay)
    if type(field.size) is int and field.size and field.vmsd is None:
        return (
            -(-field.size // 64) * 8 if field.info is not None and field.info.name == "bitmap" else field.size
        )
    out = Writer(quiet=not isinstance(field.info, TmpInfo), replay=replay)  # hooks make scratch state
    if field.count is not None:
        raise EncodeError(f"{field.name}: elements of a varying size are not described")
    step.save(out, state)
    return out.size


@lru_cache(maxsize=_KEPT)
def fixed_size(plan: Plan, version_id: int) -> int | None:
    """Return the size of the fields in bytes; None if it varies, or if there are subsections."""
    if not is_static(plan) or plan.ordered:
        return None
    zeros = _Zeros()
    steps = [s for s in plan.fine if type(s) not in (Nothing, Run) and s.version_id <= version_id]
    return sum(element_size(s, zeros, 0) * count_of(s.field, zeros) for s in steps)
