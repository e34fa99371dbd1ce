"""qcow2 images: laws on images of every shape, and an image of a real QEMU."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import vmstate
from tests.support.qcow2_check import faults
from tests.support.qcow2_image import image
from vmstate.cli import main
from vmstate.containers import open_input
from vmstate.containers.qcow2 import read_image
from vmstate.errors import StreamError, Unsupported, VmstateError

REAL = Path(__file__).resolve().parents[2] / "fixtures" / "containers" / "two-snapshots.qcow2.zst"
LOADED = REAL.with_name("loaded-snapshot.qcow2.zst")
SHAPES = st.fixed_dictionaries(
    {
        "bits": st.sampled_from([10, 12, 14]),
        "version": st.just(3),
        "extended": st.booleans(),
        "order": st.sampled_from([3, 4, 5]),
        "seed": st.integers(0, 3),
    }
) | st.fixed_dictionaries(
    {"bits": st.sampled_from([10, 12]), "version": st.just(2), "seed": st.integers(0, 3)}
)


def streams(most: int) -> st.SearchStrategy[bytes]:
    """Bytes that begin as a stream does, so that they are in no further container."""
    return st.binary(max_size=most).map(b"QEVM".__add__)


STATES = st.tuples(streams(9000), streams(9000))


def taken(data: bytes, part: str) -> bytes:
    with open_input(data, part=part) as opened:
        assert not opened.findings
        return bytes(opened.data)


@given(SHAPES, STATES)
def test_each_snapshot_has_its_own_stream(shape, states):
    data = image(states, **shape)
    assert (taken(data, "s0"), taken(data, "s1")) == states


@given(SHAPES, STATES, streams(30000))
def test_another_stream_takes_its_place_and_the_other_snapshot_stays(shape, states, new):
    data = image(states, **shape)
    with open_input(data, part="s1") as opened:
        changed = b"".join(opened.rewrap(new))
        same = b"".join(opened.rewrap(opened.data))
    assert same == data
    assert (taken(changed, "s0"), taken(changed, "s1")) == (states[0], new)
    assert faults(data) == faults(changed) == []


@given(SHAPES, STATES, st.integers(0, 2**32))
def test_a_damaged_image_gives_bytes_or_an_error_of_ours(shape, states, seed):
    data = bytearray(image(states, **shape))
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(min(len(data), 5 << shape["bits"]))
        data[at : at + 8] = chance.randbytes(chance.choice([1, 8]))
    try:
        with open_input(bytes(data), part="s0") as opened:
            assert len(opened.data) <= len(data)
            b"".join(opened.rewrap(b"another"))
    except StreamError:
        pass


@pytest.mark.parametrize("bits", [9, 12, 16])
@pytest.mark.parametrize("flags", [0, 1 << 62, 1 << 63])
def test_an_entry_of_a_cluster_far_behind_the_image_makes_no_table_for_it(bits, flags):
    """It made the table of refcounts grow until memory was full: found by the test above."""
    data = image([b"first" * 100, b"second" * 100], bits=bits)
    words = [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]
    entries = [8 * n for n, word in enumerate(words) if word >> 63 and word & (1 << 62) - 1 < len(data)]
    assert entries
    for at in entries:
        far = (flags | 1 << 55 | 1 << 54).to_bytes(8, "big")
        damaged = data[:at] + far + data[at + 8 :]
        try:
            with open_input(damaged, part="s0") as opened:
                assert sum(map(len, opened.rewrap(b"another"))) <= len(data) + (4 << bits)
        except StreamError:
            pass


def test_a_snapshot_is_chosen_by_name_unless_there_is_one():
    two = image([b"first", b"second"])
    with pytest.raises(Unsupported, match="2 snapshots with the state of a machine: s0, s1"):
        open_input(two)
    with pytest.raises(Unsupported, match="no snapshot 's2'"):
        open_input(two, part="s2")
    assert bytes(open_input(image([b"only"])).data) == b"only"


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (32, (2).to_bytes(4, "big"), "LUKS"),
        (72, (1 << 2).to_bytes(8, "big"), "external data file"),
        (72, (1 << 9).to_bytes(8, "big"), "unknown incompatible features"),
        (20, (40).to_bytes(4, "big"), "impossible size of clusters"),
        (4, (1).to_bytes(4, "big"), "unknown version"),
        (60, bytes(4), "without the state of a machine"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(at, value, says):
    data = bytearray(image([b"only"]))
    data[at : at + len(value)] = value
    with pytest.raises(Unsupported, match=says):
        open_input(bytes(data))


@pytest.fixture
def real(tmp_path):
    """Return an image that QEMU 7.2.22 made: `savevm a`, `savevm b` of a paused pseries-7.2."""
    path = tmp_path / "two.qcow2"
    path.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(REAL.read_bytes()))
    return path


def test_a_snapshot_of_a_real_qemu_is_edited_in_place(real, tmp_path):
    out = tmp_path / "out.qcow2"
    assert main(["edit", f"{real}@a", "cpu[0].env.nip=0x1234", "-o", str(out)]) == 0
    with vmstate.open(f"{out}@a") as changed, vmstate.open(f"{out}@b") as other:
        assert (changed["cpu[0].env.nip"], other["cpu[0].env.nip"]) == (0x1234, 0x100)
    before, after = real.read_bytes(), out.read_bytes()
    assert len(before) == len(after)
    assert sum(one != two for one, two in zip(before, after, strict=True)) == 2


def test_the_snapshots_of_an_image_are_listed(real, capsys):
    assert main(["snapshots", str(real)]) == 0
    first, second, how = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in (first, second)] == [["1", "a"], ["2", "b"]]
    assert how == f"vmstate show '{real}@a' shows the first"


def test_the_name_of_a_file_may_have_an_at_sign(tmp_path):
    path = tmp_path / "odd@name"
    path.write_bytes(image([b"only"]))
    assert bytes(open_input(path).data) == b"only"


@pytest.mark.parametrize(("bits", "order"), [(9, 6), (9, 4), (10, 6)])
def test_an_image_whose_refcount_table_is_full_grows(bits, order):
    """64 entries of 64 clusters of 512 bytes are 2 MiB: a longer stream needs a larger table."""
    states = (b"QEVM one", b"QEVM two")
    new = b"QEVM" + random.Random(1).randbytes(5 << 20)
    with open_input(image(states, bits=bits, order=order), part="s1") as opened:
        changed = b"".join(opened.rewrap(new))
    assert (taken(changed, "s0"), taken(changed, "s1")) == (states[0], new)
    assert faults(changed) == []


def compressed(data: bytearray, bits: int) -> None:
    """Make the first two clusters of the first snapshot's state compressed ones, in one new cluster."""
    found = read_image(memoryview(bytes(data)))
    at = found.snapshots[0].l1_table_offset + 8
    l2 = int.from_bytes(data[at : at + 8], "big") & 0x00FF_FFFF_FFFF_FE00
    size, start = 1 << bits, len(data)
    for index in range(2):
        entry = int.from_bytes(data[l2 + index * 8 : l2 + index * 8 + 8], "big") & 0x00FF_FFFF_FFFF_FE00
        packed = zlib.compressobj(9, wbits=-12)
        raw = packed.compress(bytes(data[entry : entry + size])) + packed.flush()
        assert len(raw) <= 512
        data += raw.ljust(512, b"\0")
        word = 1 << 62 | start + index * 512
        data[l2 + index * 8 : l2 + index * 8 + 8] = word.to_bytes(8, "big")
        _refcount(data, entry >> bits, 0)
    data += bytes(-len(data) % size)
    _refcount(data, start >> bits, 2)


