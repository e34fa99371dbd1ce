"""Hooks of the machine's and the processors' sections: acceptance, messages and return values."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import laws
from tests.support.sections import running
from vmstate.describe import WireRecords, decode, encode
from vmstate.pseries.devices.cpu import reset as cpu_reset
from vmstate.pseries.devices.cpu.cpu import SLBE, SPR_PVR, Cpu
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.host.configuration import same_up_to
from vmstate.pseries.devices.interrupts.xics import Ics
from vmstate.pseries.devices.interrupts.xive import SpaprXive
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.rules.compat_register import SPR_PCR

SAFE = "cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken"
PVR = {
    "power7": 0x003F0203,
    "power7+": 0x004A0201,
    "power8": 0x004D0200,
    "power8e": 0x004B0201,
    "power9_v1.0": 0x004E0100,
    "power9_v2.0": 0x004E1200,
    "power9_v2.2": 0x004E1202,
    "power10_v1.0": 0x00800100,
    "power10_v2.0 of 7.2": 0x00800200,
    "power10_v2.0 of 10.0": 0x00801200,
}


def processor(release, machine="pseries", cpu=None, index=0, more=()):
    arguments = ["-machine", machine if release == "2.9.1" else f"{machine},{SAFE}"]
    if release in {"2.9.1", "2.10.2", "2.11.0"}:
        arguments = ["-machine", machine]
    process = running(release, *arguments, "-m", "256", *(["-cpu", cpu] if cpu else []), *more)
    return Cpu(process, CpuCommon(process, index))


def after(device):
    """Call the release's post_load hook on the current state and return its result."""
    return device.plan.post_load(device, 5)


@pytest.mark.parametrize(
    ("release", "machine", "source", "destination", "ret"),
    [
        ("5.2", "pseries-5.2", "power7", "power7+", 0),
        ("7.2", "pseries-7.2", "power7", "power7+", -22),
        ("5.2", "pseries-5.2", "power8e", "power8", 0),
        ("7.2", "pseries-7.2", "power8e", "power8", -22),
        ("5.2", "pseries-5.2", "power9_v1.0", "power9_v2.0", 0),
        ("7.2", "pseries-7.2", "power9_v1.0", "power9_v2.0", -22),
        ("10.0", "pseries-7.2", "power9_v2.0", "power9_v2.2", -22),
        ("10.0", "pseries-7.2", "power9_v2.0", "power9_v2.0", 0),
        ("7.2", "pseries-7.2", "power10_v1.0", "power10_v2.0", -22),
        ("10.0", "pseries-7.2", "power10_v2.0 of 7.2", "power10_v2.0", 0),
        ("2.12.1", "pseries-2.12", "power7", "power8", -1),
        ("4.2.1", "pseries-4.2", "power7", "power8", -1),
        ("5.2", "pseries-5.2", "power7", "power8", -22),
        ("2.9.1", "pseries-2.9", "power7", "POWER8", None),
    ],
)
def test_in_raw_mode_the_pvr_must_be_of_the_same_processor_or_a_compatible_one(
    release, machine, source, destination, ret
):
    device = processor(release, machine, destination)
    device.spr[SPR_PVR] = PVR[source]
    assert (after(device) or 0) == (ret or 0)
    assert device.machine.printed == []  # a refusal prints nothing


def test_2_9_continues_as_the_local_processor():
    device = processor("2.9.1", "pseries-2.9", "POWER8")
    device.spr[SPR_PVR] = PVR["power7"]
    assert after(device) == 0
    assert device.spr[SPR_PVR] == PVR["power8"]


@pytest.mark.parametrize(
    ("release", "cpu", "compat", "ret", "lines"),
    [
        ("7.2", "power9", 0x0F000004, 0, []),
        ("7.2", "power8", 0x0F000005, -22, ["Compatibility PVR 0x0f000005 not valid for CPU"]),
        ("7.2", "power8", 0x0F0000FF, -22, ["Unknown compatibility PVR 0x0f0000ff"]),
        ("4.2.1", "power8", 0x0F000005, -1, ["Compatibility PVR 0x0f000005 not valid for CPU"]),
        ("10.0", "power9", 0x0F100003, -22, ["Compatibility PVR 0x0f100003 not valid for CPU"]),
        ("7.2", "power9", 0x0F100003, 0, []),
    ],
)
def test_an_incoming_mode_must_be_one_that_the_processor_has(release, cpu, compat, ret, lines):
    device = processor(release, cpu=cpu)
    device.compat_pvr = compat
    device.spr[SPR_PVR] = 0x12345678  # not checked
    assert after(device) == ret
    assert device.machine.printed == lines


def test_a_mode_above_the_destinations_own_limit_is_not_refused():
    device = processor("7.2", "pseries-7.2,max-cpu-compat=power8", "power9")
    device.compat_pvr = 0x0F000005
    assert after(device) == 0
    assert device.spr[SPR_PCR] == 0


