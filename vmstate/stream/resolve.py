"""Where a device's payload ends: by the stream's own description, then by our declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vmstate.errors import StreamError
from vmstate.stream.items import Found
from vmstate.stream.vmdesc_index import VmDesc
from vmstate.stream.wire import SectionStart, Window


class Resolver(Protocol):
    """Knows devices' payloads: what a caller with declarations gives to the reader."""

    def measure(
        self, idstr: str, instance_id: int, version_id: int, data: memoryview, payload_start: int
    ) -> int | None:
        """The index in ``data`` where the payload that begins at ``payload_start`` ends.

        None for a device it does not know; StreamError for a payload that does not fit its declaration.
        """


class Measures:
    """Candidates for a payload's end, the surest first: the description's size, then the declaration's."""

    def __init__(self, vmdesc: Callable[[Window], VmDesc | None], resolver: Resolver | None) -> None:
        self._find = vmdesc
        self._resolver = resolver
        self._asked: dict[tuple[str, int], int] = {}

    def __call__(self, start: SectionStart, win: Window) -> list[tuple[int, Found]]:
        """Offsets where the payload may end, and who says so."""
        ends = []
        end = self._described(start, win)
        if end is not None:
            ends.append((end, Found.VMDESC))
        end = self._declared(start, win)
        if end is not None:
            ends.append((end, Found.DECLARED))
        return ends

    def _described(self, start: SectionStart, win: Window) -> int | None:
        vmdesc = self._find(win)
        if vmdesc is None:
            return None
        key = (start.idstr, start.instance_id)
        nth = self._asked.get(key, 0)
        self._asked[key] = nth + 1
        device = vmdesc.device(*key, nth)
        size = None if device is None else device.size
        return None if size is None else start.payload_start + size

    def _declared(self, start: SectionStart, win: Window) -> int | None:
        if self._resolver is None:
            return None
        at = start.payload_start - win.base
        try:
            end = self._resolver.measure(start.idstr, start.instance_id, start.version_id, win.view, at)
        except StreamError:
            return None
        return None if end is None else win.base + end