def _refcount(data: bytearray, number: int, count: int) -> None:
    block = int.from_bytes(data[4096:4104], "big")
    data[block + number * 2 : block + number * 2 + 2] = count.to_bytes(2, "big")


def test_compressed_clusters_are_read_and_replaced_by_others():
    state = b"QEVM" + b"compressible" * 1000
    data = bytearray(image((state, b"QEVM other"), bits=12))
    compressed(data, 12)
    assert faults(bytes(data)) == []
    with open_input(bytes(data), part="s0") as opened:
        assert bytes(opened.data) == state
        new = state[::-1].replace(b"MVEQ", b"") + b"more"
        changed = b"".join(opened.rewrap(b"QEVM" + new))
    assert taken(changed, "s0") == b"QEVM" + new
    assert taken(changed, "s1") == b"QEVM other"
    assert faults(changed) == []


def test_a_state_that_the_disk_shares_after_loadvm_is_edited_in_clusters_of_its_own(tmp_path):
    """After `loadvm`, the tables of the disk have the snapshot's state behind its end too."""
    path, out = tmp_path / "loaded.qcow2", tmp_path / "out.qcow2"
    path.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(LOADED.read_bytes()))
    assert faults(path.read_bytes()) == []
    assert main(["edit", f"{path}@a", "cpu[0].env.nip=0x1234", "-o", str(out)]) == 0
    assert faults(out.read_bytes()) == []
    with vmstate.open(f"{out}@a") as changed, vmstate.open(f"{out}@b") as other:
        assert (changed["cpu[0].env.nip"], other["cpu[0].env.nip"]) == (0x1234, 0x100)
    assert out.stat().st_size > path.stat().st_size


@given(STATES, streams(20000), st.data())
def test_an_image_that_lies_is_written_or_refused(states, new, data):
    image_ = bytearray(image(states, bits=10))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(4, len(image_) - 8) | st.integers(4, 200))
        image_[at : at + 4] = data.draw(st.sampled_from([bytes(4), b"\xff" * 4, bytes(3) + b"\1"]))
    try:
        with open_input(bytes(image_), part="s0") as opened:
            written = sum(map(len, opened.rewrap(new)))
    except VmstateError:
        return
    assert written < 4 << 20


def test_an_image_that_was_not_closed_is_not_written():
    data = bytearray(image((b"QEVM one", b"QEVM two")))
    data[79] |= 1
    with open_input(bytes(data), part="s0") as opened, pytest.raises(Unsupported, match="not closed"):
        b"".join(opened.rewrap(b"QEVM other"))
