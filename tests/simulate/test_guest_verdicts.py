"""Calls that CAS refuses or that end QEMU, and KVM's part: rules of releases without a recording here."""

from __future__ import annotations

import pytest

from tests.support.machines import command
from vmstate.pseries.cas import negotiation as cas
from vmstate.pseries.cas.client_architecture import ArchitectureCall, PvrEntry
from vmstate.pseries.cas.guest_kernels import Guest, GuestKernel
from vmstate.pseries.cas.guests import guest
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.tables.compat import LOGICAL_2_07, LOGICAL_3_00
from vmstate.pseries.tables.option_vectors import Ov5, bytes_of_bits
from vmstate.simulate.guest import boot, call_cas
from vmstate.simulate.instance import Instance

RAW_POWER9 = (PvrEntry(0xFFFF0000, 0x004E0000), PvrEntry(0xFFFFFFFE, 0x0F000001))
NO_PROCESSOR = (PvrEntry(0xFFFFFFFE, 0x0F000001),)
KVM_PR = "p8-pr: qemu-{} -nodefaults -machine pseries-2.10,accel=kvm{} -cpu host -m 512"
NESTED = "p9-nested: qemu-7.2 -nodefaults -machine pseries-7.2,accel=kvm,cap-ccf-assist=off -cpu host -m 512"


def running(text):
    start = build(parse(text))
    assert start.machine is not None, start.messages
    return Instance(start.machine)


def call(bits, pvrs=RAW_POWER9, vectors=5):
    all_vectors = [b"\0", b"\0", b"\0", b"\0", bytes_of_bits(bits, 26)]
    return ArchitectureCall(pvrs, tuple(all_vectors[:vectors]))


def power9(machine="pseries-7.2", release="7.2.22"):
    return running(command(machine, release, "-cpu power9 -m 512"))


@pytest.mark.parametrize(
    ("machine", "bits", "message"),
    [
        ("pseries-7.2", {Ov5.MMU_BOTH}, cas.BOTH_MMUS),
        ("pseries-7.2", {Ov5.XIVE_BOTH}, cas.BOTH_MODES),
        ("pseries-7.2,ic-mode=xics", {Ov5.XIVE_EXPLOIT}, cas.NO_XIVE),
        ("pseries-7.2,ic-mode=xive", set(), cas.NO_XICS),
        ("pseries-7.2,resize-hpt=required", set(), cas.MUST_RESIZE),
    ],
)
def test_what_ends_qemu(machine, bits, message):
    instance = power9(machine)
    outcome = call_cas(instance, call(bits))
    assert (outcome.ended, outcome.messages, instance.ended) == (True, (message,), True)


def test_before_4_1_the_interrupt_mode_is_not_checked():
    asked = call({Ov5.XIVE_EXPLOIT})
    assert not call_cas(power9("pseries-4.0,ic-mode=xics", "4.0.1"), asked).ended
    assert call_cas(power9("pseries-4.0,ic-mode=xics", "4.1.1"), asked).ended


def test_a_guest_that_knows_neither_the_processor_nor_a_mode_is_refused_and_keeps_its_state():
    instance = power9()
    outcome = call_cas(instance, call({Ov5.HP_EVT}, NO_PROCESSOR))
    assert (outcome.refused, outcome.ended, outcome.messages) == (True, False, (cas.NO_PVR,))
    assert (outcome.compat_pvr, outcome.ov5) == (0, frozenset())
    assert len(instance.save()) > 1000


def test_raw_is_refused_with_max_cpu_compat_even_if_the_processor_is_known():
    assert call_cas(power9(), call(())).compat_pvr == 0
    assert call_cas(power9("pseries-7.2,max-cpu-compat=power9"), call(())).refused


@pytest.mark.parametrize(
    ("release", "machine", "refused", "message"),
    [
        ("5.2.0", "pseries-5.2", True, cas.NO_VECTOR.format(5)),
        ("4.2.1", "pseries-4.2", False, "spapr_ovec_test: assertion failed: (ov)"),
    ],
)
def test_a_call_without_vector_5(release, machine, refused, message):
    outcome = call_cas(power9(machine, release), call((), vectors=4))
    assert (outcome.refused, outcome.ended, outcome.messages) == (refused, not refused, (message,))


