"""Read a multifd channel: packets of pages (QEMU migration/multifd.c, multifd-nocomp.c, -zlib.c, -zstd.c).

A channel begins with a greeting, which has its number.  Then come packets: a header of a fixed size, which
lists the pages' places, and the pages, which may be compressed.  One compressor serves a whole channel, so a
packet cannot be read without those before it.  :mod:`vmstate.stream.framing` declares the layout.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import zstandard

from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass, field
from vmstate.errors import (
    Finding,
    Place,
    Severity,
    StreamError,
    TooLarge,
    Truncated,
    Unsupported,
    finding_of,
)
from vmstate.stream.constants import MULTIFD_MAGIC, MULTIFD_MAGIC_BYTES

U64: TypeAlias = npt.NDArray[np.uint64]

NUMBER_AT = 24
"""The offset of the channel's number in its greeting."""

GREETING_SIZE = 64
PACKET_SIZE = 512 << 10
"""The most bytes of pages in one packet."""

VERSION = 1
SYNC, DEVICE_STATE = 1 << 0, 1 << 6
_COMPRESSION = 0x1F << 1
_ZLIB, _ZSTD = 1 << 1, 2 << 1
_OTHERS = {4 << 1: "qpl", 8 << 1: "uadk", 16 << 1: "qatzip"}
_HEAD = struct.Struct(">III")
_PAGES = struct.Struct(">IIIQI")
_HEADER_SIZE, _NAME_AT, _NAME_SIZE = 320, 64, 256
_DEVICE_STATE_SIZE = 276
_FINDING = "multifd.channel"


@dataclass(frozen=True)
class Packet:
    """The pages of one packet.

    ``number``: its place among the packets of all channels; ``round``: how often its channel had been
    synchronised with the main one before it.  ``pages``: the addresses of the pages with content, which is in
    ``content``; ``zeros``: those of pages of zeros.
    """

    number: int
    round: int
    block: bytes
    pages: U64
    zeros: U64
    content: slice


@dataclass
class Channel:
    """A channel that was read: ``content`` has the pages, one after another, without compression."""

    number: int
    uuid: bytes
    packets: list[Packet] = field(default_factory=list)
    #: The numbers of all packets, also of those without pages.
    numbers: list[int] = field(default_factory=list)
    rounds: int = 0
    device_states: int = 0
    #: None if no page with content came through it.
    compression: str | None = None
    content: memoryview = field(default=memoryview(b""), repr=False)
    findings: list[Finding] = field(default_factory=list)


def is_channel(data: memoryview) -> bool:
    """Return True if a file begins like a channel."""
    return bytes(data[:4]) == MULTIFD_MAGIC_BYTES


def announced_pages(data: memoryview) -> int | None:
    """Return how many places a packet's header has, by the first packet that says so; None if none does."""
    at = GREETING_SIZE
    if len(data) < at + _HEADER_SIZE:
        return None
    return int(_PAGES.unpack_from(data, at + _HEAD.size)[0]) or None


def read_channel(data: memoryview, page_size: int, limit: int | None = None) -> Channel:
    """Read a channel.  Damage gives a finding, and keeps the packets before it.

    Raises Unsupported for a compression that is not read here, TooLarge beyond the limit.
    """
    if len(data) < GREETING_SIZE:
        channel = Channel(0, b"")
        channel.findings.append(finding_of(Truncated(GREETING_SIZE, len(data), offset=0), _FINDING))
        return channel
    channel = Channel(data[NUMBER_AT], bytes(data[8:NUMBER_AT]))
    reader = _Reader(data, channel, page_size, Spool(limit))
    try:
        reader.run()
    except (Unsupported, TooLarge):
        raise
    except StreamError as error:
        channel.findings.append(finding_of(error, _FINDING))
    if not reader.verbatim:
        channel.content = reader.spool.finish()
    return channel


