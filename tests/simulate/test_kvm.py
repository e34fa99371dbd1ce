"""Compat modes and GTSE in KVM, and the fate of guests: laws, and the offers to guests."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import ConfigurationError
from vmstate.proposals.files import with_proposals
from vmstate.pseries.cas.guest_kernels import MMU_BYTE, RADIX_BYTE
from vmstate.pseries.cas.negotiation import platform_support
from vmstate.pseries.rules.compat_register import KVM_REFUSES, negotiate_compat, processors, set_compat_all
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration, configuration, parse
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.compat import LOGICAL_2_06, LOGICAL_2_07
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.events import apply_event
from vmstate.simulate.guest import boot
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import migrate, receive, send

CATALOGUE = with_proposals()
MODES = (0, LOGICAL_2_06, LOGICAL_2_07)
RULES = ("2.10.2", "2.11.2", "2.10.2+arch-compat-unconditional", "2.10.2+arch-compat-if-used", "7.2")


def command(host: str, release: str, options: str = "", more: str = "") -> Configuration:
    kvm = f"{host}: ", ",accel=kvm"
    before, after = kvm if host else ("", "")
    pages = ",cap-hpt-max-page-size=64k" if release == "7.2" else ""
    old = f"pseries-2.10,cap-htm=off{pages}" if release >= "2.11" or release == "7.2" else "pseries-2.10"
    text = f"{before}qemu-{release} -nodefaults -machine {old}{after}{options} {more}"
    return parse(text, CATALOGUE)


def instance(host: str, release: str, options: str = "", more: str = "") -> Instance:
    machine = build(command(host, release, options, more)).machine
    assert machine is not None
    return Instance(machine)


@given(st.sampled_from(RULES), st.lists(st.sampled_from(MODES), max_size=6))
def test_hv_has_the_mode_last_written_and_qemu_the_mode_last_set(release, modes):
    running = instance("p8-hv", release)
    for mode in modes:
        assert set_compat_all(running.machine, mode) is None
    register = running.machine.kvm_compat
    assert register.mode == (register.written[-1].value if register.written else 0)
    assert all(cpu.compat_pvr == (modes[-1] if modes else 0) for cpu in processors(running.machine))


@given(st.lists(st.sampled_from(MODES), min_size=1, max_size=6))
def test_hv_and_qemu_have_the_same_mode_if_changes_are_written(modes):
    running = instance("p8-hv", "2.11.2")
    for mode in modes:
        negotiate_compat(running.machine, mode)
    assert running.machine.kvm_compat.mode == modes[-1]


@given(st.sampled_from(RULES), st.lists(st.sampled_from(MODES), max_size=6))
def test_under_tcg_nothing_is_written(release, modes):
    running = instance("", release, more="-cpu POWER8" if release.startswith("2.10") else "-cpu power8")
    for mode in modes:
        set_compat_all(running.machine, mode)
    assert running.ioctls == []
    assert running.machine.kvm_compat.mode is None


def test_pr_refuses_the_first_processor_and_no_other_is_tried():
    running = instance("p8-pr", "7.2", more="-smp 2")
    assert set_compat_all(running.machine, LOGICAL_2_07) == KVM_REFUSES
    assert running.ioctls == ["KVM_REG_PPC_ARCH_COMPAT = 0x0f000004: Invalid argument"]
    assert [cpu.compat_pvr for cpu in processors(running.machine)] == [0, 0]


def test_the_mode_is_written_for_every_processor():
    running = instance("p8-hv", "7.2", ",max-cpu-compat=power7", "-smp 2")
    assert running.ioctls == ["KVM_REG_PPC_ARCH_COMPAT = 0x0f000003"] * 2


def test_an_instance_does_not_change_the_machine_that_it_was_made_from():
    built = build(parse("p8-hv: qemu-7.2 -nodefaults -machine pseries-7.2,accel=kvm -cpu host")).machine
    set_compat_all(Instance(built).machine, LOGICAL_2_07)
    assert built.kvm_compat.written == []


def test_a_reset_restores_the_mode_of_the_command_line():
    running = instance("p8-hv", "7.2", ",max-cpu-compat=power7")
    set_compat_all(running.machine, 0)
    apply_event(running, command("p8-hv", "7.2", ",max-cpu-compat=power7"), "reset")
    assert [cpu.compat_pvr for cpu in processors(running.machine)] == [LOGICAL_2_06]
    assert running.ioctls[-1] == "KVM_REG_PPC_ARCH_COMPAT = 0x0f000003"


def test_the_error_for_an_unknown_event_names_the_known_ones():
    with pytest.raises(
        ConfigurationError, match=r"no such event: 'sneeze'; events: .*system_reset, stop, reset"
    ):
        apply_event(instance("p8-hv", "7.2"), command("p8-hv", "7.2"), "sneeze")


@pytest.mark.parametrize(
    ("host", "release", "byte", "bit"),
    [
        ("", "7.0", 0x40, True),
        ("", "7.0+gtse-as-posted", 0x40, True),
        ("p9-hv", "7.0", 0x40, True),
        ("p9-hv", "7.0+gtse-as-posted", 0x00, False),
        ("p9-nested-old", "7.0+gtse-as-posted", 0x00, True),
        ("p9-nested-posted", "7.0+gtse-as-posted", 0x40, True),
        ("p9-hv", "7.0+gtse-redesigned", 0x40, True),
        ("p9-nested-redesigned-off", "7.0+gtse-redesigned", 0x00, False),
        ("p8-hv", "7.0", 0x40, False),
    ],
)
def test_the_property_and_the_vector_offer_gtse(host, release, byte, bit):
    before, after = (f"{host}: ", ",accel=kvm") if host else ("", "")
    text = f"{before}qemu-{release} -nodefaults -machine pseries-7.0{after}"
    machine = build(parse(text, CATALOGUE)).machine
    assert machine is not None
    assert platform_support(machine)[RADIX_BYTE] == byte
    assert (Ov5.MMU_RADIX_GTSE in machine.ov5) == bit
    spapr = Instance(machine).device("spapr")
    assert bytes([26, byte]) in bytes(spapr.fdt_blob)


@pytest.mark.parametrize(("host", "mmu"), [("p9-hv", 0x80), ("p9-nested", 0x40), ("p8-hv", 0x00)])
def test_allowed_mmu_modes(host, mmu):
    machine = build(parse(f"{host}: qemu-7.0 -nodefaults -machine pseries-7.0,accel=kvm")).machine
    assert machine is not None
    assert platform_support(machine)[MMU_BYTE] == mmu
    pairs = bytes([MMU_BYTE, mmu, 25, 0, 26, 0x40])
    assert pairs in bytes(Instance(machine).device("spapr").fdt_blob)


def test_a_guest_that_chooses_xive_gets_qemus_if_kvm_has_none():
    text = "qemu-7.0 -nodefaults -machine pseries-7.0,accel=kvm{} -m 256"
    lines = [
        "warning: kernel_irqchip allowed but unavailable: IRQ_XIVE capability must be present for KVM",
        "Falling back to kernel-irqchip=off",
    ]

    def moved(source, destination, option=""):
        sent = send(f"{source}: {text.format(option)}", lambda running: boot(running, "linux-6.1") and None)
        assert sent.stream is not None
        received = receive(sent.stream, f"{destination}: {text.format(option)}").verdict
        assert received.outcome is Outcome.ACCEPT
        return sent.messages, received.messages

    assert moved("p9-hv", "p9-nested") == ([], lines)
    assert moved("p9-nested", "p9-hv") == (lines, [])
    assert moved("p9-nested", "p9-nested", ",kernel-irqchip=off") == ([], [])


def started(host: Host, release: str, options: str) -> tuple[str, ...]:
    text = f"qemu-{release} -nodefaults -cpu host -machine pseries-5.1,accel=kvm,{QUIET}{options}"
    return build(configuration(release, shlex.split(text)[1:], host=host)).messages


QUIET = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,cap-fwnmi=off"
_CPU_FAILED = "error while loading state for instance 0x0 of device 'cpu'"
_NOT_PUT = "Failed to put registers after init: Invalid argument"
NESTED = Host("nested", "POWER9", 0x004E1202, level=1, radix=True, hash_v3=False, ail_mode_3=True)


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("5.1", "Failed to allocate KVM HPT of order 21 (try smaller maxmem?): Operation not supported"),
        ("5.2", "HPT not supported in nested guests"),
    ],
)
def test_a_nested_guest_without_radix_does_not_start(release, line):
    assert started(NESTED, release, ",max-cpu-compat=power8,cap-large-decr=off -m 256")[-1] == line


def test_the_vcpus_are_compared_with_the_numbers_that_kvm_recommends_and_has():
    host = replace(NESTED, recommended_vcpus=2, max_vcpus=4)
    asked = "Number of {} cpus requested ({}) exceeds the {} cpus supported by KVM ({})"
    smp, plugged = asked.format("SMP", 3, "recommended", 2), asked.format("hotpluggable", 8, "recommended", 2)
    lines = started(host, "7.2", ",cap-large-decr=off -smp 3,maxcpus=8")
    assert lines[-3:] == (
        f"warning: {smp}",
        f"warning: {plugged}",
        asked.format("hotpluggable", 8, "maximum", 4),
    )


@pytest.mark.parametrize(("mode", "refused"), [("power9", False), ("power10", True)])
def test_a_guest_has_no_newer_mode_than_its_host_runs_in(mode, refused):
    host = Host("lpar", "POWER10", 0x00801200, level=1, radix=True, ail_mode_3=True, compat_limit="power9")
    lines = started(host, "7.2", f",cap-large-decr=off,max-cpu-compat={mode}")
    assert (KVM_REFUSES in lines) is refused


@pytest.mark.parametrize("irqchip", ["on", "off"])
def test_a_guest_that_needs_xive_of_the_kernel_ends_qemu(irqchip):
    machine = f"pseries,accel=kvm,{QUIET},ic-mode=dual,kernel-irqchip={irqchip}"
    line = f"qemu-7.2 -nodefaults -cpu host -machine {machine}"
    host = replace(NESTED, large_decr_bits=56)
    start = build(configuration("7.2", shlex.split(line)[1:], host=host))
    running = Instance(start.machine)
    boot(running, "linux-6.1")
    end = "kernel_irqchip requested but unavailable: IRQ_XIVE capability must be present for KVM"
    assert (running.ended, end in running.machine.printed) == ((irqchip == "on"),) * 2


@pytest.mark.parametrize(
    ("release", "lines"),
    [
        ("8.1", (_CPU_FAILED, "load of migration failed: Invalid argument")),
        ("8.2", (_CPU_FAILED, _NOT_PUT)),
        ("10.1", (_CPU_FAILED, _NOT_PUT)),
        ("10.2", (_NOT_PUT,)),
    ],
)
def test_a_destination_whose_kvm_takes_no_other_pvr_exits(release, lines):
    machine = f"-nodefaults -machine pseries-7.2,{QUIET},cap-large-decr=off -m 256"
    host = Host("p9", "POWER9", 0x004E1202, radix=True, ail_mode_3=True)
    destination = configuration(release, shlex.split(f"{machine} -accel kvm -cpu host"), host=host)
    verdict = migrate(f"qemu-{release} {machine} -cpu power9_v2.0", destination)
    said = [line for line in verdict.messages if not line.startswith("warning: ")]
    assert (verdict.outcome, tuple(said)) == (Outcome.REJECT, lines)


FOUR_K = Host("p9", "POWER9", 0x004E1202, radix=True, large_decr_bits=56, ail_mode_3=True, page_sizes=(4096,))
TOO_FAR = "Unable to create 256MiB RMA (VRMA only allows 64MiB"


def test_a_hash_guest_on_pages_of_4_kib_cannot_reach_its_memory_untranslated():
    pages = ",cap-hpt-max-page-size=4k"
    hash_only = f"{pages},max-cpu-compat=power8,cap-large-decr=off"
    assert TOO_FAR in started(FOUR_K, "7.2", f"{hash_only} -m 256")
    assert TOO_FAR not in started(FOUR_K, "7.2", f"{pages} -m 256")
    assert TOO_FAR not in started(replace(FOUR_K, page_sizes=(65536,)), "7.2", f"{hash_only} -m 256")
    large = f"{hash_only},resize-hpt=disabled -m 256,maxmem=2G,slots=2"
    assert TOO_FAR not in started(FOUR_K, "7.2", large)


@pytest.mark.parametrize(("guest", "ends"), [("linux-6.1 disable_radix", True), ("linux-6.1", False)])
def test_a_guest_that_chooses_a_hash_table_there_ends_qemu(guest, ends):
    line = f"-nodefaults -m 256 -cpu host -machine pseries,accel=kvm,{QUIET},cap-hpt-max-page-size=4k"
    running = Instance(build(configuration("7.2", shlex.split(line), host=FOUR_K)).machine)
    boot(running, guest)
    assert (running.ended, TOO_FAR in running.machine.printed) == (ends, ends)


def test_a_kernel_with_pages_of_4_kib_cannot_lend_its_xive():
    line = f"-nodefaults -cpu host -machine pseries,accel=kvm,{QUIET},cap-hpt-max-page-size=4k,ic-mode=xive"
    host = replace(FOUR_K, xive=True)
    start = build(configuration("7.2", shlex.split(f"{line},kernel-irqchip=on"), host=host))
    lacks = "unavailable: XIVE: unable to set memory mapping: Invalid argument"
    assert start.messages[-1] == f"kernel_irqchip requested but {lacks}"
    fallen = build(configuration("7.2", shlex.split(line), host=host))
    assert f"warning: kernel_irqchip allowed but {lacks}" in fallen.messages
    assert fallen.machine is not None


def test_a_decrementer_of_32_bits_is_no_large_one():
    host = Host("p8", "POWER8", 0x004D0200, large_decr_bits=32, resize_hpt=True, irq_xics=True)
    assert "No large decrementer support" in started(host, "7.2", ",cap-large-decr=on")