def test_before_5_1_radix_was_set_as_requested_even_if_not_offered():
    asked = call({Ov5.MMU_RADIX_300}, (PvrEntry(0xFFFF0000, 0x004D0000), NO_PROCESSOR[0]))
    older, newer = (
        call_cas(running(command("pseries-4.2", release, "-cpu power8 -m 512")), asked)
        for release in ("5.0.0", "5.2.0")
    )
    assert (older.mmu, newer.mmu) == ("radix", "hash")


def test_a_guest_that_cannot_resize_its_hash_table_gets_one_for_all_memory():
    large = "-cpu power8 -m 512,slots=2,maxmem=64G"
    outcomes = [
        call_cas(running(command("pseries-7.2", rest=large)), guest(name).call({}))
        for name in ("linux-6.1", "linux-4.4")
    ]
    assert [outcome.htab_shift for outcome in outcomes] == [22, 29]


def test_10_0_with_a_second_dawr_aborts_for_a_guest_older_than_isa_3_00():
    power10 = (
        "qemu-{} -nodefaults -machine {},cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,"
        "cap-ccf-assist=off{} -cpu power10 -m 512"
    )
    old = boot(running(power10.format("10.0.13", "pseries-10.0", "")), "linux-4.4")
    assert (old.ended, old.messages) == (True, (cas.NO_SECOND_DAWR,))
    assert not boot(running(power10.format("10.0.13", "pseries-10.0", ",cap-dawr1=off")), "linux-4.4").ended
    assert not boot(running(power10.format("10.0.13", "pseries-10.0", "")), "linux-5.4").ended
    assert not boot(running(power10.format("7.2.22", "pseries-7.2", "")), "linux-4.4").ended


def test_kvm_pr_cannot_set_a_mode_so_the_guest_runs_raw_from_2_11_on():
    asked = guest("linux-4.4").call({})
    outcome = call_cas(running(KVM_PR.format("2.11.2", ",cap-htm=off")), asked)
    assert (outcome.refused, outcome.compat_pvr, outcome.messages) == (False, 0, ())
    refused = call_cas(running(KVM_PR.format("2.10.2", "")), asked)
    assert (refused.refused, refused.messages) == (True, (cas.KVM_REFUSES,))


def test_a_nested_kvm_with_only_radix_runs_no_hash_guest():
    instance = running(NESTED)
    assert cas.platform_support(instance.machine)[24] == 0x40
    assert boot(instance, "linux-6.1 disable_radix").mmu == "radix"
    outcome = boot(running(NESTED), "linux-4.9")
    assert (outcome.ended, outcome.messages) == (True, (cas.NO_MMU.format("hash"),))


def test_a_kernel_that_registers_nothing_leaves_only_the_negotiated_state():
    kernel = GuestKernel("own", guest("linux-6.1").kernel.pvrs, guest("linux-6.1").kernel.vectors, radix=True)
    quiet = GuestKernel("own", kernel.pvrs, kernel.vectors, radix=True, registers=False)
    loud, still = power9(), power9()
    assert boot(loud, Guest(kernel)).mmu == boot(still, Guest(quiet)).mmu == "radix"
    assert b"spapr_patb_entry" in loud.save()
    assert b"spapr_patb_entry" not in still.save()


def test_the_negotiated_mode_is_the_newest_that_both_know():
    table = guest("linux-6.1").kernel.pvrs
    assert cas.scan_pvrs(power9().machine, ArchitectureCall(table, ())) == (True, LOGICAL_3_00)
    limited = power9("pseries-7.2,max-cpu-compat=power8")
    assert cas.scan_pvrs(limited.machine, ArchitectureCall(table, ())) == (True, LOGICAL_2_07)
    assert cas.scan_pvrs(power9().machine, ArchitectureCall(tuple(reversed(table)), ())) == (False, 0)
