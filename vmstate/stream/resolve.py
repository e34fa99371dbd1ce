"""Measure devices' payloads: by the stream's own description, then by our declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from vmstate.errors import StreamError
from vmstate.stream.items import Found
from vmstate.stream.vmdesc.index import VmDesc
from vmstate.stream.walk_state import Candidate
from vmstate.stream.wire import SectionStart, Window


class Resolver(Protocol):
    """A caller's declarations of devices, which the reader uses to measure payloads."""

    def measure(
        self, idstr: str, instance_id: int, version_id: int, data: memoryview, payload_start: int
    ) -> int | None:
        """Return the index in ``data`` where the payload that begins at ``payload_start`` ends.

        None for an unknown device; StreamError for a payload that does not fit its declaration.
        """


class Measures:
    """Candidates for a payload's end, the surest first: the description's size, then the declaration's."""

    def __init__(self, vmdesc: Callable[[Window], VmDesc | None], resolver: Resolver | None) -> None:
        self._find = vmdesc
        self._resolver = resolver
        self._asked: dict[tuple[str, int], int] = {}

    def __call__(self, start: SectionStart, win: Window) -> Iterator[Candidate]:
        """Yield the offsets where the payload may end, each with its source.

        The declarations are used only where the description is not conclusive: importing them takes time.
        """
        described = self._by_description(start, win)
        yield from described
        if not described or not described[0].sure:
            yield from self._by_declaration(start, win)

    def _by_description(self, start: SectionStart, win: Window) -> list[Candidate]:
        vmdesc = self._find(win)
        if vmdesc is None:
            return []
        key = (start.idstr, start.instance_id)
        nth = self._asked.get(key, 0)
        self._asked[key] = nth + 1
        device = vmdesc.device(*key, nth)
        if device is None or device.size is None:
            return []
        return [Candidate(start.payload_start + device.size.bytes, Found.VMDESC, device.size.exact)]

    def _by_declaration(self, start: SectionStart, win: Window) -> list[Candidate]:
        if self._resolver is None:
            return []
        at = start.payload_start - win.base
        try:
            end = self._resolver.measure(start.idstr, start.instance_id, start.version_id, win.view, at)
        except StreamError:
            return []
        return [] if end is None else [Candidate(win.base + end, Found.DECLARED)]
