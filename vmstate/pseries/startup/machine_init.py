"""The pseries board: the steps of its construction and first reset, with their checks and warnings.

hw/ppc/spapr.c ``spapr_machine_init`` (``ppc_spapr_init`` before 2.12) and ``spapr_machine_reset``.
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.pseries.machine import Refused
from vmstate.pseries.rules.memory import block_size
from vmstate.pseries.startup.kvm import (
    activate_irqchip,
    apply_compat,
    check_irqchip,
    check_page_sizes,
    make_hash_table,
    old_apply_compat,
    set_kvm_vsmt,
    start_vcpus,
)
from vmstate.pseries.startup.machine_and_cpu import check_core_type, parse_cpu_late
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.startup.vio import lay_out_board
from vmstate.pseries.tables.accelerators import QTEST
from vmstate.pseries.tables.capability_apply import (
    ACCELERATOR_RULES,
    Applying,
    CapabilityRefused,
    large_decrementer_of_processor,
)
from vmstate.pseries.tables.compat import LOGICAL_2_07

_MIB = 1 << 20
_BLOCK = 256 * _MIB
_MIN_RMA = 128 * _MIB
_MAX_RAM_SLOTS = 32

Step = Callable[[Startup], None]


def init_capabilities(start: Startup) -> None:
    """Set the capabilities: the processor's defaults, overridden by the user's (``spapr_caps_init``)."""
    machine = start.machine
    rules, table = machine.rules, machine.capabilities
    defaults = rules.default_levels(machine)
    given = rules.given_levels(machine, start.levels)
    effective = rules.effective_levels(machine, defaults, given)
    machine.default_levels = tuple(defaults[c.name] for c in table)
    machine.given = tuple(c.name in given for c in table)
    machine.effective_levels = tuple(effective[c.name] for c in table)


def decide_resize_hpt(start: Startup) -> None:
    """Decide on resizing the hash table: as requested; by default as the machine type says, if KVM can."""
    host = start.machine.host
    possible = host is None or host.can_resize_hpt
    if start.machine.resize_hpt == "default":
        start.machine.resize_hpt = start.machine.flags.resize_hpt_default if possible else "disabled"
    elif start.machine.resize_hpt != "disabled" and not possible:
        raise Refused("Hash page table resizing not available with this KVM version")


def limit_rma(start: Startup) -> None:
    """Limit the real mode area, which must hold the firmware (5.0 on: before anything else can fail)."""
    limit = start.machine.flags.rma_limit or 1 << 40
    start.rma_size = min(start.machine.ram_size, limit)
    if start.rma_size < _MIN_RMA:
        raise Refused(_SLOF_NEEDS.at(start.release))


#: From 5.0 on the number is printed in hexadecimal, and the length modifier as text.
_SLOF_NEEDS = History(
    "pSeries SLOF firmware requires >= 128M guest RMA (Real Mode Area memory)",
    ("3.0", "pSeries SLOF firmware requires >= 128MiB guest RMA (Real Mode Area memory)"),
    ("5.0", "pSeries SLOF firmware requires >= 80ldMiB guest RMA (Real Mode Area memory)"),
)


def old_rma(start: Startup) -> None:
    """Limit the real mode area to 16 GiB; its size is checked near the end (before 5.0)."""
    start.rma_size = min(start.machine.ram_size, 16 << 30)


def check_rma(start: Startup) -> None:
    """Check that the real mode area holds the firmware (before 5.0)."""
    if start.rma_size < _MIN_RMA:
        raise Refused(_SLOF_NEEDS.at(start.release))


_SMT_UNDER_TCG = History(False, ("8.1", True))


def set_vsmt(start: Startup) -> None:
    """Decide how many vcpu ids a core takes (``spapr_set_vsmt_mode``)."""
    host = start.machine.host
    threads = start.machine.topology.threads
    if host is None:
        _check_tcg_threads(start, threads)
    if threads & (threads - 1) or not threads:
        raise Refused(
            f"Cannot support {threads} threads/core on a pseries machine because it must be a power of 2"
        )
    given = start.machine.topology.vsmt
    if given and given < threads:
        raise Refused(f"Cannot support VSMT mode {given} because it must be >= threads/core ({threads})")
    start.machine.topology.vsmt = given or _DEFAULT_VSMT.at(start.release)(start)
    if host is not None and start.machine.topology.vsmt != host.smt_threads:
        set_kvm_vsmt(start, host, given=bool(given))


def _check_tcg_threads(start: Startup, threads: int) -> None:
    if not _SMT_UNDER_TCG.at(start.release):
        if threads > 1:
            raise Refused("TCG cannot support more than 1 thread/core on a pseries machine")
        return
    power8 = start.machine.compat_table.check(start.machine.cpu, LOGICAL_2_07, 0, start.machine.max_compat)
    if threads > 1 and not power8:
        raise Refused("TCG only supports SMT on POWER8 or newer CPUs")
    if threads > 8:
        raise Refused("TCG cannot support more than 8 threads/core on a pseries machine")


def _vsmt_of_host(start: Startup) -> int:
    host = start.machine.host
    return max(host.smt_threads if host else 1, start.machine.topology.threads)


def _vsmt_of_type(start: Startup) -> int:
    threads = start.machine.topology.threads
    return threads if start.machine.flags.smp_threads_vsmt else max(8, threads)


_DEFAULT_VSMT: History[Callable[[Startup], int]] = History(_vsmt_of_host, (("2.11.2", "2.12"), _vsmt_of_type))


def no_vsmt(start: Startup) -> None:
    """Space vcpu ids as KVM does, under TCG by one: 2.9 and 2.10 have no VSMT."""
    host = start.machine.host
    start.machine.topology.vsmt = host.smt_threads if host else 1


def decide_interrupts(start: Startup) -> None:
    """Decide which interrupt controllers there are, and where (``spapr_irq_init``, 4.0 on)."""
    kvm = start.machine.host is not None
    if kvm or not _IRQCHIP_IS_KVMS.at(start.release):
        if start.machine.kernel_irqchip == "split":
            raise Refused("kernel_irqchip split mode not supported on pseries")
        if start.machine.kernel_irqchip == "on" and not kvm:
            raise Refused("kernel_irqchip requested but only available with KVM")
    mode = start.machine.rules.interrupt_mode(start.machine, start.machine.levels_by_name())
    start.machine.irq = (
        "xics-legacy" if mode == "xics" and start.machine.flags.legacy_irq_allocation else mode
    )
    check_irqchip(start)


def connect_presenters(start: Startup) -> None:
    """Connect XIVE presenters, which need POWER9's bus (hw/intc/xive.c ``xive_tctx_realize``)."""
    if start.machine.irq in {"xive", "dual"} and start.machine.cpu.family.bus != "POWER9":
        raise Refused("XIVE interrupt controller does not support this CPU bus model")


