"""``ram`` and ``spapr/htab``: written as in real streams, loaded, or refused with QEMU's messages."""

from __future__ import annotations

import struct
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.laws import laws
from tests.support.sections import BUILDABLE, PSERIES, arguments, machine, stream
from vmstate.describe import Cursor, Writer
from vmstate.describe.diagnostics import LoadFailure
from vmstate.pseries.board.board import RamBlock
from vmstate.pseries.devices.host.ram import Ram, in_list_order, runs, zero_run
from vmstate.pseries.devices.spapr.htab import Htab
from vmstate.pseries.registration import register
from vmstate.stream import SectionType

PARTS = {SectionType.START: "setup", SectionType.PART: "iterate", SectionType.END: "complete"}


def written(device, kind):
    out = Writer()
    getattr(device, PARTS[kind])(out)
    return out.join()


def payloads(name, idstr):
    """Return payloads by kind; the number of parts depends on the speed of the host."""
    section_names = {s.section_id: s.idstr for s in stream(name).sections if s.kind is SectionType.START}
    found = {kind: [] for kind in PARTS}
    for section in stream(name).sections:
        if section.kind in PARTS and section_names[section.section_id] == idstr:
            found[section.kind].append(bytes(stream(name).payload(section)))
    return found


@pytest.mark.parametrize("name", BUILDABLE)
def test_memory_is_sent_as_qemu_sends_it(name):
    made = register(machine(corpus.manifest()[name]["release"], arguments(name)))
    device = next(e.device for e in made if e.device.idstr == "ram")
    real = payloads(name, "ram")
    assert [written(device, SectionType.START)] == real[SectionType.START]
    assert written(device, SectionType.PART)[:-8] == b"".join(part[:-8] for part in real[SectionType.PART])
    assert [written(device, SectionType.END)] == real[SectionType.END]


@pytest.mark.parametrize("name", BUILDABLE)
def test_the_hash_table_is_sent_as_qemu_sends_it(name):
    made = register(machine(corpus.manifest()[name]["release"], arguments(name)))
    device = next(e.device for e in made if e.device.idstr == "spapr/htab")
    for kind, parts in payloads(name, "spapr/htab").items():
        assert set(parts) == {written(device, kind)}


def a_machine(release):
    return machine(release, [*PSERIES, "-m", "256"] if release != "2.9.1" else ["-nodefaults", "-m", "256"])


def load(device, data, version_id=None):
    cur = Cursor(memoryview(data), judge=True)
    device.load_state(cur, device.version_id if version_id is None else version_id)
    return cur.pos


def refused(device, data, version_id=None):
    with pytest.raises(LoadFailure) as failure:
        load(device, data, version_id)
    return failure.value.ret, device.machine.printed


def ram(release, *blocks):
    return Ram(a_machine(release), blocks or [RamBlock("ppc_spapr.ram", 1 << 28)])


def u64(number):
    return struct.pack(">Q", number)


@pytest.mark.parametrize("size", [1, 2, 17, 65535, 65536, 65537, 200000])
def test_the_pages_of_a_block_are_each_sent_once(size):
    cut = runs(size)
    assert [first for first, _ in cut] == [1 if first == 0 else first for first in [*range(0, size, 65536)]][
        : len(cut)
    ]
    assert 1 + sum(count for _, count in cut) == size


def test_a_run_of_zero_pages_is_made_once_and_shared():
    assert zero_run(1, 10) is zero_run(1, 10)
    assert zero_run(1, 1) == u64(0x1000 | 0x22) + b"\0"


def test_blocks_are_listed_from_the_largest_to_the_smallest_then_as_made():
    blocks = [RamBlock("a", 4096), RamBlock("b", 8192), RamBlock("c", 4096, max_length=16384)]
    assert [b.name for b in in_list_order(blocks)] == ["c", "b", "a"]


def test_everything_that_is_sent_is_loaded_to_the_last_byte():
    one, other = ram("7.2.22"), ram("7.2.22")
    for kind in PARTS:
        data = written(one, kind)
        assert load(other, data) == len(data)


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("2.9.1", "Length mismatch: ppc_spapr.ram: 0x20000000 in != 0x10000000: Invalid argument"),
        ("4.2.1", "Length mismatch: ppc_spapr.ram: 0x20000000 in != 0x10000000: Invalid argument"),
        ("5.2.0", "Size mismatch: ppc_spapr.ram: 0x20000000 != 0x10000000: Invalid argument"),
        ("11.1.3", "Size mismatch: ppc_spapr.ram: 0x20000000 != 0x10000000: Invalid argument"),
    ],
)
def test_memory_of_another_size_is_refused(release, line):
    data = written(ram(release, RamBlock("ppc_spapr.ram", 1 << 29)), SectionType.START)
    assert refused(ram(release), data) == (-22, [line])


