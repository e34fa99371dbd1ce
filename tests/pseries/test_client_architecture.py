"""Guests' calls at CAS: the structure in memory, the bits of vector 5, and Linux by version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.client_architecture import ArchitectureCall, PvrEntry
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.guests import guest, kernel, read_kernel, shipped_kernels
from vmstate.pseries.cas.linux import LINUX_SHOWN
from vmstate.pseries.tables.option_vectors import (
    VECTOR_5,
    Ov5,
    bitmap_of,
    bits_of_bitmap,
    bits_of_bytes,
    bytes_of_bits,
    from_wire,
    to_wire,
    vector_bit,
)

WORDS = st.integers(0, 0xFFFFFFFF)
END = PvrEntry(0xFFFFFFFE, 0x0F000001)
ENTRIES = st.builds(lambda mask, value: PvrEntry(mask, value & mask), WORDS, WORDS)  # none ends the table
CALLS = st.builds(
    lambda pvrs, vectors: ArchitectureCall((*pvrs, END), tuple(vectors)),
    st.lists(ENTRIES, max_size=20),
    st.lists(st.binary(min_size=1, max_size=256), min_size=1, max_size=8),
)

#: ibm_architecture_vec, extracted from the images of Debian's kernels.
VECTOR_2 = "2000 00ffffffff ffffffff ffffffff ffffffff ffffffff 00000{first}00 ffffffff 00 30"
OTHERS = "01 00e0 01 0001 19 00f30000e005000000000800000000 00e0000000 01c000000000 02 000002"
PVRS_6_1 = """fffe0000 003a0000 ffff0000 003e0000 ffff0000 003f0000 ffff0000 004b0000 ffff0000 004c0000
    ffff0000 004d0000 ffff0000 004e0000 ffff0000 00800000 ffffffff 0f000006 ffffffff 0f000005
    ffffffff 0f000004 ffffffff 0f000003 ffffffff 0f000002 fffffffe 0f000001"""
PVRS_6_12 = PVRS_6_1.replace("ffffffff 0f000006", "ffff0000 00820000 ffffffff 0f000007 ffffffff 0f000006")
PVRS_7_3 = """fffe0000 003a0000 ffffffff 0f000001 ffff0000 003e0000 ffff0000 003f0000 ffff0000 004b0000
    ffff0000 004c0000 ffff0000 004d0000 ffff0000 004e0000 ffff0000 00800000 ffff0000 00820000
    ffff0000 00830000 ffffffff 0f000008 ffffffff 0f000007 ffffffff 0f000006 ffffffff 0f000005
    ffffffff 0f000004 ffffffff 0f000003 fffffffd 0f000002"""
IMAGES = {
    "6.1": f"{PVRS_6_1} 05 02 00ffc0 20 {VECTOR_2.format(first=2)} {OTHERS}",
    "6.12": f"{PVRS_6_12} 05 02 00ffc0 20 {VECTOR_2.format(first=2)} {OTHERS}",
    "7.2": f"{PVRS_6_12} 05 02 00ffc0 20 {VECTOR_2.format(first=3)} {OTHERS}",
    "7.3": f"{PVRS_7_3} 05 02 00ffe0 20 {VECTOR_2.format(first=3)} {OTHERS}",
}
DUAL_POWER9 = {23: 0x80, 24: 0xC0, 25: 0, 26: 0x40}


def vector_5(call):
    return {vector_bit(bit).name for bit in call.vector(5)}


@given(CALLS)
def test_a_call_is_read_back_from_its_bytes(call):
    assert ArchitectureCall.parse(call.tobytes() + b"whatever follows") == call


@given(CALLS, st.data())
def test_a_truncated_call_is_refused(call, data):
    whole = call.tobytes()
    with pytest.raises(ConfigurationError, match="cut off after"):
        ArchitectureCall.parse(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.sets(st.integers(0, 2047)))
def test_bits_keep_their_places_in_bytes_in_the_bitmap_and_on_the_wire(bits):
    assert bits_of_bytes(bytes_of_bits(bits, 1)) == bits
    assert list(bits_of_bitmap(bitmap_of(bits))) == sorted(bits)
    assert from_wire(to_wire(bits)) == bits


def test_every_bit_that_qemu_knows_is_named_as_qemu_names_it():
    assert {bit.value: bit.name for bit in Ov5}.items() <= {i: b.name for i, b in VECTOR_5.items()}.items()


@pytest.mark.parametrize("version", IMAGES)
def test_linux_passes_the_bytes_in_its_image(version):
    assert guest(f"linux-{version}").call({}).tobytes() == bytes.fromhex(IMAGES[version])


def test_linux_7_3_does_not_offer_to_run_as_2_05_which_ends_its_table():
    listed = [entry.value for entry in kernel("linux-7.2").pvrs if not entry.ends]
    assert 0x0F000002 in listed
    assert 0x0F000002 not in [entry.value for entry in kernel("linux-7.3").pvrs if not entry.ends]


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("linux-4.10", set()),
        ("linux-4.11", {"HP_EVT", "HPT_RESIZE", "MMU_RADIX_300", "MMU_RADIX_GTSE"}),
        ("linux-4.14", {"XIVE_EXPLOIT"}),
        ("linux-4.16", {"DRMEM_V2"}),
        ("linux-5.5", {"DRC_INFO"}),
        ("linux-5.15", {"FORM2_AFFINITY"}),
        ("linux-7.3", set()),
    ],
)
def test_new_requests_of_each_linux(name, new):
    asked = vector_5(guest(name).call(DUAL_POWER9))
    major, minor = name.removeprefix("linux-").split(".")
    before = "6.12" if int(major) > 6 else f"{major}.{int(minor) - 1}"
    assert asked - vector_5(guest(f"linux-{before}").call(DUAL_POWER9)) == new


@pytest.mark.parametrize(
    ("text", "support", "radix", "gtse", "xive"),
    [
        ("linux-6.1", {}, False, False, False),
        ("linux-6.1", DUAL_POWER9, True, True, True),
        ("linux-6.1 disable_radix", DUAL_POWER9, False, False, True),
        ("linux-6.1 disable_radix=no", DUAL_POWER9, True, True, True),
        ("linux-6.1 disable_radix", {**DUAL_POWER9, 24: 0x40}, True, True, True),
        ("linux-6.1 xive=off", DUAL_POWER9, True, True, False),
        ("linux-6.1 xive=off", {**DUAL_POWER9, 23: 0x40}, True, True, True),
        ("linux-6.1 radix_hcall_invalidate=on", DUAL_POWER9, True, False, True),
        ("linux-5.4 radix_hcall_invalidate=on", DUAL_POWER9, True, True, True),
        ("linux-6.1", {**DUAL_POWER9, 26: 0}, True, False, True),
        ("linux-5.4", {**DUAL_POWER9, 26: 0}, False, False, True),
        ("linux-4.12 xive=on", DUAL_POWER9, True, True, False),
        ("linux-6.1", {**DUAL_POWER9, 23: 0, 24: 0}, False, False, False),
    ],
)
def test_requests_of_linux_depend_on_the_machine_and_its_command_line(text, support, radix, gtse, xive):
    asked = vector_5(guest(text).call(support))
    assert ("MMU_RADIX_300" in asked, "MMU_RADIX_GTSE" in asked, "XIVE_EXPLOIT" in asked) == (
        radix,
        gtse,
        xive,
    )


def test_rhel_8_passes_what_linux_6_1_does():
    assert "rhel-8" in shipped_kernels()
    assert guest("rhel-8").call(DUAL_POWER9) == guest("linux-6.1").call(DUAL_POWER9)


def test_a_kernel_from_a_file(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('pvrs = [[0xfffffffe, 1]]\nvectors = ["00", "00", "00", "00", "00"]\nradix = true\n')
    own = read_kernel(file)
    assert (own.name, own.radix, own.xive) == ("own", True, False)
    assert vector_5(Guest(own).call(DUAL_POWER9)) == {"MMU_RADIX_300", "MMU_RADIX_GTSE"}
    assert guest(f"{file} quiet").words == ("quiet",)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("vectors = []", "missing: pvrs"),
        ("pvrs = [[1]]\nvectors = []", "not enough values"),
        ("pvrs = [[0xffffffff, 1]]\nvectors = []", "the last of pvrs"),
        ("pvrs = [[0xfffffffe, 1]]\nvectors = ['00']", "five vectors"),
        ("pvrs = [[0xfffffffe, 1]]\nvectors = ['x']", "non-hexadecimal"),
        ("pvrs = []\nvectors = []\nhash = 1", "no such key: hash"),
    ],
)
def test_an_invalid_kernel_file_is_explained(tmp_path, text, wrong):
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=wrong):
        read_kernel(file)


@pytest.mark.parametrize("name", ["", "linux-2.6", "linux-x", "linux-9.1", "minix", "'", "nowhere.toml"])
def test_an_unknown_guest_is_refused(name):
    with pytest.raises(ConfigurationError):
        guest(name)


@pytest.mark.parametrize("version", LINUX_SHOWN)
def test_versions_named_as_examples_are_known(version):
    assert kernel(f"linux-{version}").pvrs[-1].ends
