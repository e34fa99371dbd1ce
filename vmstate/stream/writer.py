"""Write the framing: each function returns the bytes of one item, as QEMU's savevm.c writes them.

:func:`vmstate.stream.reader.open_stream` reads them back; to change an existing stream, use
:class:`vmstate.stream.edit.Edit`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from vmstate.errors import EncodeError
from vmstate.stream.constants import MAGIC, VERSION, SectionType
from vmstate.stream.constants import Command as CommandNumber
from vmstate.stream.wire import bytes_of

Bytes = bytes | bytearray | memoryview

_U32 = struct.Struct(">I")
_MAX_U32 = 0xFFFFFFFF


def counted(name: str) -> bytes:
    """Encode a counted name; EncodeError beyond 255 bytes."""
    data = bytes_of(name)
    if len(data) > 255:
        raise EncodeError(f"a name has at most 255 bytes on the wire, not {len(data)}: {name[:40]!r}…")
    return bytes([len(data)]) + data


def u32(value: int, what: str = "number") -> bytes:
    """Encode four bytes, big endian; EncodeError for a value that does not fit."""
    if not 0 <= value <= _MAX_U32:
        raise EncodeError(f"{what} {value} does not fit in 32 bits")
    return _U32.pack(value)


def file_header(version: int = VERSION) -> bytes:
    """Encode magic and version."""
    return _U32.pack(MAGIC) + u32(version, "version")


def subsection_header(name: str, version_id: int) -> bytes:
    """Encode the header in front of a subsection's fields."""
    return bytes([SectionType.SUBSECTION]) + counted(name) + u32(version_id, "version_id")


def configuration(
    machine: str,
    target_page_bits: int | None = None,
    capabilities: Sequence[str] = (),
    uuid: bytes | None = None,
) -> bytes:
    """Encode the configuration section, with a subsection for each value given."""
    name = bytes_of(machine)
    parts = [bytes([SectionType.CONFIGURATION]), u32(len(name)), name]
    if target_page_bits is not None:
        parts += [subsection_header("configuration/target-page-bits", 1), u32(target_page_bits)]
    if capabilities:
        parts += [subsection_header("configuration/capabilities", 1), u32(len(capabilities))]
        parts += [counted(name) for name in capabilities]
    if uuid is not None:
        if len(uuid) != 16:
            raise EncodeError(f"a uuid has 16 bytes, not {len(uuid)}")
        parts += [subsection_header("configuration/uuid", 1), uuid]
    return b"".join(parts)


def section_start(kind: SectionType, section_id: int, idstr: str, instance_id: int, version_id: int) -> bytes:
    """Encode the header of a START or FULL section."""
    ids = u32(instance_id, "instance_id") + u32(version_id, "version_id")
    return bytes([kind]) + u32(section_id, "section_id") + counted(idstr) + ids


def section_part(kind: SectionType, section_id: int) -> bytes:
    """Encode the header of a PART or END section."""
    return bytes([kind]) + u32(section_id, "section_id")


def footer(section_id: int) -> bytes:
    """Encode the footer of a section."""
    return bytes([SectionType.FOOTER]) + u32(section_id, "section_id")


def full_section(
    section_id: int, idstr: str, instance_id: int, version_id: int, payload: Bytes, with_footer: bool = True
) -> bytes:
    """Encode a whole device section."""
    head = section_start(SectionType.FULL, section_id, idstr, instance_id, version_id)
    return b"".join((head, payload, footer(section_id) if with_footer else b""))


def command(number: int, data: Bytes = b"") -> bytes:
    """Encode a command with its data; EncodeError beyond 65535 bytes."""
    if len(data) > 0xFFFF:
        raise EncodeError(f"a command carries at most 65535 bytes, not {len(data)}")
    return struct.pack(">BHH", SectionType.COMMAND, number, len(data)) + data


def packaged(inner: Bytes) -> bytes:
    """Encode a stream wrapped in a PACKAGED command."""
    return command(CommandNumber.PACKAGED, u32(len(inner), "packaged length")) + inner


def end_of_states() -> bytes:
    """Encode the end mark."""
    return bytes([SectionType.EOF])


def vmdescription(text: Bytes) -> bytes:
    """Encode the trailing description."""
    return bytes([SectionType.VMDESCRIPTION]) + u32(len(text), "length of the description") + text