def test_an_unknown_block_is_refused():
    data = written(ram("7.2.22", RamBlock("m0", 1 << 28)), SectionType.START)
    line = 'Unknown ramblock "m0", cannot accept migration'
    assert refused(ram("7.2.22"), data) == (-22, [line])


def test_a_block_that_may_grow_takes_the_length_of_the_source():
    device = ram("7.2.22", RamBlock("rom", 4096, max_length=16384))
    data = written(ram("7.2.22", RamBlock("rom", 8192)), SectionType.START)
    load(device, data)
    assert device.blocks[0].used_length == 8192
    assert refused(device, written(ram("7.2.22", RamBlock("rom", 1 << 20)), SectionType.START))[1] == [
        "Size too large: rom: 0x100000 > 0x4000: Invalid argument"
    ]


@pytest.mark.parametrize(
    ("record", "lines"),
    [
        (u64(0x10000000 | 0x02) + b"\x0dppc_spapr.ram\0", ["Illegal RAM offset 10000000"]),
        (u64(0x1000 | 0x22) + b"\0", ["Ack, bad migration stream!", "Illegal RAM offset 1000"]),
        (u64(0x02) + b"\x02m0\0", ["Can't find block m0", "Illegal RAM offset 0"]),
        (u64(0x01), ["Unknown combination of migration flags: 0x1"]),
        (u64(0x100), ["Received an unexpected compressed page"]),
    ],
)
def test_impossible_records_are_refused(record, lines):
    assert refused(ram("7.2.22"), record) == (-22, lines)


def test_only_zero_may_fill_a_page_since_8_2():
    record = u64(0x02) + b"\x0dppc_spapr.ram\x07" + u64(0x10)
    assert load(ram("7.2.22"), record) == len(record)
    assert refused(ram("10.0.13"), record) == (-22, ["Found a zero page with value 7"])


def test_the_version_of_ram_is_4():
    assert refused(ram("7.2.22"), u64(0x10), version_id=3) == (-22, [])


def htab(release="7.2.22", shift=21):
    return Htab(a_machine(release), shift)


def test_a_guest_without_a_hash_table_sends_a_marker_since_2_10():
    device = htab()
    load(device, b"\xff" * 4)
    assert device.shift == 0
    assert written(device, SectionType.START) == written(device, SectionType.PART) == b"\xff" * 4


def test_a_chunk_beyond_the_table_is_refused():
    data = bytes(4) + struct.pack(">IHH", 1 << 17, 1, 0)
    line = "htab_load() bad index 131072 (1+0 entries) in htab stream (htab_shift=21)"
    assert refused(htab(), data) == (-22, [line])


def test_the_first_header_sets_the_size_of_the_table():
    device = htab(shift=21)
    load(device, struct.pack(">I", 23))
    data = bytes(4) + struct.pack(">IHH", 1 << 17, 1, 1) + bytes(16) + bytes(8)
    assert load(device, data) == len(data)


def test_missing_bytes_of_a_chunk_are_read_as_zeros_and_no_chunk_follows():
    cur = Cursor(memoryview(bytes(4) + struct.pack(">IHH", 0, 2, 0) + bytes(31)), judge=True)
    htab().load_state(cur, 1)
    assert cur.short
    assert cur.pos == cur.end


CHUNKS = st.lists(
    st.builds(
        lambda index, valid, invalid: struct.pack(">IHH", index, valid, invalid) + b"~" * 16 * valid,
        st.sampled_from((0, 0, 1, 5, 6, 7, 8, 9, 0xFFFFFFFF)),
        st.sampled_from((0, 1, 1, 1, 2, 3)),
        st.sampled_from((0, 0, 1, 2, 8, 0xFFFF)),
    ),
    max_size=5,
).map(b"".join)


@laws
@given(CHUNKS, st.integers(0, 30))
def test_chunks_are_loaded_at_once_as_each_in_its_turn(chunks, cut):
    data = (bytes(4) + chunks + bytes(8))[: -cut or None]

    def outcome():
        cur, device = Cursor(memoryview(data), judge=True), htab(shift=7)
        try:
            device.load_state(cur, 1)
        except LoadFailure as failure:
            return str(failure), cur.pos, device.machine.printed
        return cur.pos, cur.short

    with patch.object(Htab, "_skip_chunks", lambda device, cur: None):
        each = outcome()
    assert outcome() == each


def test_the_version_of_the_table_is_1():
    assert refused(htab(), bytes(12), version_id=2) == (-22, ["htab_load() bad version"])
