"""Read a stream as a lossless sequence of items over a memory map."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from vmstate.dataclass import dataclass, field
from vmstate.errors import Finding, StreamError, finding_of
from vmstate.stream.constants import SectionType
from vmstate.stream.items import CommandItem, Configuration, FileHeader, Item, Section, VmDescription
from vmstate.stream.resolve import Measures, Resolver
from vmstate.stream.sections import (
    block,  # noqa: F401  (handlers register themselves)
    dirty_bitmap,  # noqa: F401  (handlers register themselves)
    htab,  # noqa: F401  (handlers register themselves)
    storage_attributes,  # noqa: F401  (handlers register themselves)
    vfio,  # noqa: F401  (handlers register themselves)
)
from vmstate.stream.sections.dirty_bitmap import DirtyBitmaps
from vmstate.stream.sections.handlers import LiveHandler
from vmstate.stream.sections.htab import Htab
from vmstate.stream.sections.ram import Ram
from vmstate.stream.vmdesc.index import VmDesc, find_vmdesc
from vmstate.stream.walk import Need, Walker
from vmstate.stream.walk_state import WalkState
from vmstate.stream.wire import Window

Handler = TypeVar("Handler")


@dataclass
class Stream:
    """A whole stream.

    ``data``: all its bytes (a view of the map).  Guest memory read from a pipe is not kept: it is zero in the
    ranges of ``elided``, and ``passed`` is its hash, if that was wanted.  ``items`` cover every byte exactly
    once, in order.
    ``findings``: the faults in the structure, each with its offset.
    ``handlers``: the idstr and contents of each live device, in order of appearance.
    """

    window: Window = field(repr=False)
    items: tuple[Item, ...]
    findings: list[Finding]
    handlers: tuple[tuple[str, LiveHandler], ...] = ()
    footers: bool | None = None
    origin: int = 0
    path: Path | None = None
    elided: tuple[tuple[int, int], ...] = ()
    passed: str | None = None
    _vmdesc: VmDesc | None = field(default=None, repr=False)

    @property
    def data(self) -> memoryview:
        """All bytes of the stream."""
        return self.window.view

    @property
    def header(self) -> FileHeader:
        """The file header (a stream without one cannot be opened)."""
        header = self.items[0]
        assert isinstance(header, FileHeader)
        return header

    @cached_property
    def configuration(self) -> Configuration | None:
        """The configuration section, if the machine type sends one."""
        return next((item for item in self.items[1:2] if isinstance(item, Configuration)), None)

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Every section in stream order, including those of packaged streams."""
        return tuple(item for item in flat(self.items) if isinstance(item, Section))

    @cached_property
    def devices(self) -> tuple[Section, ...]:
        """The full sections: devices whose state is sent in one piece."""
        return tuple(section for section in self.sections if section.kind == SectionType.FULL)

    @cached_property
    def description(self) -> VmDescription | None:
        """The vmdescription as an item."""
        return next((item for item in reversed(self.items) if isinstance(item, VmDescription)), None)

    @cached_property
    def vmdesc(self) -> VmDesc | None:
        """The vmdescription's contents; None without one, or when it is unreadable (a finding says so)."""
        if self._vmdesc is None and self.description is not None:
            self._vmdesc = _parse_vmdesc(
                self.view(self.description.text_start, self.description.end), self.description
            )
        return self._vmdesc

    @property
    def ram(self) -> Ram | None:
        """Guest memory."""
        return self.live(Ram)

    @property
    def htab(self) -> Htab | None:
        """The hash page table (pseries)."""
        return self.live(Htab)

    @property
    def dirty_bitmaps(self) -> DirtyBitmaps | None:
        """Block dirty bitmaps."""
        return self.live(DirtyBitmaps)

    def live(self, kind: type[Handler]) -> Handler | None:
        """Return the first live device's handler of this kind."""
        return next((handler for _, handler in self.handlers if isinstance(handler, kind)), None)

    def find(self, idstr: str, instance_id: int | None = None) -> Section | None:
        """Return the first START or FULL section with that name (and instance)."""
        for section in self.sections:
            if (
                section.idstr == idstr
                and instance_id in (None, section.instance_id)
                and section.kind in (SectionType.START, SectionType.FULL)
            ):
                return section
        return None

    def view(self, start: int, end: int) -> memoryview:
        """Return the bytes from ``start`` to ``end``, not copied."""
        return self.data[start:end]

    def payload(self, section: Section) -> memoryview:
        """Return a section's payload, not copied."""
        return self.data[section.payload_start : section.payload_end]

    def __len__(self) -> int:
        return len(self.data)