#: Since this release nothing may be registered twice, even for a moment.
_DUPLICATES_REFUSED = History(False, ("8.2", True))


def register_presenters(start: Startup) -> None:
    """Register presenters; a dummy may have the same name and instance (hw/intc/xics.c ``icp_realize``)."""
    dummies = start.machine.flags.pre_2_10_has_unused_icps and start.machine.irq != "xive"
    if (
        dummies
        and _DUPLICATES_REFUSED.at(start.release)
        and not start.machine.rules.presenter_replaces_dummy(start.machine)
    ):
        entry = "id=icp/server, instance_id=0x0"
        raise Refused(f"savevm_state_handler_insert: Detected duplicate SaveStateEntry: {entry}")


_IRQCHIP_IS_KVMS = History(False, ("5.0", True))


def xics_only(start: Startup) -> None:
    """Set the interrupt mode: there is only XICS before 4.0."""
    start.machine.irq = "xics-legacy" if start.machine.flags.legacy_irq_allocation else "xics"
    if start.machine.kernel_irqchip == "on" and not start.machine.host:
        raise Refused("kernel_irqchip requested but only available with KVM")
    check_irqchip(start)


def check_memory(start: Startup) -> None:
    """Check for blocks of 256 MiB, if memory can be plugged (``spapr_validate_node_memory``)."""
    if not start.machine.flags.dr_lmb_enabled:
        return
    if start.machine.ram_size % _BLOCK:
        raise Refused(f"Memory size 0x{start.machine.ram_size:x} is not aligned to 256 MiB")
    if start.machine.maxram_size % _BLOCK:
        raise Refused(f"Maximum memory size 0x{start.machine.ram_size:x} is not aligned to 256 MiB")
    for node, backend in enumerate(start.machine.memory_backends):
        if block_size(backend) % _BLOCK:
            raise Refused(f"Node {node} memory size 0x{block_size(backend):x} is not aligned to 256 MiB")


def check_cpus(start: Startup) -> None:
    """Check for whole cores; without CPU hotplug, all must be present (``spapr_init_cpus``)."""
    if start.machine.flags.has_hotpluggable_cpus:
        for name, count in (
            ("smp_cpus", start.machine.topology.cpus),
            ("max_cpus", start.machine.topology.max_cpus),
        ):
            if count % start.machine.topology.threads:
                raise Refused(
                    f"{name} ({count}) must be multiple of threads ({start.machine.topology.threads})"
                )
    elif start.machine.topology.max_cpus != start.machine.topology.cpus:
        raise Refused("This machine version does not support CPU hotplug")