class _Reader:
    def __init__(self, data: memoryview, channel: Channel, page_size: int, spool: Spool) -> None:
        self.data = data
        self.spool = spool
        self._channel = channel
        self._page_size = page_size
        self._places = PACKET_SIZE // page_size
        self._at = GREETING_SIZE
        self._method: int | None = None
        self._expand: Callable[[bytes, int], bytes] | None = None

    def run(self) -> None:
        """Read the packets to the channel's end."""
        self._channel.content = self.data
        while self._at < len(self.data):
            magic, version, flags = _HEAD.unpack(self._take(self._at, _HEAD.size))
            if (magic, version) != (MULTIFD_MAGIC, VERSION):
                raise StreamError(
                    "no multifd packet",
                    offset=self._at,
                    expected=f"{MULTIFD_MAGIC:#x}, version {VERSION}",
                    found=f"{magic:#x}, version {version}",
                )
            if flags & DEVICE_STATE:
                self._device_state()
            else:
                self._packet(flags)

    def _take(self, at: int, size: int) -> memoryview:
        if at + size > len(self.data):
            raise Truncated(size, max(len(self.data) - at, 0), offset=at)
        return self.data[at : at + size]

    def _device_state(self) -> None:
        """Skip the state of a device (VFIO), which is not guest memory."""
        head = self._take(self._at, _DEVICE_STATE_SIZE)
        size = int.from_bytes(head[-4:], "big")
        self._take(self._at + _DEVICE_STATE_SIZE, size)
        self._channel.device_states += 1
        self._at += _DEVICE_STATE_SIZE + size

    def _packet(self, flags: int) -> None:
        at, channel = self._at, self._channel
        head = self._take(at, _HEADER_SIZE + 8 * self._places)
        places, normal, size, number, zero = _PAGES.unpack_from(head, _HEAD.size)
        if places > self._places or normal + zero > places:
            raise StreamError(
                "more pages than a packet has room for",
                offset=at,
                expected=self._places,
                found=f"{normal} + {zero} of {places}",
            )
        self._at += len(head)
        content = self._pages(flags & _COMPRESSION, normal, size) if normal else slice(0, 0)
        channel.numbers.append(number)
        if normal or zero:
            addresses = np.frombuffer(head, ">u8", normal + zero, _HEADER_SIZE).astype(np.uint64)
            block = bytes(head[_NAME_AT : _NAME_AT + _NAME_SIZE]).partition(b"\0")[0]
            packet = Packet(number, channel.rounds, block, addresses[:normal], addresses[normal:], content)
            channel.packets.append(packet)
        channel.rounds += flags & SYNC

    def _pages(self, method: int, count: int, size: int) -> slice:
        """Return where the content of ``count`` pages is; it takes ``size`` bytes in the channel."""
        wanted, at = count * self._page_size, self._at
        raw = self._take(at, size)
        self._at += size
        if self._method is None:
            self._method = method
            self._expand = _expander(method, self._channel, at)
        if method != self._method:
            raise StreamError("a channel that changes its compression", offset=at)
        if self._expand is None:
            content: bytes | memoryview = raw
        else:
            content = self._expanded(self._expand, bytes(raw), wanted, at)
        if len(content) != wanted:
            raise StreamError("a packet of the wrong size", offset=at, expected=wanted, found=len(content))
        if self.verbatim:
            return slice(at, at + wanted)
        start = self.spool.size
        self.spool.write(content)
        return slice(start, start + wanted)

    @property
    def verbatim(self) -> bool:
        """True if the pages are in the channel as they are."""
        return self._expand is None

    @staticmethod
    def _expanded(expand: Callable[[bytes, int], bytes], raw: bytes, wanted: int, at: int) -> bytes:
        try:
            return expand(raw, wanted)
        except (zlib.error, zstandard.ZstdError) as error:
            raise StreamError(f"a packet that cannot be decompressed: {error}", offset=at) from None


def _expander(method: int, channel: Channel, at: int) -> Callable[[bytes, int], bytes] | None:
    """Return a function that decompresses the channel's next packet, to a few more bytes than wanted at most.

    None if the channel is not compressed.
    """
    if not method:
        channel.compression = "none"
        return None
    if method == _ZLIB:
        channel.compression = "zlib"
        inflate = zlib.decompressobj()
        return lambda raw, most: inflate.decompress(raw, most + 1)
    if method == _ZSTD:
        channel.compression = "zstd"
        return _Zstd()
    name = _OTHERS.get(method, f"method {method >> 1:#x}")
    raise Unsupported(
        f"multifd pages compressed with {name} are not read here",
        offset=at,
        remedy="migrate with multifd-compression none, zlib or zstd",
    )


class _Zstd:
    """One zstd decompressor for a whole channel."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()

    def __call__(self, raw: bytes, most: int) -> bytes:
        found = bytearray()
        for start in range(0, len(raw), _STEP):
            found += self._context.decompress(raw[start : start + _STEP])
            if len(found) > most:
                break
        return bytes(found)


_STEP = 4096  # at most a thousand blocks of 128 KiB: what a packet that lies costs


def damage(message: str) -> Finding:
    """Return a finding about the channels together."""
    return Finding("multifd.channels", Severity.ERROR, message, Place())
