"""The declarations are consistent, and can be extended from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.describe.history import Span
from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.build import Start, build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.tables.accelerators import shipped_hosts
from vmstate.pseries.tables.capabilities import Capability
from vmstate.pseries.tables.machine_class import Difference, MachineType
from vmstate.pseries.tables.option_vectors import Ov5, from_wire, to_wire

ALL = [CATALOGUE.binary(release) for release in CATALOGUE.newest]
TYPES = [(b, name) for b in ALL for name in b.machine_types]

#: A release that does not exist: a new machine type, and a capability that is off in older types.
TOMORROW = CATALOGUE.extended(
    "11.2",
    MachineType("pseries-11.2", None, Span("11.2")),
    Capability("turbo", "turbo", 1, Span("11.2")),
    Difference("pseries-11.1", caps={"turbo": 0}),
)


def start(text: str) -> Start:
    return build(parse(text, TOMORROW))


def test_a_fictional_release_has_its_type_its_capability_and_everything_before():
    newest = start("qemu-11.2 -nodefaults").machine
    older = start("qemu-11.2 -machine pseries-11.1").machine
    assert newest is not None
    assert older is not None
    assert (newest.type_name, newest.level("turbo")) == ("pseries-11.2", 1)
    assert (older.type_name, older.level("turbo"), older.cpu.name) == ("pseries-11.1", 0, "power11_v2.0")
    assert start("qemu-11.1 -machine pseries,cap-turbo=on").messages == (
        "Property 'pseries-11.1-machine.cap-turbo' not found",
    )


def test_the_catalogue_itself_does_not_change():
    assert "pseries-11.2" not in {t.name for t in CATALOGUE.machine_types}
    with pytest.raises(ConfigurationError, match="known lines"):
        parse("qemu-11.2")


def test_a_difference_of_an_unknown_type_is_a_declaration_error():
    with pytest.raises(DeclarationError, match="no such machine type"):
        CATALOGUE.extended(Difference("pseries-1.0", caps={"htm": 1}))
    with pytest.raises(DeclarationError, match="no such class flag: 'colour'"):
        MachineType("pseries-x", None, flags={"colour": "red"})
    with pytest.raises(DeclarationError, match=r"base: no such machine type: 'pseries-9.10'"):
        CATALOGUE.extended(MachineType("pseries-9.9", "pseries-9.10")).binary(
            CATALOGUE.release("10.0")
        ).machine_class("pseries-9.9")


@pytest.mark.parametrize(("binary", "name"), TYPES, ids=lambda x: x if isinstance(x, str) else str(x.release))
def test_every_type_of_every_release_has_a_class_with_a_known_processor(binary, name):
    kind = binary.machine_class(name)
    assert kind.flags.default_cpu in binary.cpus
    assert set(kind.default_caps) == {c.name for c in binary.capabilities}


def test_the_meaning_of_pseries():
    meant = {str(b.release): b.default_type for b in ALL}
    assert meant["2.11.2"] == "pseries-2.11"
    assert CATALOGUE.binary(CATALOGUE.release("2.11.1")).default_type == "pseries-2.12"
    assert CATALOGUE.binary(CATALOGUE.release("2.11.0")).default_type == "pseries-2.11"
    assert meant["7.2.22"] == "pseries-7.2"
    assert meant["11.1.3"] == "pseries-11.1"


def test_old_types_are_removed():
    def oldest(release: str) -> str:
        return list(CATALOGUE.binary(CATALOGUE.release(release)).machine_types)[-1]

    assert [oldest(r) for r in ("9.1", "9.2", "10.0", "10.1", "10.2", "11.0", "11.1")] == [
        "pseries-2.1",
        "pseries-3.0",
        "pseries-3.0",
        "pseries-4.2",
        "pseries-5.0",
        "pseries-5.1",
        "pseries-5.2",
    ]


@given(st.sets(st.integers(0, 2047)))
def test_an_option_vector_survives_the_wire(bits):
    assert from_wire(to_wire(bits)) == frozenset(bits)


def test_the_places_of_the_bits_of_an_option_vector():
    assert to_wire([Ov5.MMU_RADIX_GTSE])[24:32] == bytes.fromhex("0000000000000200")
    assert to_wire([Ov5.DRCONF_MEMORY, Ov5.FORM1_AFFINITY])[:8] == bytes.fromhex("0000000100000400")


def test_a_kvm_host_limits_a_guest():
    def printed(text: str) -> tuple[str, ...]:
        host, _, command = text.partition(": ")
        return build(parse(f"{host}: {command.replace(' -', ' -nodefaults -', 1)},accel=kvm")).messages

    assert printed("p8-hv: qemu-4.1 -machine pseries-2.11") == ()
    assert printed("p8-hv: qemu-4.1 -machine pseries-2.12,cap-cfpc=fixed") == (
        "Requested safe cache capability level not supported by kvm, try cap-cfpc=workaround",
    )
    assert printed("p8-hv: qemu-7.2 -machine pseries-3.1,cap-hpt-max-page-size=16M") == (
        "Can't support 16384 kiB guest pages with 64 kiB host pages with this KVM implementation",
    )
    advice = "try appending -machine cap-cfpc=broken"
    assert printed("p9-hv-2017: qemu-4.2 -machine pseries-4.1") == (
        f"Requested safe cache capability level not supported by kvm, {advice}",
    )
    assert printed("p10-hv: qemu-11.1 -machine pseries,cap-ibs=fixed-na") == ()


def test_kvm_pr_cannot_set_a_compatibility_mode():
    command = "qemu-2.12.1 -nodefaults -machine pseries,accel=kvm,cap-htm=off,vsmt=1"
    assert build(parse(f"p8-pr: {command}")).messages == ()
    assert build(parse(f"p8-pr: {command},max-cpu-compat=power7")).messages == (
        "Unable to set CPU compatibility mode in KVM: Invalid argument",
    )
    assert build(parse(f"p8-hv: {command},max-cpu-compat=power7")).messages == ()


def test_under_kvm_the_processor_is_the_hosts():
    def cpu(text: str) -> tuple[str, int]:
        machine = build(parse(text)).machine
        assert machine is not None
        return machine.cpu.name, machine.cpu.pvr

    command = "qemu-7.2 -nodefaults -machine pseries-3.1,accel=kvm"
    assert cpu(f"p9-hv-dd23: {command}") == ("host", 0x004E1203)
    assert cpu(f"p9-hv-dd23: {command} -cpu POWER9") == ("host", 0x004E1203)
    assert build(parse(f"p9-hv-dd23: {command} -cpu power9_v2.0")).messages == (
        'Register sync failed... If you\'re using kvm-hv.ko, only "-cpu host" is possible',
        "kvm_init_vcpu: kvm_arch_init_vcpu failed (0): Invalid argument",
    )


def test_every_shipped_host_runs_a_default_machine():
    for name in shipped_hosts():
        start = build(
            parse(f"{name}: qemu-10.0 -nodefaults -machine pseries-3.1,accel=kvm,cap-ail-mode-3=off")
        )
        assert (start.machine is not None) == (name != "p9-none"), (name, start.messages)


def test_a_processor_that_qemu_does_not_know_gives_no_host_model():
    command = "qemu-4.2 -nodefaults -machine pseries,accel=kvm"
    assert build(parse(f"p10-hv: {command} -cpu host")).messages == ("unable to find CPU model 'host'",)
    assert build(parse(f"p10-hv: {command}")).messages == (
        'Register sync failed... If you\'re using kvm-hv.ko, only "-cpu host" is possible',
        "kvm_init_vcpu failed: Invalid argument",
    )


def test_kvm_that_does_not_start_is_reported_and_the_next_accelerator_is_tried():
    def printed(host: str, text: str) -> tuple[str, ...]:
        return build(parse(f"{host}: {text} -nodefaults")).messages

    no_module = "Could not access KVM kernel module: No such file or directory"
    assert printed("p9-none", "qemu-2.9 -machine pseries,accel=kvm") == (
        no_module,
        "failed to initialize KVM: No such file or directory",
    )
    assert printed("p9-none", "qemu-4.2 -machine pseries,accel=kvm:tcg,cap-cfpc=broken")[:3] == (
        no_module,
        "failed to initialize KVM: No such file or directory",
        "Back to tcg accelerator",
    )
    assert printed("p9-none", "qemu-7.2 -machine pseries -accel kvm") == (
        no_module,
        "-accel kvm: failed to initialize kvm: No such file or directory",
    )
    assert printed("p9-none", "qemu-10.0 -machine pseries -accel kvm") == (
        f"-accel kvm: {no_module}",
        "-accel kvm: failed to initialize kvm: No such file or directory",
    )
    assert printed("p8-pr", "qemu-7.2 -machine pseries,accel=kvm,kvm-type=HV") == (
        "ioctl(KVM_CREATE_VM) failed: 22 Invalid argument",
        "PPC KVM module is not loaded. Try modprobe kvm_hv.",
        "failed to initialize kvm: Invalid argument",
    )
    assert printed("p8-pr", "qemu-5.2 -machine pseries,accel=kvm,kvm-type=auto") == (
        "Unknown kvm-type specified 'auto'",
    )


def test_an_interrupt_controller_in_the_kernel_may_be_required():
    def printed(host: str, text: str) -> tuple[str, ...]:
        return build(parse(f"{host}: {text} -nodefaults")).messages

    dual = "-machine {},accel=kvm,ic-mode={},kernel-irqchip={}"
    old_kernel = "p9-hv-4.20"
    assert printed(old_kernel, "qemu-4.2 " + dual.format("pseries-4.1", "dual", "on")) == (
        "KVM is too old to support ic-mode=dual,kernel-irqchip=on",
    )
    assert printed(old_kernel, "qemu-5.2 " + dual.format("pseries-4.1", "dual", "on")) == (
        "KVM is incompatible with ic-mode=dual,kernel-irqchip=on",
        "This can happen with an old KVM or in a KVM nested guest.",
        "Try without kernel-irqchip or with kernel-irqchip=off.",
    )
    assert printed("p9-hv", "qemu-5.2 " + dual.format("pseries-5.2", "dual", "on")) == ()
    assert printed(old_kernel, "qemu-4.2 " + dual.format("pseries-4.1", "xive", "on"))[-1:] == (
        "kernel_irqchip requested but unavailable: IRQ_XIVE capability must be present for KVM",
    )
    assert printed(old_kernel, "qemu-4.1 -machine pseries-4.1,accel=kvm,ic-mode=xive")[-2:] == (
        "warning: kernel_irqchip allowed but unavailable: IRQ_XIVE capability must be present for KVM",
        "Falling back to kernel-irqchip=off",
    )
    assert printed("p9-hv", "qemu-4.0 -machine pseries-4.0,accel=kvm,ic-mode=dual") == (
        "No KVM support for the 'dual' machine",
    )


def test_pr_can_resize_the_hash_table_and_not_change_its_threads():
    text = "p7-pr: qemu-3.1 -nodefaults -machine pseries,accel=kvm,resize-hpt=required"
    assert build(parse(text)).messages == ("warning: Failed to set KVM's VSMT mode to 8 (errno -22)",)
    text = "p8-hv-2017: qemu-2.11.1 -nodefaults -machine pseries,accel=kvm,vsmt=4 -smp 4,threads=4"
    assert build(parse(text)).messages[-1] == "This KVM seems to be too old to support VSMT."


def test_a_host_file_with_a_wrong_key_is_refused(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('family = "POWER9"\npvr = 0x004E1202\ncolour = "red"\n')
    with pytest.raises(ConfigurationError, match="host mine: no such key: colour"):
        parse(f"{file}: qemu-7.2 -machine pseries,accel=kvm")
    file.write_text('family = "POWER9"\n')
    with pytest.raises(ConfigurationError, match="host mine: missing: pvr"):
        parse(f"{file}: qemu-7.2 -machine pseries,accel=kvm")
