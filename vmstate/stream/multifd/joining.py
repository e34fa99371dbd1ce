"""Put the pages of multifd channels into the main stream: one plain stream, as if sent without multifd.

A source synchronises its channels with the main one from time to time: each channel has a packet with a flag
there, and the main stream a mark.  Pages that came before a mark are put in front of it, so that a page that
was sent again later wins.  The marks themselves are left out: older releases do not know them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vmstate.dataclass import dataclass
from vmstate.errors import Finding, StreamError, Unsupported, quantity
from vmstate.stream.constants import RamFlag, SectionType
from vmstate.stream.multifd.packets import U64, Channel, Packet, damage
from vmstate.stream.reader import Stream
from vmstate.stream.sections.handlers import LiveContext
from vmstate.stream.sections.ram import CONTINUE, WORD, Ram
from vmstate.stream.wire import SectionStart, Window

Chunk: TypeAlias = "bytes | memoryview"

_MARK = 8
"""The bytes of a mark: of a synchronisation, or of the end of a section's records."""

_PARTS = (SectionType.START, SectionType.PART, SectionType.END)


class _Change(NamedTuple):
    """At ``start``, ``size`` bytes of the main stream give way to the chunks."""

    start: int
    size: int
    chunks: Iterator[Chunk]


@dataclass
class _Placed:
    """A packet, the round in which it is put into the stream, and the channel that its content is in."""

    round: int
    packet: Packet
    channel: Channel


