"""Multifd channels, written as QEMU writes them: the counterpart of ``vmstate.stream.multifd``."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from tests.support.synthetic import EOS, PAGE, ram_setup, section, word
from vmstate.stream import SectionType, framing, writer

PLACES = (512 << 10) // PAGE
FLUSH = word(0, 0x200)
SYNC = 1
METHODS = {"none": 0, "zlib": 2, "zstd": 4}


@dataclass
class Round:
    """What is sent until the next synchronisation: for each channel its packets of pages, by address."""

    channels: Sequence[Sequence[dict[int, bytes]]]
    main: bytes = b""


class _Channel:
    def __init__(self, number: int, compression: str) -> None:
        self.data = bytearray(framing.MULTIFD_GREETING.build({"uuid": bytes(16), "id": number}))
        self._flags = METHODS[compression]
        self._zlib = zlib.compressobj(1) if compression == "zlib" else None
        self._zstd = zstandard.ZstdCompressor(1).compressobj() if compression == "zstd" else None

    def packet(self, number: int, block: str, pages: dict[int, bytes], *, zeros: bool, more: int = 0) -> None:
        """Send pages; ``zeros``: those of zeros as such, as since 9.0."""
        empty = [address for address, content in pages.items() if zeros and content == bytes(PAGE)]
        full = [address for address in pages if address not in empty]
        content = self._compressed(b"".join(pages[address] for address in full)) if full else b""
        self._header(number, block, full + empty, len(full), len(empty), len(content), self._flags | more)
        self.data += content

    def sync(self, number: int, *, old: bool) -> None:
        self._header(number, "", [], 0, 0, 77 if old else 0, SYNC, places=PLACES if old else 0)

    def _header(
        self, number: int, block: str, offsets: list[int], normal: int, zero: int, size: int, flags: int,
        places: int = PLACES,
    ) -> None:  # fmt: skip
        self.data += framing.MULTIFD_PACKET.build(
            {
                "flags": flags,
                "pages_alloc": places,
                "normal_pages": normal,
                "next_packet_size": size,
                "packet_num": number,
                "zero_pages": zero,
                "ramblock": block,
                "offset": offsets + [0] * (PLACES - len(offsets)),
            }
        )

    def _compressed(self, data: bytes) -> bytes:
        if self._zlib is not None:
            return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if self._zstd is not None:
            return self._zstd.compress(data) + self._zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        return data


def migration(
    blocks: Sequence[tuple[bytes, int]],
    rounds: Sequence[Round],
    compression: str = "none",
    *,
    old: bool = False,
) -> tuple[bytes, list[bytes]]:
    """Return the main channel and the others.  ``old``: as 7.2 writes them, else as since 9.0."""
    count = len(rounds[0].channels)
    channels = [_Channel(number, compression) for number in range(count)]
    number = 0
    parts = [writer.file_header(), writer.configuration("m")]
    setup = ram_setup(blocks)
    for which, one in enumerate(rounds):
        for channel, packets in zip(channels, one.channels, strict=True):
            for pages in packets:
                channel.packet(number, blocks[0][0].decode(), pages, zeros=not old)
                number += 1
        for channel in channels:
            channel.sync(number, old=old)
            number += 1
        mark = EOS if old else FLUSH + EOS
        if which == 0:
            parts.append(section(SectionType.START, 2, setup.removesuffix(EOS) + one.main + mark, "ram"))
        else:
            kind = SectionType.END if which == len(rounds) - 1 else SectionType.PART
            parts.append(section(kind, 2, one.main + mark))
    parts += [writer.end_of_states(), writer.vmdescription(b'{"page_size": 4096, "devices": []}')]
    return b"".join(parts), [bytes(channel.data) for channel in channels]
