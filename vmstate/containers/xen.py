"""Xen's save files, as `xl save` and libvirt's libxl driver write them: QEMU's state is in one record.

A header of xl's with the domain's configuration, then libxl's records; one of them stands for a stream of
libxc's, which has guest memory.  Xen's docs/specs/libxl-migration-stream.pandoc and
libxc-migration-stream.pandoc; tools/xl/xl.h.  The stream is of devices only (``xen-save-devices-state``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from vmstate.containers.protocol import Buffer, Unwrapped, damage, pieces
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass, field
from vmstate.errors import EncodeError, Finding, Unsupported, quantity

XL = b"Xen saved domain, xl format\n \0 \r"
LIBXL = b"LibxlFmt"
_LIBXC = b"\xff" * 8 + b"XENF"
_XL_SIZE, _LIBXL_SIZE, _LIBXC_SIZE = 48, 16, 40
_BYTE_ORDER = 0x01020304
_END, _LIBXC_CONTEXT, _EMULATOR_CONTEXT = 0, 1, 3
_PAGES = 1
_MOST_RECORDS = 1 << 22
_EMULATORS = {1: "qemu-traditional", 2: "qemu"}

ByteOrder = Literal["little", "big"]


@dataclass(frozen=True)
class XenMetadata:
    """The file around the emulator's state: its bytes before the record's body, and those after it."""

    before: Buffer = field(repr=False, default=b"")
    after: Buffer = field(repr=False, default=b"")
    byte_order: ByteOrder = "little"
    #: Which emulator it is, and its index.
    emulator: bytes = bytes(8)
    configuration: bytes = b""
    page_records: int = 0

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {
            "byte_order": self.byte_order,
            "emulator": self._emulator(),
            "page_records": self.page_records,
            "configuration": self.configuration.decode(errors="replace"),
        }

    def _emulator(self) -> str:
        number = int.from_bytes(self.emulator[:4], self.byte_order)
        return _EMULATORS.get(number, f"unknown ({number})")


class _Damage(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class _Reader:
    """Reads the records of a file, from one to the next."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.order: ByteOrder = "little"
        self.configuration = b""
        self.page_records = 0
        self._left = _MOST_RECORDS

    def number(self, at: int, size: int = 4, order: ByteOrder | None = None) -> int:
        """Return the number at ``at``."""
        if at + size > len(self.data):
            raise _Damage("the file ends within a header", len(self.data))
        return int.from_bytes(self.data[at : at + size], order or self.order)

    def start(self) -> int:
        """Read the headers; return the offset of libxl's first record."""
        at = 0
        if bytes(self.data[: len(XL)]) == XL:
            self.order = "little" if self.number(32, order="little") == _BYTE_ORDER else "big"
            size = self.number(44)
            at = _XL_SIZE + size
            self.configuration = bytes(self.data[_XL_SIZE + 4 : at]) if size <= 1 << 24 else b""
        if bytes(self.data[at : at + len(LIBXL)]) != LIBXL:
            raise _Damage("no header of libxl follows that of xl (older than Xen 4.6?)", at)
        self.order = "big" if self.number(at + 12, order="big") & 1 else "little"
        return at + _LIBXL_SIZE

    def emulator(self) -> tuple[int, int]:
        """Return where the first state of an emulator begins and ends."""
        at = self.start()
        while True:
            kind, size, body = self._record(at)
            if kind == _EMULATOR_CONTEXT:
                if size < 8 or body + size > len(self.data):
                    raise _Damage("the record with QEMU's state is cut short", at)
                return body + 8, body + size
            if kind == _END:
                raise _Damage("no record with QEMU's state: a domain without an emulator (PV, PVH)", at)
            at = self._memory(body) if kind == _LIBXC_CONTEXT else _after(body, size)

    def _memory(self, at: int) -> int:
        """Skip libxc's stream; return the offset after it."""
        if bytes(self.data[at : at + len(_LIBXC)]) != _LIBXC:
            raise _Damage("no header of libxc's stream", at)
        at += _LIBXC_SIZE
        while True:
            kind, size, body = self._record(at)
            at = _after(body, size)
            self.page_records += kind == _PAGES
            if kind == _END:
                return at

    def _record(self, at: int) -> tuple[int, int, int]:
        """Return a record's kind, its size, and the offset of its body."""
        self._left -= 1
        if not self._left:
            raise _Damage("too many records", at)
        return self.number(at), self.number(at + 4), at + 8


def _after(body: int, size: int) -> int:
    return body + -(-size // 8) * 8


class Xen:
    """The container that a Xen save file is around QEMU's state."""

    name = "xen"

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Return QEMU's state, verbatim; damage gives findings, and an empty stream."""
        reader = _Reader(data)
        findings: tuple[Finding, ...] = ()
        try:
            start, end = reader.emulator()
        except _Damage as error:
            start = end = len(data)
            findings = (damage("xen", "xen.record", str(error), error.at),)
            metadata = XenMetadata(
                data, b"", reader.order, bytes(8), reader.configuration, reader.page_records
            )
        else:
            metadata = XenMetadata(
                data[: start - 8],
                data[_after(start - 8, end - start + 8) :],
                reader.order,
                bytes(data[start - 8 : start]),
                reader.configuration,
                reader.page_records,
            )
        return Unwrapped(data[start:end], metadata, findings, start)

    def wrap(self, metadata: XenMetadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Yield the file with another state in the record, whose length is changed."""
        if len(metadata.before) < _LIBXL_SIZE + 8:
            raise Unsupported("a Xen save file without a record of QEMU's state cannot be written")
        spool = Spool()
        for chunk in chunks:
            spool.write(memoryview(chunk))
        length = 8 + spool.size
        if length >= 1 << 32:
            raise EncodeError(f"a record has room for 4 GiB, not for {quantity(length, 'byte')}")
        yield from pieces(metadata.before[:-4])
        yield length.to_bytes(4, metadata.byte_order)
        yield metadata.emulator
        yield from pieces(spool.finish())
        yield bytes(-length % 8)
        yield from pieces(metadata.after)

    def plain_metadata(self) -> XenMetadata:
        """Raise Unsupported: a file is made by Xen."""
        raise Unsupported(
            "a Xen save file cannot be made here",
            remedy="make one with `xl save`, and put the stream into it with `vmstate wrap --like FILE`",
        )


CONTAINER = Xen()
