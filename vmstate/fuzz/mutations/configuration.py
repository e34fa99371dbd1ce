"""Mutations of the configuration section: machine type, page bits, capabilities, UUID."""

from __future__ import annotations

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Number, among
from vmstate.fuzz.mutations.edge_values import EDGES, edge, u32
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream import writer
from vmstate.stream.constants import SectionType
from vmstate.stream.items import Configuration

_NAMES = among(
    "pseries", "p", "pseries-2.9", "pseries-9.9", "pseries-7.2\0", "pseries-7.2x", "powernv9", "pc-q35-7.2"
)


def _has(base: Anatomy) -> bool:
    return base.configuration is not None


def _of(base: Anatomy) -> Configuration:
    assert base.configuration is not None
    return base.configuration


def _add(base: Anatomy, name: str, body: bytes, version: int = 1) -> list[Splice]:
    at = _of(base).end
    return [Splice(at, at, writer.subsection_header(name, version) + body)]


@mutation("configuration", _has, what=among("missing", "twice", "mark", "empty"))
def configuration_item(base: Anatomy, what: str) -> list[Splice]:
    """The configuration is missing, comes twice, is empty, or begins with another mark."""
    item = _of(base)
    whole = base.data[item.start : item.end]
    new = {
        "missing": b"",
        "twice": whole + whole,
        "mark": b"\x04" + whole[1:],
        "empty": bytes([SectionType.CONFIGURATION]) + bytes(4),
    }[what]
    return [Splice(item.start, item.end, new)]


@mutation(
    "configuration",
    name=among("pseries-7.2"),
    before=Number(lambda _b, _c: 0, lambda base, _c: len(base.parts) - 1),
)
def configuration_later(base: Anatomy, name: str, before: int) -> list[Splice]:
    """A configuration section comes where a device section may."""
    at = base.parts[before].start
    return [Splice(at, at, writer.configuration(name[:255]))]


@mutation("configuration", _has, length=EDGES)
def configuration_length(base: Anatomy, length: str) -> list[Splice]:
    """The length of the machine type's name is wrong."""
    at = _of(base).start + 1
    return [Splice(at, at + 4, u32(edge(length, int.from_bytes(base.data[at : at + 4], "big"))))]


@mutation("configuration", _has, name=_NAMES, repaired=among(True, False))
def configuration_name(base: Anatomy, name: str, repaired: bool) -> list[Splice]:
    """The machine type is another one, or a prefix of one; its length is adjusted if ``repaired``."""
    at, size = _of(base).start + 1, len(_of(base).machine.encode())
    new = name.encode()
    splices = [Splice(at + 4, at + 4 + size, new)]
    return [Splice(at, at + 4, u32(len(new))), *splices] if repaired else splices


@mutation("configuration", _has, size=among(255, 256, 4096, 1 << 16, 1 << 20))
def configuration_name_long(base: Anatomy, size: int) -> list[Splice]:
    """The machine type's name is very long; its length is right."""
    at, old = _of(base).start + 1, len(_of(base).machine.encode())
    new = b"p" * min(max(size, 0), 1 << 20)
    return [Splice(at, at + 4 + old, u32(len(new)) + new)]


_BITS = among(12, 0, 11, 13, 16, 31, 32, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@mutation("configuration", _has, bits=_BITS)
def target_page_bits(base: Anatomy, bits: int) -> list[Splice]:
    """The source has another page size: one byte, or more than the whole memory."""
    return _add(base, "configuration/target-page-bits", u32(bits))


_CAPABILITIES = among(
    "x-ignore-shared", "mapped-ram", "xbzrle", "postcopy-ram", "multifd", "unknown", "", "x" * 255
)
_COUNTS = among("right", "0", "+1", "-1", "0x7fffffff", "0x80000000", "0xffffffff")


@mutation("configuration", _has, name=_CAPABILITIES, times=among(1, 2, 64), count=_COUNTS)
def capabilities(base: Anatomy, name: str, times: int, count: str) -> list[Splice]:
    """The source lists capabilities, known or unknown; their count may be wrong."""
    names = writer.counted(name[:255]) * min(max(times, 0), 64)
    number = times if count == "right" else edge(count, times)
    return _add(base, "configuration/capabilities", u32(number) + names)


@mutation("configuration", _has, length=among(0, 1, 15, 16, 17), byte=among(0, 0xFF))
def configuration_uuid(base: Anatomy, length: int, byte: int) -> list[Splice]:
    """The source has a UUID, which may have the wrong number of bytes."""
    return _add(base, "configuration/uuid", bytes([byte % 256]) * min(max(length, 0), 64))


_UNKNOWN = among(
    "configuration/x", "configuration", "configuration/", "x", "spapr/cap/cfpc", "configuration/uuid/x"
)


@mutation("configuration", _has, name=_UNKNOWN, size=among(0, 4))
def configuration_subsection(base: Anatomy, name: str, size: int) -> list[Splice]:
    """The configuration has an unknown subsection."""
    return _add(base, name[:255], bytes(min(max(size, 0), 4096)))


@mutation("configuration", _has, name=among("target-page-bits", "capabilities", "uuid"), version=EDGES)
def configuration_subsection_version(base: Anatomy, name: str, version: str) -> list[Splice]:
    """A subsection of the configuration has another version."""
    body = {"target-page-bits": u32(12), "capabilities": u32(0), "uuid": bytes(16)}[name]
    return _add(base, f"configuration/{name}", body, edge(version, 1))
