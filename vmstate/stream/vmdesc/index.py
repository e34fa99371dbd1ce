"""Find and index the trailing vmdescription, which gives the length of each device's payload.

A walk would reach it, but without our declarations a stream can be walked only with its help.  So it is
searched for from the end: the JSON text reaches the last byte, preceded by its length, the mark and the end
mark.  QEMU's JSON holds no byte below 0x20, so the last 0x06 of the stream is the mark, or one of the four
bytes after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from vmstate.dataclass import dataclass, field
from vmstate.describe.from_vmdesc import whole_characters
from vmstate.errors import StreamError
from vmstate.stream.constants import PAGE_SIZES, SectionType
from vmstate.stream.items import VmDescription
from vmstate.stream.wire import Window, bytes_of

_HEADER = 5
_MAX_SIZE = 1 << 62
_STEP, _FINE_STEP = 1 << 20, 1 << 16


def find_vmdesc(win: Window) -> VmDescription | None:
    """Return the vmdescription at the end of a complete window; None without one.

    Zeros may follow it: the rest of the volume or tape that the stream was written to.
    """
    end = _used(win)
    if end - win.base < _HEADER + 2 or win.u8(end - 1) != ord("}"):
        return None
    last = _rfind(win, SectionType.VMDESCRIPTION, end)
    # The mark's length bytes may themselves be 0x06: try the four bytes in front of the last one too.
    for start in range(last, max(win.base - 1, last - 5), -1):
        if _fits(win, start, end):
            return VmDescription(start, start + _HEADER, end)
    return None


def _used(win: Window) -> int:
    """Return the end of the bytes of a window that are not zeros."""
    end = win.end
    while end > win.base:
        start = max(win.base, end - _FINE_STEP)
        left = len(bytes(win.view[start - win.base : end - win.base]).rstrip(b"\0"))
        if left:
            return start + left
        end = start
    return end


def _rfind(win: Window, byte: int, end: int) -> int:
    """Return the last offset of ``byte`` before ``end``; one before the window if there is none."""
    while end > win.base:
        start = max(win.base, end - _STEP)
        found = bytes(win.view[start - win.base : end - win.base]).rfind(byte)
        if found >= 0:
            return start + found
        end = start
    return win.base - 1


def _fits(win: Window, start: int, end: int) -> bool:
    if start < win.base or win.u8(start) != SectionType.VMDESCRIPTION or end - start < _HEADER + 2:
        return False
    return win.u32(start + 1) == end - start - _HEADER and win.u8(start + _HEADER) == ord("{")


@dataclass(frozen=True)
class DeviceEntry:
    """A device of the vmdescription: its place in the list, its identity and its JSON object."""

    index: int
    name: str
    instance_id: int
    object: dict[str, Any] = field(repr=False)

    @cached_property
    def size(self) -> Size | None:
        """The size of the device's payload by its description; None when the sizes are invalid."""
        if "fields" not in self.object and isinstance(self.object.get("size"), int):
            return _sane(self.object["size"], exact=True)
        return size_of(self.object)


class Size(NamedTuple):
    """A payload's size in ``bytes``; not ``exact`` where an array's elements may differ in size.

    QEMU describes an array by its first element.  Other elements may be longer or shorter if they are structs
    with arrays of a counted length, or pointers and some are NULL (s390_css, before 10.0).
    """

    bytes: int
    exact: bool


def size_of(description: dict[str, Any]) -> Size | None:
    """Return the size of the fields and subsections of a description's JSON object, without its header."""
    total, exact = 0, True
    todo = [description]
    while todo:
        here = todo.pop()
        fields = _objects(here.get("fields", []))
        subsections = _objects(here.get("subsections", []))
        if fields is None or subsections is None:
            return None
        for entry in fields:
            size, count = entry.get("size"), entry.get("array_len", 1)
            if not isinstance(size, int) or not isinstance(count, int) or size < 0 or count < 0:
                return None
            total += size * count
            exact = exact and (count < 2 or "struct" not in entry)
        for sub in subsections:
            name = sub.get("vmsd_name")
            if not isinstance(name, str):
                return None
            total += 2 + len(bytes_of(name)) + 4
            todo.append(sub)
    return _sane(total, exact)


def _objects(value: object) -> list[dict[str, Any]] | None:
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return value
    return None


def _sane(size: int, exact: bool) -> Size | None:
    return Size(size, exact) if 0 <= size < _MAX_SIZE else None


class VmDesc:
    """A vmdescription's contents, parsed on first use.

    StreamError when the text is not the JSON of a vmdescription.
    """

    def __init__(self, text: bytes, offset: int) -> None:
        self.text = text
        self.offset = offset

    @cached_property
    def json(self) -> dict[str, Any]:
        """The text as Python objects (the last of repeated keys wins)."""
        try:
            value = json.loads(whole_characters(self.text))
        except RecursionError as error:
            raise StreamError(
                "the description is nested too deep", offset=self.offset, section="vmdescription"
            ) from error
        except ValueError as error:
            raise StreamError(
                f"the description is not JSON: {error}", offset=self.offset, section="vmdescription"
            ) from None
        if not isinstance(value, dict) or _objects(value.get("devices")) is None:
            raise StreamError("the description lists no devices", offset=self.offset, section="vmdescription")
        return value

    @property
    def page_size(self) -> int | None:
        """Bytes per target page, if the description gives a valid size."""
        size = self.json.get("page_size")
        return size if isinstance(size, int) and size in PAGE_SIZES else None

    @cached_property
    def devices(self) -> tuple[DeviceEntry, ...]:
        """The devices in the order of their sections."""
        return tuple(_entries(self.json["devices"]))

    @cached_property
    def by_name(self) -> dict[tuple[str, int], list[DeviceEntry]]:
        """Devices by (idstr, instance id); a list, because hostile streams repeat them."""
        found: dict[tuple[str, int], list[DeviceEntry]] = {}
        for entry in self.devices:
            found.setdefault((entry.name, entry.instance_id), []).append(entry)
        return found

    def device(self, idstr: str, instance_id: int, nth: int = 0) -> DeviceEntry | None:
        """Return the ``nth`` device of that name; None if there is none."""
        entries = self.by_name.get((idstr, instance_id), [])
        return entries[nth] if nth < len(entries) else None


def _entries(devices: list[dict[str, Any]]) -> Iterator[DeviceEntry]:
    for index, device in enumerate(devices):
        name, instance = device.get("name"), device.get("instance_id")
        if isinstance(name, str) and isinstance(instance, int):
            yield DeviceEntry(index, name, instance & 0xFFFFFFFF, device)
