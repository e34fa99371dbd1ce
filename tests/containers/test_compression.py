"""Each compression: files of other programs, members, preserved headers, damage, bombs."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import random
import shutil
import subprocess
import sys
import zlib

import pytest
import zstandard

from vmstate.containers import layer, open_input, rewrap
from vmstate.errors import TooLarge, Unsupported

PYTHON = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstandard.compress}
PROGRAMS = [name for name in PYTHON if shutil.which(name)]
CUT_ALLOWANCE = 16 << 10


def rules(file: bytes) -> list[str]:
    return [finding.rule for finding in open_input(file).findings]


@pytest.mark.parametrize("name", PYTHON)
def test_the_output_of_pythons_own_module_is_read(stream, name):
    assert open_input(PYTHON[name](stream)).data == stream


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_output_is_read_and_the_program_reads_ours(stream, name):
    file = subprocess.run([name, "-c"], input=stream, capture_output=True, check=True).stdout
    opened = open_input(file)
    assert (opened.data, opened.findings) == (stream, ())
    ours = b"".join(opened.rewrap(stream[:-1]))
    assert subprocess.run([name, "-dc"], input=ours, capture_output=True, check=True).stdout == stream[:-1]


@pytest.mark.parametrize("level", [1, 6, 9])
def test_gzip_by_zlib_is_rewritten_identically(stream, level):
    buffer = io.BytesIO()
    compressor = zlib.compressobj(level, wbits=31)
    buffer.write(compressor.compress(stream) + compressor.flush())
    opened = open_input(buffer.getvalue())
    if level != 6 and opened.layers[0].metadata.level == 6:
        pytest.skip("this zlib does not write its level into the header")
    assert b"".join(rewrap(opened.layers, [stream])) == buffer.getvalue()


def test_gzip_keeps_the_files_name_and_time(stream):
    buffer = io.BytesIO()
    with gzip.GzipFile("guest.mig", "wb", 9, buffer, mtime=1_600_000_000) as file:
        file.write(stream)
    opened = open_input(buffer.getvalue())
    assert b"".join(rewrap(opened.layers, [stream])) == buffer.getvalue()


@pytest.mark.parametrize("level", range(1, 10))
def test_bzip2_is_rewritten_identically(stream, level):
    file = bz2.compress(stream, level)
    assert b"".join(rewrap(open_input(file).layers, [stream])) == file


@pytest.mark.parametrize("preset", [0, 1, 2, 3, 6, 7])
@pytest.mark.parametrize("check", [lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
def test_xz_is_rewritten_identically(stream, preset, check):
    file = lzma.compress(stream, check=check, preset=preset)
    assert b"".join(rewrap(open_input(file).layers, [stream])) == file


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("sized", [True, False])
def test_zstd_at_level_3_is_rewritten_identically(stream, checksum, sized):
    compressor = zstandard.ZstdCompressor(3, write_checksum=checksum, write_content_size=sized)
    sink = compressor.compressobj(size=len(stream))
    file = sink.compress(stream) + sink.flush()
    assert b"".join(rewrap(open_input(file).layers, [stream], len(stream))) == file


@pytest.mark.parametrize("name", PYTHON)
def test_members_one_after_another_are_one_stream(stream, name):
    opened = open_input(PYTHON[name](stream) + PYTHON[name](b"second"))
    assert opened.data == stream + b"second"
    assert opened.layers[0].as_json()["members"] == 2
    assert opened.findings == ()


def test_a_skippable_zstd_frame_is_skipped(stream):
    skippable = b"\x53\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    opened = open_input(skippable + zstandard.compress(stream) + skippable)
    assert (opened.data, opened.findings) == (stream, ())


@pytest.mark.parametrize("name", PYTHON)
def test_bytes_after_the_data_are_reported_and_kept(stream, name):
    file = PYTHON[name](stream) + b"something else"
    opened = open_input(file)
    assert opened.data == stream
    assert [finding.rule for finding in opened.findings] == ["container.trailing"]
    assert b"".join(rewrap(opened.layers, [stream[:9]])).endswith(b"something else")


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_zeros_after_the_data_are_padding(stream, name):
    assert rules(PYTHON[name](stream) + bytes(512)) == []


@pytest.mark.parametrize("name", PYTHON)
def test_cut_short_keeps_what_came_before(stream, name):
    file = PYTHON[name](stream)
    opened = open_input(file[:-3])
    assert [finding.rule for finding in opened.findings] == ["container.truncated"]
    assert bytes(opened.data) == stream[: len(opened.data)]
    if name != "zstd":  # a zstd block is decompressed completely or not at all
        assert len(opened.data) >= len(stream) - CUT_ALLOWANCE


@pytest.mark.parametrize("name", ["gzip", "xz", "zstd"])
def test_damage_in_the_middle_keeps_what_came_before(stream, name):
    file = bytearray(b"".join(rewrap([layer(name)], [stream], len(stream))))  # zstd with its checksum
    file[-3000:-2900] = b"\xff" * 100
    opened = open_input(bytes(file))
    assert [finding.rule for finding in opened.findings] == ["container.damaged"]
    assert str(len(opened.data)) in opened.findings[0].message
    assert len(opened.data) >= len(stream) // 4


@pytest.mark.parametrize("damaged", range(5))
def test_every_zstd_block_before_a_damaged_one_is_kept(damaged):
    size = 128 << 10
    noise = random.Random(1).randbytes(5 * size)  # blocks of bytes as they are
    file = bytearray(b"".join(rewrap([layer("zstd")], [noise], len(noise))))
    at = len(file) - 4 - 3 - (5 - damaged) * (3 + size)  # a last block of nothing, and the checksum
    file[at] |= 6  # a type that no block has
    opened = open_input(bytes(file))
    (finding,) = opened.findings
    assert (finding.rule, finding.place.offset) == ("container.damaged", at)
    assert opened.data == noise[: damaged * size]


def test_what_was_unpacked_is_freed_sound_or_damaged(stream):
    """zstd's reader is not seen by the garbage collector: it must not be part of a cycle."""
    packed = zstandard.ZstdCompressor().compress(stream)
    for data in (packed, packed[: len(packed) // 2]):
        before = sys.getrefcount(data)
        for _ in range(3):
            open_input(data)
        gc.collect()
        assert sys.getrefcount(data) == before


@pytest.mark.parametrize("name", PYTHON)
def test_a_wrong_checksum_at_the_very_end_loses_next_to_nothing(stream, name):
    file = bytearray(b"".join(rewrap([layer(name)], [stream], len(stream))))
    at = {"gzip": -6, "bzip2": -2, "xz": -20, "zstd": -2}[name]
    file[at] ^= 0x55
    opened = open_input(bytes(file))
    assert opened.findings
    assert bytes(opened.data) == stream[: len(opened.data)]
    assert len(opened.data) >= len(stream) - CUT_ALLOWANCE


@pytest.mark.parametrize("name", PYTHON)
def test_a_bomb_stops_at_the_limit(name):
    bomb = b"".join(rewrap([layer(name)], [bytes(1 << 20)] * 64))
    with pytest.raises(TooLarge) as caught:
        open_input(bomb, limit=1 << 20)
    assert caught.value.limit == 1 << 20


@pytest.mark.parametrize("name", PYTHON)
def test_a_bombs_content_stays_out_of_resident_memory(tmp_path, name):
    path = tmp_path / "bomb"
    path.write_bytes(b"".join(rewrap([layer(name)], [bytes(1 << 20)] * 96)))
    script = (
        "import resource, sys, vmstate.containers as c\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "opened = c.open_input(sys.argv[1])\n"
        "assert len(opened.data) == 96 << 20\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True).stdout
    assert int(grown) < 60 << 10, "KiB"


def test_a_zstd_window_beyond_the_programs_own_limit_is_unsupported():
    frame = b"\x28\xb5\x2f\xfd" + bytes((0x04, 0xF8)) + bytes(20)
    with pytest.raises(Unsupported, match="window"):
        open_input(frame)


def test_a_zstd_dictionary_is_unsupported(stream):
    frame = b"\x28\xb5\x2f\xfd" + bytes((0x05, 0x58, 0x07)) + bytes(20)
    with pytest.raises(Unsupported, match="dictionary"):
        open_input(frame)


def test_an_xz_dictionary_beyond_our_memory_is_unsupported():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    file = bytearray(lzma.compress(b"QEVM", filters=filters))
    assert file[16] == 16
    file[16] = 40  # 4 GiB
    header = bytes(file[12:24])
    file[20:24] = zlib.crc32(header[:8]).to_bytes(4, "little")
    with pytest.raises(Unsupported, match="dictionary"):
        open_input(bytes(file))


def test_lzop_without_the_program_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Unsupported, match="lzop"):
        open_input(b"\x89LZO\0\r\n\x1a\n" + bytes(50))


def test_damaged_lzop_is_a_finding(stream):
    if shutil.which("lzop") is None:
        pytest.skip("the lzop program is not installed")
    file = bytearray(b"".join(rewrap([layer("lzop")], [stream])))
    file[len(file) // 2] ^= 0xFF
    opened = open_input(bytes(file))
    assert [finding.rule for finding in opened.findings] == ["container.damaged"]
    assert stream.startswith(bytes(opened.data))


def test_too_many_nested_containers_end_in_a_finding():
    data = b"QEVM"
    for _ in range(12):
        data = gzip.compress(data)
    opened = open_input(data)
    assert len(opened.layers) == 8
    assert [finding.rule for finding in opened.findings] == ["container.nested"]


def test_a_bomb_is_refused_and_a_limit_lets_it_through(tmp_path):
    bomb = tmp_path / "bomb.zst"
    bomb.write_bytes(zstandard.ZstdCompressor(level=1).compress(b"QEVM" + bytes(1 << 28)))
    with pytest.raises(TooLarge, match="decompresses to more than 268435456 bytes"):
        open_input(bomb)
    with open_input(bomb, limit=1 << 29) as opened:
        assert len(opened.data) == (1 << 28) + 4
