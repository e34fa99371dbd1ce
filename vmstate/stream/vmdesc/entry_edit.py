"""Change one device's entry in a vmdescription; unchanged text keeps its bytes.

Steps from the top lead to an object in the entry: the number of a struct field, or the name of a subsection.
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
    """The editable text of a device's entry.  StreamError when it is not in the form that QEMU writes."""

    def __init__(self, text: bytes) -> None:
        self._source = text.decode("latin-1")

    def encode(self) -> bytes:
        """Return the current text."""
        return self._source.encode("latin-1")

    def set_member(self, steps: Steps, key: str, value: object) -> None:
        """Set a member of the object that the steps lead to (``name``, ``instance_id``, ``version``)."""
        found = self._member(self._object(steps), key)
        self._put(found.value, found.end, json.dumps(value))

    @property
    def signed(self) -> bool:
        """True if instance ids are signed, as QEMU before 5.0 writes them in its more spacious text."""
        return self._source.startswith("{ ")

    def add_subsection(self, steps: Steps, text: str, before: str | None) -> None:
        """Insert a subsection's object in front of the one named ``before``, or at the end."""
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
        """Remove a subsection, and the list of subsections if it was the only one."""
        at = self._object(steps)
        array = self._member(at, "subsections")
        spans = json_spans.items(self._source, array.value).spans
        place = next((i for i, (start, _) in enumerate(spans) if self._name_at(start) == name), None)
        if place is None:
            raise StreamError(f"the vmdescription has no subsection {name}", section="vmdescription")
        start, end = spans[place]
        if len(spans) == 1:
            start, end = json_spans.members(self._source, at)[-2].end, array.end
        elif place:
            start = spans[place - 1][1]
        else:
            end = spans[1][0]
        self._put(start, end, "")

    def grow(self, steps: Steps, by: int) -> None:
        """Add ``by`` bytes to the size of the struct that the steps lead to, and of all structs around it."""
        for count in range(1, len(steps) + 1):
            if isinstance(steps[count - 1], int):
                size = self._member(self._field(steps[:count]), "size")
                value = json.loads(self._source[size.value : size.end]) + by
                self._put(size.value, size.end, str(value))

    def set_size(self, name: str, size: int) -> None:
        """Set the size of a field of the entry itself."""
        for start, _ in self._items(0, "fields"):
            called = self._member(start, "name")
            if json.loads(self._source[called.value : called.end]) == name:
                found = self._member(start, "size")
                self._put(found.value, found.end, str(size))
                return

    def _object(self, steps: Steps) -> int:
        """Return the start of the object with ``fields`` and ``subsections`` that the steps lead to."""
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
        raise StreamError(f"the vmdescription has no subsection {name}", section="vmdescription")

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
        """The text's style (QEMU's writer changed in 6.0)."""
        return Style.SPACED if self._source.startswith("{ ") else Style.COMPACT

    def _put(self, start: int, end: int, text: str) -> None:
        self._source = self._source[:start] + text + self._source[end:]


def configuration_text(vmdesc: bytes) -> bytes | None:
    """Return the text of the configuration's entry in a vmdescription (since 8.0); None without one."""
    found = json_spans.member(vmdesc.decode("latin-1"), 0, "configuration")
    return None if found is None else vmdesc[found.value : found.end]


def with_configuration(vmdesc: bytes, text: bytes) -> bytes:
    """Return the vmdescription with the configuration's entry replaced."""
    found = json_spans.member(vmdesc.decode("latin-1"), 0, "configuration")
    return vmdesc if found is None else vmdesc[: found.value] + text + vmdesc[found.end :]
