"""libvirt's save image, as written by `virsh save` and `virsh managedsave`.

A header, the domain's XML, a cookie, padding, and then QEMU's stream, possibly compressed.  The header is in
the byte order of the host that wrote it, which its version number reveals (libvirt's qemu_saveimage.c).
Everything before the stream is kept verbatim, so rewriting is identical.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from vmstate.containers.protocol import Buffer, Unwrapped, damage, oddity, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass, field
from vmstate.errors import EncodeError, Finding

COMPLETE = b"LibvirtQemudSave"
INCOMPLETE = b"LibvirtQemudPart"
VERSION = 2
HEADER_SIZE = 92
FORMATS = ("raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse")
_INSIDE = {
    "raw": "",
    "sparse": "",
}  # "sparse" is QEMU's mapped-ram: a plain stream that contains room for the pages
ByteOrder = Literal["little", "big"]
_ORDERS: tuple[ByteOrder, ByteOrder] = ("little", "big")
ROOM = 64 << 10  # left free by libvirt after the XML, for `virsh save-image-edit`


@lru_cache
def _header(byte_order: ByteOrder) -> Any:
    """Return the header's declaration; ``byte_order`` is "little" or "big"."""
    import construct  # importing it takes longer than reading most streams

    u32 = construct.Int32ul if byte_order == "little" else construct.Int32ub
    return construct.Struct(
        "magic" / construct.Bytes(16),
        "version" / u32,
        "data_len" / u32,  # of XML, cookie and padding, from the header to the stream
        "was_running" / u32,  # if set, `virsh restore` starts the guest
        "format" / u32,  # an index into FORMATS
        "cookie_offset" / u32,  # from the header's end; 0 if there is no cookie
        "unused" / construct.Bytes(14 * 4),
    )


@dataclass(frozen=True)
class LibvirtMetadata:
    """A save image's header, XML and cookie, and their verbatim bytes (``prefix``)."""

    byte_order: ByteOrder
    complete: bool
    version: int
    was_running: int
    format: int
    data_len: int
    xml: bytes = field(repr=False)
    cookie: bytes = field(repr=False)
    prefix: bytes = field(repr=False)

    @property
    def format_name(self) -> str:
        """The name of the compression; before version 2 of the header there was none."""
        if self.version < VERSION:
            return "raw"
        return FORMATS[self.format] if self.format < len(FORMATS) else f"unknown ({self.format})"

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {
            "byte_order": self.byte_order,
            "complete": self.complete,
            "version": self.version,
            "was_running": bool(self.was_running),
            "format": self.format_name,
            "data_len": self.data_len,
            "xml": self.xml.decode(errors="replace"),
            "cookie": self.cookie.decode(errors="replace"),
        }


def save_image(
    xml: bytes,
    cookie: bytes = b"",
    *,
    format_name: str = "raw",
    was_running: bool = True,
    byte_order: ByteOrder = "little",
    complete: bool = True,
    data_len: int | None = None,
) -> LibvirtMetadata:
    """Lay out the part of a new save image before the stream, as libvirt does.

    Raises EncodeError for an unknown format, or when XML and cookie do not fit into ``data_len`` bytes.
    """
    if format_name not in FORMATS:
        raise EncodeError(f"unknown save format {format_name!r}; libvirt has {', '.join(FORMATS)}")
    texts = xml + b"\0" + (cookie + b"\0" if cookie else b"")
    length = len(texts) + ROOM if data_len is None else data_len
    if len(texts) > length or length >= 1 << 32:
        raise EncodeError(f"XML and cookie take {len(texts)} bytes, but the save image has room for {length}")
    header: bytes = _header(byte_order).build(
        {
            "magic": COMPLETE if complete else INCOMPLETE,
            "version": VERSION,
            "data_len": length,
            "was_running": int(was_running),
            "format": FORMATS.index(format_name),
            "cookie_offset": len(xml) + 1 if cookie else 0,
            "unused": bytes(14 * 4),
        }
    )
    return _metadata(memoryview(header + texts.ljust(length, b"\0")), byte_order)