def flat(items: tuple[Item, ...]) -> Iterator[Item]:
    """Yield the items in order, each PACKAGED command followed by the items inside it."""
    for item in items:
        yield item
        if isinstance(item, CommandItem):
            yield from flat(item.inner)


def _parse_vmdesc(text: memoryview, item: VmDescription) -> VmDesc | None:
    vmdesc = VmDesc(bytes(text), item.text_start)
    try:
        vmdesc.json  # noqa: B018  (raises if it cannot be parsed)
    except StreamError:
        return None
    return vmdesc


class Reading:
    """A walk through a complete window, with the vmdescription at its end found first."""

    def __init__(self, win: Window, resolver: Resolver | None, state: WalkState | None = None) -> None:
        self.win = win
        self.state = state or WalkState()
        self.state.measure = Measures(self._described, resolver)
        self.state.budget.earn(len(win.view))
        self._vmdesc: VmDesc | None = None
        self._looked = False
        self._unreadable: Finding | None = None

    def _described(self, win: Window) -> VmDesc | None:
        if win.end != self.win.end or win.base != self.win.base:
            return None  # a packaged stream: the description does not cover it
        return self.vmdesc()

    def vmdesc(self) -> VmDesc | None:
        """Return the description at the end of the window; it is searched for only once."""
        if not self._looked:
            self._looked = True
            item = find_vmdesc(self.win)
            if item is not None:
                text = self.win.take(item.text_start, item.end - item.text_start)
                self._vmdesc = VmDesc(bytes(text), item.text_start)
                self._check(self._vmdesc)
        return self._vmdesc

    def _check(self, vmdesc: VmDesc) -> None:
        try:
            vmdesc.json  # noqa: B018
        except StreamError as error:
            self._unreadable = finding_of(error, "vmdesc.json")
            self._vmdesc = None

    def run(self, walker: Walker, items: list[Item]) -> list[Item]:
        """Append all items from the walker's position to the window's end to ``items``, and return them."""
        vmdesc = self.vmdesc()
        if self.state.page_size is None and vmdesc is not None:
            self.state.page_size = vmdesc.page_size
        while not isinstance(item := walker.step(self.win), Need):
            items.append(item)
        if self._unreadable is not None:  # last, as in a pipe, where the description comes last
            self.state.note(self._unreadable)
        self.state.measure = None
        return items


def read(win: Window, resolver: Resolver | None = None, origin: int = 0) -> Stream:
    """Index the stream in a complete window; StreamError when it is not a migration stream."""
    reading = Reading(win, resolver, WalkState(origin=origin))
    items = reading.run(Walker(reading.state), [])
    state = reading.state
    return Stream(
        win,
        tuple(items),
        state.all_findings(),
        tuple(state.handlers),
        state.footers,
        origin,
        _vmdesc=reading.vmdesc(),
    )


def map_file(path: str | os.PathLike[str]) -> Window:
    """Map a file read-only and return a window on it (an empty one for an empty file)."""
    with Path(path).open("rb") as file:
        return map_whole(file.fileno(), os.fstat(file.fileno()).st_size)


def map_whole(descriptor: int, size: int) -> Window:
    """Map a whole open file and return a window on it."""
    if not size:
        return Window(memoryview(b""))
    mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return Window(memoryview(mapped))


def open_stream(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | mmap.mmap,
    resolver: Resolver | None = None,
    origin: int = 0,
) -> Stream:
    """Open a stream: a path (mapped, never read whole) or bytes.

    ``resolver`` measures device payloads where the stream has no description.  ``origin`` is the offset of
    the stream's first byte in the file it was taken from (only mapped-ram needs it).  StreamError when the
    bytes do not begin like a migration stream; any other fault becomes a finding.
    """
    if isinstance(source, (bytes, bytearray, memoryview, mmap.mmap)):
        return read(Window(memoryview(source).cast("B")), resolver, origin)
    stream = read(map_file(source), resolver, origin)
    stream.path = Path(source)
    return stream
