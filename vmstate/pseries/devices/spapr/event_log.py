"""Entries of the event log that wait for the guest: a device was plugged, or is to be unplugged.

hw/ppc/spapr_events.c ``spapr_hotplug_req_event``.  They are part of the section ``spapr``.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from vmstate.describe import Record
from vmstate.pseries.board.connectors import DrcType


class Action(IntEnum):
    """The change that an entry reports, or asks the guest for."""

    ADD = 1
    REMOVE = 2


#: How an entry names connectors: one by its index, a number of any, a number from an index on.
_BY_INDEX, _BY_COUNT, _BY_COUNT_INDEXED = 2, 3, 4
_TYPES = {DrcType.CPU: 1, DrcType.LMB: 2, DrcType.PHB: 4, DrcType.PCI: 5, DrcType.PMEM: 6}

#: Version 6, severity event, not recovered, with details, from hotplug, of type hotplug.
_SUMMARY = 0x06000000 | 0x00200000 | 0x00100000 | 0x00040000 | 0x00006000 | 0xE5
_HEADER = struct.Struct(">BxB9x4s")
_MAIN_A = struct.Struct(">2sH4xII8xc2xB4x8x4s4x")
_MAIN_B = struct.Struct(">2sH4xBxBB4x2xH4x")
_HOTPLUG = struct.Struct(">2sHBxHBBBxII")
_BIG_ENDIAN_NEW_VALID, _POWERPC_PLATFORM_EVENT = 0x86, 0x8E
_SECTIONS = 3
_EXTERNAL_ENVIRONMENT = 0x80

#: The guest's clock at the event, in an entry: it differs between runs, and is left out here.
CLOCK = slice(_HEADER.size + 8, _HEADER.size + 16)


def by_index(kind: DrcType, action: Action, number: int, serial: int) -> Record:
    """Return an entry about the connector with that number; ``serial`` counts the entries of a process."""
    return _entry(kind, action, _BY_INDEX, (kind.index(number), 0), serial)


def by_count(kind: DrcType, action: Action, count: int, serial: int) -> Record:
    """Return an entry about that many connectors, of which the guest chooses the numbers."""
    return _entry(kind, action, _BY_COUNT, (count, 0), serial)


def by_count_indexed(kind: DrcType, action: Action, numbers: range, serial: int) -> Record:
    """Return an entry about a range of connectors."""
    return _entry(kind, action, _BY_COUNT_INDEXED, (len(numbers), kind.index(numbers.start)), serial)


def _entry(kind: DrcType, action: Action, named: int, numbers: tuple[int, int], serial: int) -> Record:
    log = b"".join(
        (
            _HEADER.pack(_BIG_ENDIAN_NEW_VALID, _POWERPC_PLATFORM_EVENT, b"IBM\0"),
            _MAIN_A.pack(b"PH", _MAIN_A.size, 0, 0, b"H", _SECTIONS, serial.to_bytes(4, "little")),
            _MAIN_B.pack(b"UH", _MAIN_B.size, _EXTERNAL_ENVIRONMENT, 0, 0, 0),
            _HOTPLUG.pack(b"HP", _HOTPLUG.size, 1, 0, _TYPES[kind], action, named, *numbers),
        )
    )
    return Record(summary=_SUMMARY, extended_length=len(log), extended_log=log)