def old_thread_limit(start: Startup) -> None:
    """Limit threads to those of TCG (one) or KVM, as the first thread does when realized (2.9 and 2.10)."""
    host, threads = start.machine.host, start.machine.topology.threads
    most, name = (host.smt_threads, "KVM") if host is not None else (1, "TCG")
    if threads > most:
        raise Refused(f"Cannot support more than {most} threads on PPC with {name}")
    if threads & (threads - 1):
        raise Refused(
            f"Cannot support {threads} threads on PPC with {name}, threads count must be a power of 2."
        )


def check_slots(start: Startup) -> None:
    """Limit the memory slots (32 under TCG)."""
    machine = start.machine
    if machine.ram_size < machine.maxram_size and machine.ram_slots > _MAX_RAM_SLOTS:
        raise Refused(
            f"Specified number of memory slots {machine.ram_slots} exceeds max supported {_MAX_RAM_SLOTS}"
        )


def apply_capabilities(start: Startup) -> None:
    """Apply every capability at its level, in index order, until one refuses (``spapr_caps_apply``)."""
    applying = _applying(start)
    for capability, level in zip(start.machine.capabilities, start.machine.effective_levels, strict=True):
        if start.machine.accelerator is QTEST and capability.apply in ACCELERATOR_RULES:
            continue
        try:
            capability.apply(applying, level)
        except CapabilityRefused as refusal:
            raise Refused(*refusal.lines, crashed="assertion failed" in refusal.lines[0]) from None


def _applying(start: Startup) -> Applying:
    return Applying(
        release=start.release,
        cpu=start.machine.cpu,
        compat=start.binary.compat,
        max_compat=start.machine.max_compat,
        host=start.machine.host,
        threads=start.machine.topology.threads,
        warn=start.warn,
        flags=start.machine.flags,
        levels=start.machine.levels_by_name(),
    )


def reset_vcpus(start: Startup) -> None:
    """Give the processors what the capabilities say of them (``spapr_caps_cpu_apply``, 4.0 on)."""
    try:
        large_decrementer_of_processor(_applying(start), start.machine.level("large-decr") or 0)
    except CapabilityRefused as refusal:
        raise Refused(*refusal.lines) from None


_OLD_CPUS = (parse_cpu_late, no_vsmt, check_cpus, old_thread_limit, start_vcpus)
_OLD_END = (check_slots, lay_out_board, check_rma)
_MEMORY_FIRST = (decide_resize_hpt, old_rma, xics_only, check_memory)
_CAPABILITIES_FIRST = (check_core_type, init_capabilities, decide_resize_hpt)
_PRESENTERS = (connect_presenters, register_presenters)
_VSMT_FIRST = (set_vsmt, decide_interrupts)
_THEN = (check_memory, check_cpus, start_vcpus, *_PRESENTERS)

#: The construction of the board, step by step, by release.  Capabilities were part of the reset before 3.0.
BOARD: History[tuple[Step, ...]] = History(
    (old_rma, xics_only, check_memory, *_OLD_CPUS, old_apply_compat, *_OLD_END, init_capabilities),
    ("2.10", (*_MEMORY_FIRST, *_OLD_CPUS, *_OLD_END, init_capabilities)),
    (
        "2.11",
        (*_MEMORY_FIRST, set_vsmt, check_core_type, check_cpus, start_vcpus, *_OLD_END, init_capabilities),
    ),
    (
        "2.12",
        (*_MEMORY_FIRST, check_core_type, check_cpus, set_vsmt, start_vcpus, *_OLD_END, init_capabilities),
    ),
    (
        "3.0",
        (
            *_CAPABILITIES_FIRST,
            old_rma,
            xics_only,
            check_memory,
            check_cpus,
            set_vsmt,
            start_vcpus,
            *_OLD_END,
        ),
    ),
    ("4.0", (*_CAPABILITIES_FIRST, old_rma, *_VSMT_FIRST, *_THEN, *_OLD_END)),
    ("4.2", (*_CAPABILITIES_FIRST, old_rma, *_VSMT_FIRST, activate_irqchip, *_THEN, *_OLD_END)),
    (
        "5.0",
        (*_CAPABILITIES_FIRST, limit_rma, *_VSMT_FIRST, activate_irqchip, *_THEN, check_slots, lay_out_board),
    ),
)

#: The first reset: in 2.9 the mode was set when the processors were created.
RESET: History[tuple[Step, ...]] = History(
    (),
    ("2.10", (apply_capabilities, make_hash_table, apply_compat)),
    ("3.0", (apply_capabilities, make_hash_table, check_page_sizes, apply_compat)),
    ("4.0", (apply_capabilities, make_hash_table, reset_vcpus, check_page_sizes, apply_compat)),
    (
        "4.1",
        (
            apply_capabilities,
            make_hash_table,
            reset_vcpus,
            check_page_sizes,
            apply_compat,
            activate_irqchip,
        ),
    ),
    ("4.2", (apply_capabilities, make_hash_table, reset_vcpus, check_page_sizes, apply_compat)),
)