def test_without_a_mode_in_the_stream_the_destinations_limit_hides_the_pvr():
    device = processor("7.2", "pseries-7.2,max-cpu-compat=power8", "power9")
    device.spr[SPR_PVR] = PVR["power8"]
    assert after(device) == 0
    assert device.compat_pvr == 0x0F000004
    assert device.spr[SPR_PCR] == 0x8


@pytest.mark.parametrize(
    ("release", "index", "compat", "pcr"),
    [
        ("2.10.2", 0, 0x0F000003, 1 << 61 | 0x4),
        ("2.11.1", 0, 0x0F000003, 0),
        ("2.12.1", 0, 0x0F000003, 0),
        ("2.12.1", 1, 0x0F000003, 1 << 61 | 0x4),
        ("4.1.1", 1, 0, 0),
        ("4.2.1", 1, 0x0F000003, 1 << 61 | 0x4),
    ],
)
def test_reset_gives_the_mode_to_processors_as_the_release_does(release, index, compat, pcr):
    name = "power8" if release != "2.10.2" else "POWER8"
    device = processor(release, "pseries,max-cpu-compat=power7", name, index, ("-smp", "2"))
    assert device.compat_pvr == compat
    assert device.spr[SPR_PCR] == pcr


@pytest.mark.parametrize(
    ("release", "machine", "sent"),
    [("7.2", "pseries-7.2", True), ("7.2", "pseries-2.10", True), ("7.2", "pseries-2.9", False)],
)
def test_old_machine_types_do_not_send_the_mode(release, machine, sent):
    device = processor(release, f"{machine},max-cpu-compat=power8", "power8")
    assert ("cpu/compat" in [plan.vmsd.name for plan in device.plan.sent(device)]) is sent


@pytest.mark.parametrize(
    ("isa", "release", "boot", "others"),
    [
        (206, "2.11.2", 0x401F00C, 0x401F00C),
        (206, "2.12.1", 0x400700C, 0x400000C),
        (207, "3.0.1", 0x401F008, 0x4000008),
        (300, "3.1.1", 0x1F008, 0x8),
        (300, "4.2.1", 0x403F008, 0x4020008),
        (300, "7.2.22", 0x3F008, 0x20008),
        (203, "7.2.22", 0xC, 0xC),
        (201, "7.2.22", 0, 0),
    ],
)
def test_logical_partitioning_control_after_reset(isa, release, boot, others):
    at = cpu_reset.Release.parse(release)
    large = isa >= 300
    assert cpu_reset.lpcr(isa, at, boot=True, large_decrementer=large) == boot
    assert cpu_reset.lpcr(isa, at, boot=False, large_decrementer=large) == others


@pytest.mark.parametrize(
    ("cpu", "esid", "vsid", "ret", "complaints"),
    [
        ("power8", 0x8000000, 0x0, 0, []),
        ("power8", 0xC000000008000000, 0x40000000_00000510, 0, []),  # 1 TiB segment, 64 KiB pages
        ("power8", 0x1, 0x0, -1, []),
        ("power8", 0x8000000, 0x80000000_00000000, -1, []),
        ("power8", 0x8000000, 0x130, -1, ["power8"]),
        ("power8", 0x8000000, 0x100, -1, ["power8"]),  # 16 MiB pages, where 64 KiB is the maximum
        ("970", 0x8000000, 0x40000000_00000000, -1, []),
        ("970", 0x8000000, 0x110, -1, ["970"]),
    ],
)
def test_segments_that_the_mmu_cannot_hold_are_refused(cpu, esid, vsid, ret, complaints):
    device = processor("7.2", cpu=cpu)
    slb = bytearray(64 * 16)
    SLBE.item.pack_into(slb, 5 * 16, esid, vsid)
    device.slb = WireRecords(SLBE.members, SLBE.item, slb)
    plan = device.plan.subsections[b"cpu/slb"]
    assert plan.post_load(device, 1) == ret
    lines = [
        f"Bad page size encoding in SLB store: slot 5 esid 0x{esid:016x} vsid 0x{vsid:016x}"
        for _ in complaints
    ]
    assert device.machine.printed == lines


def test_slots_that_the_processor_does_not_have_are_not_checked():
    device = processor("7.2", cpu="power8")
    slb = bytearray(64 * 16)
    SLBE.item.pack_into(slb, 32 * 16, 1, 1)
    device.slb = WireRecords(SLBE.members, SLBE.item, slb)
    assert device.plan.subsections[b"cpu/slb"].post_load(device, 1) == 0


def board(release, machine, *more):
    return Spapr(running(release, "-machine", machine, "-m", "256", *more))


def sent(device):
    return [plan.vmsd.name for plan in device.plan.sent(device)]


