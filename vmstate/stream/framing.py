"""The stream format: every whole-file structure as a ``construct`` declaration.

This module is the specification (``docs/stream-format.md`` is generated from it), and a second codec: tests
compare the plain ``struct`` readers of :mod:`vmstate.stream.wire` with it.  All integers are big endian.
The contents of device sections are not declared here: each device describes its own.
"""

from __future__ import annotations

from typing import Any

import construct as c

from vmstate.stream.constants import MAGIC, MULTIFD_MAGIC, VERSION, VERSION_COMPAT, Command, SectionType


def _mark(mark: SectionType) -> Any:
    return c.Const(int(mark), c.Int8ub)


COUNTED_NAME = c.Prefixed(c.Int8ub, c.GreedyBytes)
"""A length byte and that many bytes, without a terminator (qemu_put_counted_string)."""

FILE_HEADER = c.Struct(
    "magic" / c.Const(MAGIC, c.Int32ub) * '"QEVM"',
    "version" / c.OneOf(c.Int32ub, [VERSION_COMPAT, VERSION]) * "3; 2 before 0.10, now refused",
)
"""qemu_savevm_state_header."""

TARGET_PAGE_BITS = c.Struct("target_page_bits" / c.Int32ub * "log2 of the target's page size")
"""configuration/target-page-bits: only where the target's page size is not its smallest (2.8+)."""

CAPABILITIES = c.Struct(
    "caps_count" / c.Int32ub * "how many follow",
    "capabilities" / c.Array(c.this.caps_count, COUNTED_NAME) * "names as in QAPI",
)
"""configuration/capabilities: x-ignore-shared (4.0+) and mapped-ram (9.0+), if enabled."""

UUID = c.Struct("uuid" / c.Bytes(16) * "the guest's")
"""configuration/uuid: only with the capability validate-uuid (4.2+) and a uuid set."""

CONFIGURATION_SUBSECTIONS: dict[bytes, Any] = {
    b"configuration/target-page-bits": TARGET_PAGE_BITS,
    b"configuration/capabilities": CAPABILITIES,
    b"configuration/uuid": UUID,
}
"""The subsections a configuration section may have, in the order QEMU writes them."""

SUBSECTION_HEADER = c.Struct(
    "mark" / _mark(SectionType.SUBSECTION),
    "name" / COUNTED_NAME * "begins with its parent's name",
    "version_id" / c.Int32ub,
)
"""vmstate_subsection_save: in front of the fields of every subsection, at every depth."""

CONFIGURATION_SUBSECTION = c.Struct(
    "header" / SUBSECTION_HEADER,
    "fields" / c.Switch(c.this.header.name, CONFIGURATION_SUBSECTIONS, default=c.Error),
)

CONFIGURATION = c.Struct(
    "mark" / _mark(SectionType.CONFIGURATION),
    "name" / c.Prefixed(c.Int32ub, c.GreedyBytes) * "the machine type",
    "subsections"
    / c.GreedyRange(
        c.Struct(
            "next" / c.Peek(c.Int8ub),
            "check" / c.Check(c.this.next == SectionType.SUBSECTION),
            "subsection" / CONFIGURATION_SUBSECTION,
        )
    )
    * "those needed, each as below",
)
"""The configuration section (machine types since 2.4): the machine's name, then subsections; no footer."""

SECTION_START = c.Struct(
    "kind" / c.OneOf(c.Int8ub, [int(SectionType.START), int(SectionType.FULL)]) * "0x01 START, 0x04 FULL",
    "section_id" / c.Int32ub * "a counter of the source; means nothing to the destination",
    "idstr" / COUNTED_NAME * "the device",
    "instance_id" / c.Int32ub * "which of its instances",
    "version_id" / c.Int32ub * "of the payload's description",
)
"""save_section_header for START and FULL: they name the device."""

SECTION_PART = c.Struct(
    "kind" / c.OneOf(c.Int8ub, [int(SectionType.PART), int(SectionType.END)]) * "0x02 PART, 0x03 END",
    "section_id" / c.Int32ub * "that of the START",
)
"""save_section_header for PART and END: they refer to a START by its section id."""

FOOTER = c.Struct("mark" / _mark(SectionType.FOOTER), "section_id" / c.Int32ub * "that of the section")
"""save_section_footer (machine types since 2.4): after the payload of every section."""

PING = c.Struct("value" / c.Int32ub * "comes back on the return path")

POSTCOPY_ADVISE = c.Struct(
    "pagesize_summary" / c.Int64ub * "the host page sizes of all blocks, or-ed",
    "target_page_size" / c.Int64ub,
)
"""Absent altogether (length 0) when postcopy sends only dirty bitmaps."""

DISCARD_RANGE = c.Struct("start" / c.Int64ub, "length" / c.Int64ub)

POSTCOPY_RAM_DISCARD = c.Struct(
    "version" / c.Const(0, c.Int8ub),
    "block" / COUNTED_NAME,
    "terminator" / c.Const(0, c.Int8ub),
    "ranges" / c.GreedyRange(DISCARD_RANGE) * "u64 start, u64 length, until the data ends",
    "end" / c.Terminated,
)

PACKAGED = c.Struct("length" / c.Int32ub * "bytes of the stream that follows the command")
"""The command's own data is the length; a stream of that many bytes, without file header, follows it."""

RECV_BITMAP = c.Struct("block" / COUNTED_NAME)

NOTHING = c.Struct("end" / c.Terminated)

