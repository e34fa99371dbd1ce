"""Changing one device's entry in a vmdescription: what is not changed keeps its bytes.

A thing in the entry is named by steps from the top: a field's number (a struct's), or a subsection's name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from vmstate.describe.vmdesc import Style
from vmstate.errors import StreamError, Unsupported
from vmstate.stream.vmdesc import json_spans

Steps: TypeAlias = Sequence[int | str]


class EntryText:
    """The text of a device's entry while it is changed.  StreamError when it is not what QEMU writes."""

    def __init__(self, text: bytes) -> None:
        self._source = text.decode("latin-1")

    def encode(self) -> bytes:
        """The text as it is now."""
        return self._source.encode("latin-1")

    def set_member(self, steps: Steps, key: str, value: object) -> None:
        """Give a member of what the steps lead to another value (``name``, ``instance_id``, ``version``)."""
        found = self._member(self._object(steps), key)
        self._put(found.value, found.end, json.dumps(value))

    @property
    def signed(self) -> bool:
        """Whether instance ids are written as ints: by QEMU before 5.0, whose text also has more blanks."""
        return self._source.startswith("{ ")

    def add_subsection(self, steps: Steps, text: str, before: str | None) -> None:
        """Insert a subsection's object in front of the one named ``before``, or as the last."""
        at = self._object(steps)
        array = json_spans.member(self._source, at, "subsections")
        separator = ", "
        if array is None:
            end = json_spans.members(self._source, at)[-1].end
            colon = self.style.value[1]
            self._put(end, end, f'{separator}"subsections"{colon}{self.style.array((text,))}')
            return
        inside = json_spans.items(self._source, array.value)
        for start, _ in inside.spans:
            if before is not None and self._name_at(start) == before:
                self._put(start, start, text + separator)
                return
        end = inside.spans[-1][1] if inside.spans else inside.inside
        self._put(end, end, (separator if inside.spans else "") + text)

    def remove_subsection(self, steps: Steps, name: str) -> None:
        """Leave a subsection out, and the list of them if it was the only one."""
        at = self._object(steps)
        array = self._member(at, "subsections")
        spans = json_spans.items(self._source, array.value).spans
        place = next((i for i, (start, _) in enumerate(spans) if self._name_at(start) == name), None)
        if place is None:
            raise StreamError(f"the vmdescription knows no subsection {name}", section="vmdescription")
        start, end = spans[place]
        if len(spans) == 1:
            start, end = json_spans.members(self._source, at)[-2].end, array.end
        elif place:
            start = spans[place - 1][1]
        else:
            end = spans[1][0]
        self._put(start, end, "")

    def grow(self, steps: Steps, by: int) -> None:
        """Add ``by`` bytes to the sizes of the structs around what the steps lead to, and of that itself."""
        for count in range(1, len(steps) + 1):
            if isinstance(steps[count - 1], int):
                size = self._member(self._field(steps[:count]), "size")
                value = json.loads(self._source[size.value : size.end]) + by
                self._put(size.value, size.end, str(value))

    def set_size(self, name: str, size: int) -> None:
        """Give a field of the entry itself another size."""
        for start, _ in self._items(0, "fields"):
            called = self._member(start, "name")
            if json.loads(self._source[called.value : called.end]) == name:
                found = self._member(start, "size")
                self._put(found.value, found.end, str(size))
                return

    def _object(self, steps: Steps) -> int:
        """Where the object with ``fields`` and ``subsections`` begins that the steps lead to."""
        at = 0
        for step in steps:
            at = self._nth_field(at, step) if isinstance(step, int) else self._subsection(at, step)
            if isinstance(step, int):
                struct = json_spans.member(self._source, at, "struct")
                if struct is None:
                    raise Unsupported("only structs of a single element can be changed in a vmdescription")
                at = struct.value
        return at

    def _field(self, steps: Steps) -> int:
        step = steps[-1]
        assert isinstance(step, int)
        return self._nth_field(self._object(steps[:-1]), step)

    def _nth_field(self, at: int, number: int) -> int:
        spans = self._items(at, "fields")
        if number >= len(spans):
            raise StreamError("the vmdescription has fewer fields", section="vmdescription")
        return spans[number][0]

    def _subsection(self, at: int, name: str) -> int:
        spans = self._items(at, "subsections")
        for start, _ in spans:
            if self._name_at(start) == name:
                return start
        raise StreamError(f"the vmdescription knows no subsection {name}", section="vmdescription")

    def _items(self, at: int, key: str) -> list[tuple[int, int]]:
        try:
            return json_spans.items(self._source, self._member(at, key).value).spans
        except (ValueError, IndexError) as error:
            raise StreamError(f"not a list of {key}: {error}", section="vmdescription") from None

    def _name_at(self, at: int) -> str:
        found = self._member(at, "vmsd_name")
        name = str(json.loads(self._source[found.value : found.end]))
        return name.encode("utf-8", "replace").decode()

    def _member(self, at: int, key: str) -> json_spans.Member:
        try:
            found = json_spans.member(self._source, at, key)
        except (ValueError, IndexError) as error:
            raise StreamError(f"not an entry: {error}", section="vmdescription") from None
        if found is None:
            raise StreamError(f"the vmdescription's entry has no {key!r}", section="vmdescription")
        return found

    @property
    def style(self) -> Style:
        """How the text is written (QEMU's writer changed in 6.0)."""
        return Style.SPACED if self._source.startswith("{ ") else Style.COMPACT

    def _put(self, start: int, end: int, text: str) -> None:
        self._source = self._source[:start] + text + self._source[end:]


def configuration_text(vmdesc: bytes) -> bytes | None:
    """The text of the configuration's entry in a vmdescription (written from 8.0 on); None without one."""
    found = json_spans.member(vmdesc.decode("latin-1"), 0, "configuration")
    return None if found is None else vmdesc[found.value : found.end]


def with_configuration(vmdesc: bytes, text: bytes) -> bytes:
    """The vmdescription with another entry of the configuration."""
    found = json_spans.member(vmdesc.decode("latin-1"), 0, "configuration")
    return vmdesc if found is None else vmdesc[: found.value] + text + vmdesc[found.end :]