def test_all_capabilities_are_compared_and_every_difference_is_reported():
    device = board("7.2", "pseries-7.2,cap-cfpc=broken,cap-sbbc=fixed,cap-ibs=broken,cap-ccf-assist=off")
    assert device.plan.pre_load(device) == 0
    device.mig[3], device.mig[4], device.mig[5] = 2, 1, 4
    assert device.plan.post_load(device, 3) == -22
    assert device.machine.printed == [
        "cap-cfpc higher level (2) in incoming stream than on destination (0)",
        "warning: cap-sbbc lower level (1) in incoming stream than on destination (2)",
        "cap-ibs higher level (4) in incoming stream than on destination (0)",
        "cap-ccf-assist higher level (1) in incoming stream than on destination (0)",
    ]


def test_a_missing_level_is_taken_to_be_the_destinations_default():
    device = board("4.2.1", "pseries-2.11,cap-htm=off", "-cpu", "power8")
    assert device.plan.pre_load(device) == 0
    assert device.plan.post_load(device, 3) == -22
    assert device.machine.printed == ["cap-htm higher level (1) in incoming stream than on destination (0)"]


@pytest.mark.parametrize(
    ("release", "machine", "names"),
    [
        ("4.0.1", "pseries-4.0", []),
        ("4.1.1", "pseries-4.1", ["spapr/cap/hpt_maxpagesize"]),
        ("7.2", "pseries-7.2", ["spapr/cap/hpt_maxpagesize"]),
        ("7.2", "pseries-4.0,cap-hpt-max-page-size=16M", []),
        ("7.2", "pseries-7.2,cap-cfpc=workaround", ["spapr/cap/hpt_maxpagesize"]),
        ("11.1", "pseries-11.1", []),
        ("11.1", "pseries-11.1,cap-hpt-max-page-size=16M", ["spapr/cap/hpt_maxpagesize"]),
        ("11.1", "pseries-11.1,cap-sbbc=workaround", ["spapr/cap/sbbc"]),
    ],
)
def test_which_capabilities_are_sent(release, machine, names):
    device = board(release, machine)
    assert [name for name in sent(device) if name.startswith("spapr/cap/")] == names


@pytest.mark.parametrize(
    ("release", "machine", "cpu", "there"),
    [
        ("7.2", "pseries-2.7", None, False),
        ("7.2", "pseries-2.8", None, True),
        ("7.2", "pseries-2.7", "power9", True),
        ("2.11.1", "pseries-2.7", "power7", True),
        ("2.11.2", "pseries-2.7", "power7", False),
    ],
)
def test_option_vector_5_is_sent_if_it_has_more_than_the_first_bits(release, machine, cpu, there):
    device = board(release, f"{machine},cap-htm=off", *(["-cpu", cpu] if cpu else []))
    assert ("spapr_option_vector_ov5_cas" in sent(device)) is there


def test_a_machine_check_in_flight_prints_a_warning():
    device = board("7.2", "pseries-7.2")
    device.fwnmi_machine_check_addr = 0x1000
    device.fwnmi_machine_check_interlock = 0
    assert "spapr_fwnmi" in sent(device)
    device.plan.subsections[b"spapr_fwnmi"].pre_save(device)
    assert device.machine.printed[0].startswith("warning: A machine check is being handled")


def test_the_number_of_event_queues_comes_from_the_machine_or_from_the_size():
    machine = running("7.2", "-machine", "pseries-7.2", "-m", "256", "-smp", "2")
    device = SpaprXive(machine, [0x1000])
    data = memoryview(encode(device.plan.vmsd, device))

    class Nothing:
        release = machine.release

    lost = SpaprXive.blank(Nothing())
    node, _, error = decode(lost.plan.vmsd, data, 0, 1, state=lost)
    assert error is not None
    assert error.place.path == "endt"
    assert node.end == 4 + 8 * 0x2000

    sized = SpaprXive.blank(Nothing())
    sized.measure(data)
    node, _, error = decode(sized.plan.vmsd, data, 0, 1, state=sized)
    assert error is None
    assert (node.end, len(sized.endt)) == (len(data), 16)


SOURCES = st.tuples(st.integers(0, 9), *(st.sampled_from((0, 1, 2, 3, 4, 5, 0xFF)) for _ in range(4)))


@laws
@given(st.lists(SOURCES, max_size=20))
def test_of_a_table_of_sources_those_are_signalled_that_are_of_single_ones(rows):
    ics = Ics(running("7.2", "-machine", f"pseries,{SAFE}", "-m", "256"), {})
    item = ics.irqs.item
    ics.irqs = WireRecords(ics.irqs.names, item, b"".join(struct.pack(item.format, *row) for row in rows))
    servers = list(ics.resent_to())
    ics.irqs = list(ics.irqs)
    assert servers == list(ics.resent_to())


def strncmp(one, other, length):
    for a, b in zip(one + b"\0", other + b"\0", strict=False):
        if not length or a != b or not a:
            return not length or a == b
        length -= 1
    return False


TEXT = st.text("ab\0", max_size=6).map(str.encode)


@laws
@given(TEXT, st.text("ab", max_size=4).map(str.encode), st.integers(0, 8))
def test_names_are_compared_as_strncmp_does(received, local, length):
    assert same_up_to(received[:length], local, length) == strncmp(received[:length], local, length)