class Joining:
    """A main stream, and its channels.  Raises Unsupported for a main stream without guest memory.

    ``postcopy``: records of pages from the channel of postcopy-preempt.  ``findings`` say what is wrong with
    the channels together.
    """

    def __init__(
        self, main: Stream, channels: Sequence[Channel], postcopy: Sequence[memoryview] = ()
    ) -> None:
        if main.ram is None or not main.ram.blocks:
            raise Unsupported("a main channel without guest memory: the others have no place")
        self._main = main
        self._ram: Ram = main.ram
        self._indexes = {block.raw_name: index for index, block in enumerate(self._ram.blocks)}
        self._channels = channels
        self._postcopy = postcopy
        self._marks = self._synchronisations()
        self.findings = list(self._check())

    def chunks(self) -> Iterator[Chunk]:
        """Yield the plain stream."""
        data, at = self._main.data, 0
        for change in self._changes():
            yield data[at : change.start]
            yield from change.chunks
            at = change.start + change.size
        yield data[at:]

    # ---- what is wrong

    def _check(self) -> Iterator[Finding]:
        numbers = list(chain.from_iterable(channel.numbers for channel in self._channels))
        missing = max(numbers, default=-1) + 1 - len(numbers)
        if missing > 0:  # before 9.0 a number may be used twice, and another then not at all
            yield damage(f"{quantity(missing, 'packet')} missing: a channel is not here, or its end")
        ids = [channel.number for channel in self._channels]
        if len(set(ids)) < len(ids):
            yield damage("two channels have the same number: they are of different migrations")
        if len({channel.uuid for channel in self._channels}) > 1:
            yield damage("the channels are of different guests")
        rounds = {channel.rounds for channel in self._channels}
        if rounds - {len(self._marks)}:
            found = ", ".join(map(str, sorted(rounds)))
            yield damage(f"the main channel was synchronised {len(self._marks)} times, the others {found}")
        wrong = sum(int((~self._inside(packet)).sum()) for one in self._channels for packet in one.packets)
        if wrong:
            yield damage(f"{quantity(wrong, 'page')} outside the blocks of guest memory, left out")
        states = sum(channel.device_states for channel in self._channels)
        if states:
            yield damage(f"{quantity(states, 'packet')} with the state of devices (VFIO), left out")

    def _inside(self, packet: Packet) -> npt.NDArray[np.bool_]:
        addresses = np.concatenate([packet.pages, packet.zeros])
        index = self._indexes.get(packet.block)
        end = 0 if index is None else self._ram.blocks[index].length
        size = np.uint64(self._ram.page_size)
        inside: npt.NDArray[np.bool_] = (addresses < np.uint64(end)) & (addresses % size == 0)
        return inside

    # ---- where what goes

    def _synchronisations(self) -> list[int]:
        """Return the offsets of the marks: of their own kind, before QEMU 8.1 the ends of the records."""
        if self._ram.flushed_at:
            return self._ram.flushed_at.tolist()
        return self._ends()

    def _ends(self) -> list[int]:
        ids = {
            one.section_id
            for one in self._main.sections
            if one.kind == SectionType.START and one.idstr == "ram"
        }
        return [
            one.payload_end - _MARK
            for one in self._main.sections
            if one.kind in _PARTS and one.section_id in ids
        ]

    def _placed(self) -> list[_Placed]:
        last = len(self._marks) - 1
        found = [
            _Placed(min(packet.round, last), packet, channel)
            for channel in self._channels
            for packet in channel.packets
        ]
        return sorted(found, key=lambda one: (one.round, one.packet.number))

    def _changes(self) -> list[_Change]:
        """Return the changes in the order of the main stream."""
        placed = self._placed()
        ends = self._ends()
        if not ends:
            raise Unsupported("the main channel ends before its guest memory does")
        changes = []
        for index, mark in enumerate(self._marks or ends[-1:]):
            group = [one for one in placed if one.round == index]
            size = _MARK if self._ram.flushed_at else 0
            if group or size:
                changes.append(_Change(mark, size, self._records(group)))
        if self._postcopy:
            changes.append(_Change(ends[-1], 0, iter(self._postcopy)))
        return sorted([*changes, *self._renamed([one.start for one in changes])], key=lambda one: one[:2])

    def _renamed(self, changed: list[int]) -> Iterator[_Change]:
        """Name the block again in the first record of the main stream after what was put into it."""
        runs, view = self._ram.runs, self._main.data
        for at in {bisect_left(runs.start, start) for start in changed} - {len(runs)}:
            if runs.lead[at] == _MARK:
                start = runs.start[at]
                word = WORD.unpack_from(view, start)[0] & ~CONTINUE
                yield _Change(start, _MARK, iter([WORD.pack(word), self._name(runs.block[at])]))

    def _name(self, index: int) -> bytes:
        raw = self._ram.blocks[index].raw_name
        return bytes([len(raw)]) + raw

    # ---- records

    def _records(self, placed: Sequence[_Placed]) -> Iterator[Chunk]:
        block = None
        for one in placed:
            packet, good = one.packet, self._inside(one.packet)
            if not good.any():
                continue
            size = self._ram.page_size
            content = np.frombuffer(one.channel.content[packet.content], np.uint8).reshape(-1, size)
            count = len(packet.pages)
            records = [
                _with_words(packet.pages, RamFlag.PAGE, content)[good[:count]],
                _with_words(packet.zeros, RamFlag.ZERO, np.zeros((len(packet.zeros), 1), np.uint8))[
                    good[count:]
                ],
            ]
            raw = memoryview(b"".join(record.tobytes() for record in records))
            if packet.block != block:
                block = packet.block
                word = WORD.unpack_from(raw)[0] & ~CONTINUE
                yield WORD.pack(word) + self._name(self._indexes[block])
                raw = raw[_MARK:]
            yield raw


def _with_words(addresses: U64, flag: RamFlag, content: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return records, one in a row: a word of address and flags, and the content."""
    words = (addresses | np.uint64(flag | CONTINUE)).astype(">u8").view(np.uint8).reshape(-1, _MARK)
    return np.concatenate([words, content], axis=1)


def postcopy_records(data: memoryview, main: Stream) -> memoryview | None:
    """Return the page records of a channel of postcopy-preempt; None if the data are not one.

    It has no greeting; its records are those of the main channel, and name blocks of the same list.
    """
    if main.ram is None:
        return None
    start = SectionStart(0, "ram", 0, main.ram.version, 0)
    ram = Ram(LiveContext(start, main.ram.page_size))
    ram.enter_blocks(main.ram.blocks)
    win = Window(data)
    at, done = 0, False
    try:
        while not done and at < len(data):
            before = at
            at, done = ram.scan(win, at)
            if at == before and not done:
                break
    except StreamError:
        return None
    if not ram.pages or at < len(data):
        return None
    return data[: at - _MARK] if done else data[:at]
