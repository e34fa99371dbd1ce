"""The numbers of the stream format: magic, section types, commands (QEMU migration/savevm.h, savevm.c)."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from vmstate.describe import cursor

MAGIC = 0x5145564D
"""The first four bytes: "QEVM"."""

MAGIC_BYTES = MAGIC.to_bytes(4, "big")

MULTIFD_MAGIC = 0x11223344
"""The magic of a multifd channel, in the place of a stream's (migration/multifd.c)."""

MULTIFD_MAGIC_BYTES = MULTIFD_MAGIC.to_bytes(4, "big")

VERSION_COMPAT = 2
"""File version of QEMU 0.9 to 0.10; current releases refuse it as obsolete."""

VERSION = 3
"""File version of every QEMU since 0.10.50."""

PAGE_SIZES = tuple(1 << bits for bits in range(8, 17))
"""Possible sizes of a target page in bytes: 256 (avr) to 65536."""

FILE_HEADER_SIZE = 8
"""Size of the file header in bytes: magic and version."""

FOOTER_SIZE = 5
"""Size of a section footer in bytes: its mark and the repeated section id."""


class SectionType(IntEnum):
    """The byte that begins each item of a stream, or a part of one (QEMU_VM_*)."""

    EOF = 0x00
    START = 0x01
    PART = 0x02
    END = 0x03
    FULL = 0x04
    SUBSECTION = cursor.SUBSECTION
    VMDESCRIPTION = 0x06
    CONFIGURATION = 0x07
    COMMAND = 0x08
    FOOTER = 0x7E


class Command(IntEnum):
    """The commands a source may put between sections (enum qemu_vm_cmd)."""

    INVALID = 0
    OPEN_RETURN_PATH = 1
    PING = 2
    POSTCOPY_ADVISE = 3
    POSTCOPY_LISTEN = 4
    POSTCOPY_RUN = 5
    POSTCOPY_RAM_DISCARD = 6
    PACKAGED = 7
    ENABLE_COLO = 8
    POSTCOPY_RESUME = 9
    RECV_BITMAP = 10
    SWITCHOVER_START = 11


COMMAND_LENGTHS: dict[int, frozenset[int]] = {
    Command.OPEN_RETURN_PATH: frozenset({0}),
    Command.PING: frozenset({4}),
    Command.POSTCOPY_ADVISE: frozenset({0, 16}),
    Command.POSTCOPY_LISTEN: frozenset({0}),
    Command.POSTCOPY_RUN: frozenset({0}),
    Command.PACKAGED: frozenset({4}),
    Command.ENABLE_COLO: frozenset({0}),
    Command.POSTCOPY_RESUME: frozenset({0}),
    Command.SWITCHOVER_START: frozenset({0}),
}
"""The data lengths that a destination accepts, by command; commands not listed accept any length."""


class RamFlag(IntFlag):
    """The flags of a record of ``ram``, below the page address (RAM_SAVE_FLAG_*, migration/ram.c)."""

    FULL = 0x01
    ZERO = 0x02
    MEM_SIZE = 0x04
    PAGE = 0x08
    EOS = 0x10
    CONTINUE = 0x20
    XBZRLE = 0x40
    HOOK = 0x80
    COMPRESS_PAGE = 0x100
    MULTIFD_FLUSH = 0x200