COMMAND_DATA: dict[int, Any] = {
    Command.OPEN_RETURN_PATH: NOTHING,
    Command.PING: PING,
    Command.POSTCOPY_ADVISE: c.Optional(POSTCOPY_ADVISE),
    Command.POSTCOPY_LISTEN: NOTHING,
    Command.POSTCOPY_RUN: NOTHING,
    Command.POSTCOPY_RAM_DISCARD: POSTCOPY_RAM_DISCARD,
    Command.PACKAGED: PACKAGED,
    Command.ENABLE_COLO: NOTHING,
    Command.POSTCOPY_RESUME: NOTHING,
    Command.RECV_BITMAP: RECV_BITMAP,
    Command.SWITCHOVER_START: NOTHING,
}
"""The data of each command."""

COMMAND = c.Struct(
    "mark" / _mark(SectionType.COMMAND),
    "command" / c.Int16ub,
    "data" / c.Prefixed(c.Int16ub, c.GreedyBytes) * "by command, see below",
    "inner"
    / c.If(c.this.command == Command.PACKAGED, c.Bytes(lambda ctx: PACKAGED.parse(ctx.data).length))
    * "PACKAGED only",
)
"""qemu_savevm_command_send; for PACKAGED, with the wrapped stream (qemu_savevm_send_packaged)."""

END_OF_STATES = c.Struct("mark" / _mark(SectionType.EOF))

VMDESCRIPTION = c.Struct(
    "mark" / _mark(SectionType.VMDESCRIPTION),
    "json" / c.Prefixed(c.Int32ub, c.GreedyBytes) * "an object, see below",
)
"""The JSON description of all device sections, after the end mark (machine types since 2.3)."""

RAM_SETUP_BLOCK = c.Struct("idstr" / COUNTED_NAME * "never empty", "used_length" / c.Int64ub * "bytes")
"""One block in the list at the start of the ram section, without its optional extras."""

MAPPED_RAM_HEADER = c.Struct(
    "version" / c.Const(1, c.Int32ub),
    "page_size" / c.Int64ub * "the target's",
    "bitmap_offset" / c.Int64ub * "from the beginning of the file; one bit per page, in the host's longs",
    "pages_offset" / c.Int64ub * "from the beginning of the file; page n at n times the page size",
)
"""MappedRamHeader (9.0+): where in the file a block's bitmap and pages are."""

HTAB_CHUNK = c.Struct(
    "index" / c.Int32ub * "of the first entry",
    "n_valid" / c.Int16ub * "entries that follow",
    "n_invalid" / c.Int16ub * "entries after those, to be cleared",
    "entries" / c.Bytes(c.this.n_valid * 16) * "16 bytes each",
)
"""Consecutive hash page table entries of pseries, from ``index`` on: valid ones, then invalid ones."""

XBZRLE_PAGE = c.Struct(
    "encoding" / c.Const(1, c.Int8ub),
    "data" / c.Prefixed(c.Int16ub, c.GreedyBytes) * "a delta from the page's previous content",
)

COMPRESSED_PAGE = c.Struct("data" / c.Prefixed(c.Int32sb, c.GreedyBytes) * "zlib")

MULTIFD_GREETING = c.Struct(
    "magic" / c.Const(MULTIFD_MAGIC, c.Int32ub),
    "version" / c.Const(1, c.Int32ub),
    "uuid" / c.Bytes(16) * "the guest's",
    "id" / c.Int8ub * "the channel's number, from 0",
    "unused" / c.Padding(7 + 4 * 8),
)
"""MultiFDInit_t: what each multifd channel begins with."""

MULTIFD_PACKET = c.Struct(
    "magic" / c.Const(MULTIFD_MAGIC, c.Int32ub),
    "version" / c.Const(1, c.Int32ub),
    "flags" / c.Int32ub * "1 synchronised, 2 zlib, 4 zstd, 8 qpl, 16 uadk, 32 qatzip",
    "pages_alloc" / c.Int32ub * "places for addresses; 0 in a packet without pages since 9.0",
    "normal_pages" / c.Int32ub * "pages with content",
    "next_packet_size" / c.Int32ub * "bytes of content after this packet, if it has such pages",
    "packet_num" / c.Int64ub * "of the packets of all channels",
    "zero_pages" / c.Int32ub * "pages of zeros (9.0+; before, they are on the main channel)",
    "unused" / c.Padding(4 + 3 * 8),
    "ramblock" / c.PaddedString(256, "ascii"),
    "offset" / c.GreedyRange(c.Int64ub) * "as many as pages fit into 512 KiB: with content, then zero",
)
"""MultiFDPacket_t: 512 KiB of pages, or fewer."""

MULTIFD_DEVICE_STATE = c.Struct(
    "magic" / c.Const(MULTIFD_MAGIC, c.Int32ub),
    "version" / c.Const(1, c.Int32ub),
    "flags" / c.Const(64, c.Int32ub),
    "idstr" / c.PaddedString(256, "ascii"),
    "instance_id" / c.Int32ub,
    "data" / c.Prefixed(c.Int32ub, c.GreedyBytes),
)
"""MultiFDPacketDeviceState_t (10.0+): a part of the state of a VFIO device."""

DIRTY_BITMAP_START = c.Struct(
    "granularity" / c.Int32ub * "bytes per bit",
    "flags" / c.Int8ub * "1 enabled, 2 persistent, 4 autoload (ignored today)",
)

DIRTY_BITMAP_BITS = c.Struct(
    "start_sector" / c.Int64ub * "of 512 bytes",
    "sectors" / c.Int32ub,
    "bits" / c.Prefixed(c.Int64ub, c.GreedyBytes) * "absent with ZEROES; at most 10240 bytes are accepted",
)

STORAGE_RANGE = c.Struct(
    "address" / c.Int64ub * "of the first page, or-ed with 2",
    "count" / c.Int64ub * "pages",
    "values" / c.Bytes(c.this.count) * "one byte per page",
)
"""s390x storage attributes and storage keys."""