def _byte_order(data: memoryview) -> ByteOrder | None:
    """Return the byte order in which the version is 2 or less, as libvirt does; None if neither is."""
    for order in _ORDERS:
        if int.from_bytes(data[16:20], order) <= VERSION:
            return order
    return None


def _metadata(data: memoryview, byte_order: ByteOrder) -> LibvirtMetadata:
    header = _header(byte_order).parse(bytes(data[:HEADER_SIZE]))
    texts = bytes(data[HEADER_SIZE : HEADER_SIZE + header.data_len])
    split = header.cookie_offset or len(texts)
    return LibvirtMetadata(
        byte_order=byte_order,
        complete=header.magic == COMPLETE,
        version=header.version,
        was_running=header.was_running,
        format=header.format,
        data_len=header.data_len,
        xml=texts[:split].partition(b"\0")[0],
        cookie=texts[split:].partition(b"\0")[0],
        prefix=bytes(data[:HEADER_SIZE]) + texts,
    )


def _unreadable(data: memoryview, rule: str, message: str, offset: int) -> Unwrapped:
    """Keep all bytes verbatim in front of an empty stream."""
    metadata = LibvirtMetadata("little", bytes(data[:16]) == COMPLETE, 0, 0, 0, 0, b"", b"", bytes(data))
    return Unwrapped(data[len(data) :], metadata, (damage("libvirt", rule, message, offset),), len(data), "")


def _check(metadata: LibvirtMetadata, available: int) -> Iterator[Finding]:
    """Yield findings for headers that libvirt would refuse, or that make no sense."""
    if not metadata.complete:
        yield damage("libvirt", "incomplete", "libvirt did not finish writing this save image", 0)
    if metadata.data_len == 0:
        yield damage("libvirt", "libvirt.header", "the save image has no domain XML", 20)
    if metadata.format >= len(FORMATS):
        text = f"unknown save format {metadata.format}: libvirt refuses it; recognised by the bytes instead"
        yield damage("libvirt", "libvirt.format", text, 28)
    cookie_offset = int.from_bytes(metadata.prefix[32:36], metadata.byte_order)
    if cookie_offset > metadata.data_len:
        text = f"the cookie begins at {cookie_offset}, after the {metadata.data_len} bytes of XML and cookie"
        yield damage("libvirt", "libvirt.header", text, 32)
    if metadata.data_len > available:
        text = f"XML and cookie take {metadata.data_len} bytes, but only {available} are there"
        yield damage("libvirt", "truncated", text, HEADER_SIZE)
    if any(metadata.prefix[36:HEADER_SIZE]):
        yield oddity("libvirt", "libvirt.unused", "unused words of the header are not zero", 36)


class Libvirt:
    """The container that libvirt puts around a stream."""

    name = "libvirt"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Return the verbatim stream and the part before it; damage gives findings."""
        if len(data) < HEADER_SIZE:
            return _unreadable(data, "truncated", "the save image ends within its header", len(data))
        byte_order = _byte_order(data)
        if byte_order is None:
            text = "neither byte order makes the header's version 2 or less: libvirt refuses it"
            return _unreadable(data, "libvirt.header", text, 16)
        metadata = _metadata(data, byte_order)
        start = min(HEADER_SIZE + metadata.data_len, len(data))
        name = metadata.format_name
        inside = _INSIDE.get(name, name if name in FORMATS else None)
        findings = tuple(_check(metadata, len(data) - HEADER_SIZE))
        return Unwrapped(data[start:], metadata, findings, start, inside)

    def wrap(self, metadata: LibvirtMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Yield the verbatim part before the stream, then the stream."""
        yield metadata.prefix
        for chunk in chunks:
            yield from pieces(chunk)

    def plain_metadata(self) -> LibvirtMetadata:
        """Return an empty, uncompressed domain; see :func:`save_image` for others."""
        return save_image(b"<domain type='qemu'/>")


CONTAINER = Libvirt()
