"""Memory: a map is not copied, a pipe is not kept."""

from __future__ import annotations

import mmap
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard

from tests.support.synthetic import EOS, PAGE, named, ram_setup, section, word
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.opening import open_wrapped
from vmstate.stream.pipe import read_chunks
from vmstate.stream.sections.ram_pages import RamPages

PART_PAGES = 512


def big(parts: int) -> Iterator[bytes]:
    """Yield a stream with ``parts`` parts of 2 MiB of memory each, in pieces."""
    total = parts * (PART_PAGES + 1) * PAGE
    yield writer.file_header() + section(SectionType.START, 2, ram_setup([(b"main", total)]), "ram")
    content = np.random.default_rng(1).integers(0, 256, (PART_PAGES, PAGE), dtype=np.uint8)
    for part in range(parts):
        first = part * (PART_PAGES + 1)
        addresses = np.arange(first + 1, first + 1 + PART_PAGES, dtype=np.uint64) * PAGE | 0x28
        records = np.hstack([addresses.astype(">u8").view(np.uint8).reshape(-1, 8), content])
        head = named(first * PAGE, 0x02, b"main") if part == 0 else word(first * PAGE, 0x22)
        yield section(SectionType.PART, 2, head + b"\0" + records.tobytes() + EOS)
    yield (
        section(SectionType.END, 2, EOS)
        + writer.full_section(3, "device", 0, 1, struct.pack(">I", 7))
        + b"\0"
    )


def peak(action) -> int:
    """Return the peak of Python's memory during an action, in bytes."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("parts", [4, 32])
def test_a_pipe_holds_the_same_memory_for_any_guest(parts):
    stream = None

    def read():
        nonlocal stream
        stream = read_chunks(big(parts))

    assert peak(read) < 20 << 20  # a few pieces of 2 MiB, for any size of the guest
    assert stream.findings == []
    assert stream.ram.pages == parts * (PART_PAGES + 1)
    assert stream.sections[-1].idstr == "device"


def test_of_a_large_compressed_stream_only_the_places_of_pages_are_kept(tmp_path):
    path = tmp_path / "stream.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(b"".join(big(32))))
    opened = None

    def read():
        nonlocal opened
        opened = open_wrapped(path, contents=False)[1]

    assert peak(read) < 40 << 20  # the first 16 MiB wait in memory
    whole = open_wrapped(path)[1]
    assert not whole.elided
    assert sum(high - low for low, high in opened.elided) > 60 << 20
    assert opened.items == whole.items
    assert opened.ram.runs == whole.ram.runs


def file_of(tmp_path: Path, parts: int) -> Path:
    path = tmp_path / "stream"
    with path.open("wb") as file:
        file.writelines(big(parts))
    return path


def test_indexing_a_map_copies_nothing(tmp_path):
    path = file_of(tmp_path, 32)
    assert peak(lambda: open_stream(path)) < 2 << 20


def resident() -> int:
    """Return the bytes of mapped files in this process's memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssFile"))


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system has no memory advice")
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not report resident memory"
)
def test_a_map_gives_memory_back(tmp_path):
    path = file_of(tmp_path, 64)
    before = resident()
    stream = open_stream(path)
    assert resident() - before < 40 << 20
    digest = RamPages(stream.ram, stream.window).digest(0)
    assert resident() - before < 60 << 20
    assert digest == RamPages(stream.ram, stream.data).digest(0)
    assert len(stream.data) > 128 << 20


def test_a_map_that_the_caller_made_is_read_the_same(tmp_path):
    path = file_of(tmp_path, 2)
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    private = mmap.mmap(-1, len(mapped))
    private[:] = mapped[:]
    for given in (mapped, private, memoryview(private)):
        stream = open_stream(given)
        assert stream.items == open_stream(path).items
        assert bytes(stream.data) == mapped[:]
