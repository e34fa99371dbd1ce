"""The pseries board: what its construction and its first reset decide, check, warn of and refuse.

hw/ppc/spapr.c ``spapr_machine_init`` (``ppc_spapr_init`` before 2.12) and ``spapr_machine_reset``.
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.pseries.startup.kvm import (
    activate_irqchip,
    apply_compat,
    check_irqchip,
    old_apply_compat,
    set_kvm_vsmt,
    start_vcpus,
)
from vmstate.pseries.startup.machine_and_cpu import check_core_type, parse_cpu_late
from vmstate.pseries.startup.startup import Refused, Startup
from vmstate.pseries.startup.vio import lay_out_board
from vmstate.pseries.tables.accelerators import QTEST
from vmstate.pseries.tables.capability_apply import ACCELERATORS_SAY, Applying, CapabilityRefused
from vmstate.pseries.tables.compat import LOGICAL_2_07

_MIB = 1 << 20
_BLOCK = 256 * _MIB
_MIN_RMA = 128 * _MIB
_MAX_RAM_SLOTS = 32

Step = Callable[[Startup], None]


def init_capabilities(start: Startup) -> None:
    """``spapr_caps_init``: defaults for the processor, and on top what the user set."""
    rules, table = start.rules, start.capabilities
    defaults = rules.default_levels(start)
    given = rules.given_levels(start, start.settings.levels)
    effective = rules.effective_levels(start, defaults, given)
    start.default_levels = [defaults[c.name] for c in table]
    start.given = [c.name in given for c in table]
    start.effective_levels = [effective[c.name] for c in table]


def decide_resize_hpt(start: Startup) -> None:
    """Resizing of the hash table: as asked; by default as the machine type has it, where KVM can."""
    settings = start.settings
    host = start.accelerator.kvm
    possible = host is None or host.can_resize_hpt
    if settings.resize_hpt == "default":
        settings.resize_hpt = start.type.flags.resize_hpt_default if possible else "disabled"
    elif settings.resize_hpt != "disabled" and not possible:
        raise Refused("Hash page table resizing not available with this KVM version")


def limit_rma(start: Startup) -> None:
    """The real mode area, which must hold the firmware (5.0 on: before anything else can fail)."""
    limit = start.type.flags.rma_limit or 1 << 40
    start.rma_size = min(start.settings.ram_size, limit)
    if start.rma_size < _MIN_RMA:
        raise Refused(_SLOF_NEEDS.at(start.release))


#: The number is printed in hexadecimal, and the length modifier came out as text.
_SLOF_NEEDS = History(
    "pSeries SLOF firmware requires >= 128M guest RMA (Real Mode Area memory)",
    ("3.0", "pSeries SLOF firmware requires >= 128MiB guest RMA (Real Mode Area memory)"),
    ("5.0", "pSeries SLOF firmware requires >= 80ldMiB guest RMA (Real Mode Area memory)"),
)


def old_rma(start: Startup) -> None:
    """Before 5.0 the area was at most 16 GiB, and its size was looked at near the end."""
    start.rma_size = min(start.settings.ram_size, 16 << 30)


def check_rma(start: Startup) -> None:
    """Before 5.0: the firmware needs so much."""
    if start.rma_size < _MIN_RMA:
        raise Refused(_SLOF_NEEDS.at(start.release))


_SMT_UNDER_TCG = History(False, ("8.1", True))


def set_vsmt(start: Startup) -> None:
    """``spapr_set_vsmt_mode``: how many vcpu ids a core takes."""
    settings, host = start.settings, start.accelerator.kvm
    threads = settings.threads
    if host is None:
        _check_tcg_threads(start, threads)
    if threads & (threads - 1) or not threads:
        raise Refused(
            f"Cannot support {threads} threads/core on a pseries machine because it must be a power of 2"
        )
    given = settings.vsmt
    if given and given < threads:
        raise Refused(f"Cannot support VSMT mode {given} because it must be >= threads/core ({threads})")
    settings.vsmt = given or _DEFAULT_VSMT.at(start.release)(start)
    if host is not None and settings.vsmt != host.smt_threads:
        set_kvm_vsmt(start, host, given=bool(given))


def _check_tcg_threads(start: Startup, threads: int) -> None:
    if not _SMT_UNDER_TCG.at(start.release):
        if threads > 1:
            raise Refused("TCG cannot support more than 1 thread/core on a pseries machine")
        return
    power8 = start.binary.compat.check(start.processor, LOGICAL_2_07, 0, start.settings.max_compat)
    if threads > 1 and not power8:
        raise Refused("TCG only supports SMT on POWER8 or newer CPUs")
    if threads > 8:
        raise Refused("TCG cannot support more than 8 threads/core on a pseries machine")


def _vsmt_of_host(start: Startup) -> int:
    host = start.accelerator.kvm
    return max(host.smt_threads if host else 1, start.settings.threads)


def _vsmt_of_type(start: Startup) -> int:
    threads = start.settings.threads
    return threads if start.type.flags.smp_threads_vsmt else max(8, threads)


_DEFAULT_VSMT: History[Callable[[Startup], int]] = History(_vsmt_of_host, (("2.11.2", "2.12"), _vsmt_of_type))


def no_vsmt(start: Startup) -> None:
    """2.9 and 2.10 have no VSMT: vcpu ids are spaced by what KVM says, under TCG by one thread."""
    host = start.accelerator.kvm
    start.settings.vsmt = host.smt_threads if host else 1


def decide_interrupts(start: Startup) -> None:
    """``spapr_irq_init`` (4.0 on): where the interrupt controllers are, and which there are."""
    settings = start.settings
    kvm = start.accelerator.kvm is not None
    if kvm or not _IRQCHIP_IS_KVMS.at(start.release):
        if settings.kernel_irqchip == "split":
            raise Refused("kernel_irqchip split mode not supported on pseries")
        if settings.kernel_irqchip == "on" and not kvm:
            raise Refused("kernel_irqchip requested but only available with KVM")
    mode = start.rules.interrupt_mode(start, _levels(start))
    settings.irq = "xics-legacy" if mode == "xics" and start.flags.legacy_irq_allocation else mode
    check_irqchip(start)


def _levels(start: Startup) -> dict[str, int]:
    return {c.name: level for c, level in zip(start.capabilities, start.effective_levels, strict=True)}


def connect_presenters(start: Startup) -> None:
    """``xive_tctx_realize`` (hw/intc/xive.c): a XIVE presenter needs a processor with POWER9's bus."""
    if start.settings.irq in {"xive", "dual"} and start.processor.family.bus != "POWER9":
        raise Refused("XIVE interrupt controller does not support this CPU bus model")


#: From here on nothing may be registered twice, not for a moment.
_DUPLICATES_REFUSED = History(False, ("8.2", True))


def register_presenters(start: Startup) -> None:
    """``icp_realize`` (hw/intc/xics.c), where a dummy is registered of the same name and instance."""
    dummies = start.type.flags.pre_2_10_has_unused_icps and start.settings.irq != "xive"
    if dummies and _DUPLICATES_REFUSED.at(start.release) and not start.rules.presenter_replaces_dummy(start):
        entry = "id=icp/server, instance_id=0x0"
        raise Refused(f"savevm_state_handler_insert: Detected duplicate SaveStateEntry: {entry}")


_IRQCHIP_IS_KVMS = History(False, ("5.0", True))


def xics_only(start: Startup) -> None:
    """Before 4.0 there is XICS alone."""
    start.settings.irq = "xics-legacy" if start.type.flags.legacy_irq_allocation else "xics"
    if start.settings.kernel_irqchip == "on" and not start.accelerator.kvm:
        raise Refused("kernel_irqchip requested but only available with KVM")
    check_irqchip(start)


def check_memory(start: Startup) -> None:
    """``spapr_validate_node_memory``: blocks of 256 MiB, where memory can be plugged."""
    if not start.type.flags.dr_lmb_enabled:
        return
    settings = start.settings
    if settings.ram_size % _BLOCK:
        raise Refused(f"Memory size 0x{settings.ram_size:x} is not aligned to 256 MiB")
    if settings.maxram_size % _BLOCK:
        raise Refused(f"Maximum memory size 0x{settings.ram_size:x} is not aligned to 256 MiB")


def check_cpus(start: Startup) -> None:
    """``spapr_init_cpus``: whole cores; without CPU hotplug, all of them at once."""
    settings = start.settings
    if start.type.flags.has_hotpluggable_cpus:
        for name, count in (("smp_cpus", settings.cpus), ("max_cpus", settings.max_cpus)):
            if count % settings.threads:
                raise Refused(f"{name} ({count}) must be multiple of threads ({settings.threads})")
    elif settings.max_cpus != settings.cpus:
        raise Refused("This machine version does not support CPU hotplug")


def old_thread_limit(start: Startup) -> None:
    """2.9 and 2.10: the first thread realized finds how many TCG (one) or KVM can have."""
    host, threads = start.accelerator.kvm, start.settings.threads
    most, name = (host.smt_threads, "KVM") if host is not None else (1, "TCG")
    if threads > most:
        raise Refused(f"Cannot support more than {most} threads on PPC with {name}")
    if threads & (threads - 1):
        raise Refused(
            f"Cannot support {threads} threads on PPC with {name}, threads count must be a power of 2."
        )


def check_slots(start: Startup) -> None:
    """Memory slots are limited (32 under TCG)."""
    settings = start.settings
    if settings.ram_size < settings.maxram_size and settings.ram_slots > _MAX_RAM_SLOTS:
        raise Refused(
            f"Specified number of memory slots {settings.ram_slots} exceeds max supported {_MAX_RAM_SLOTS}"
        )


def apply_capabilities(start: Startup) -> None:
    """``spapr_caps_apply``: every capability at its level, in index order; the first refusal ends it."""
    settings = start.settings
    applying = Applying(
        release=start.release,
        cpu=start.processor,
        compat=start.binary.compat,
        max_compat=settings.max_compat,
        host=start.accelerator.kvm,
        threads=settings.threads,
        warn=start.warn,
        flags=start.flags,
        levels=_levels(start),
    )
    for capability, level in zip(start.binary.capabilities, start.effective_levels, strict=True):
        if start.accelerator is QTEST and capability.apply in ACCELERATORS_SAY:
            continue
        try:
            capability.apply(applying, level)
        except CapabilityRefused as refusal:
            raise Refused(*refusal.lines, crashed="assertion failed" in refusal.lines[0]) from None


_OLD_CPUS = (parse_cpu_late, no_vsmt, check_cpus, old_thread_limit, start_vcpus)
_OLD_END = (check_slots, lay_out_board, check_rma)
_MEMORY_FIRST = (decide_resize_hpt, old_rma, xics_only, check_memory)
_CAPABILITIES_FIRST = (check_core_type, init_capabilities, decide_resize_hpt)
_PRESENTERS = (connect_presenters, register_presenters)
_VSMT_FIRST = (set_vsmt, decide_interrupts, check_memory, check_cpus, start_vcpus, *_PRESENTERS)

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
    ("4.0", (*_CAPABILITIES_FIRST, old_rma, *_VSMT_FIRST, *_OLD_END)),
    ("5.0", (*_CAPABILITIES_FIRST, limit_rma, *_VSMT_FIRST, check_slots, lay_out_board)),
)

#: The first reset: in 2.9 the mode was set as the processors were made.
RESET: History[tuple[Step, ...]] = History(
    (),
    ("2.10", (apply_capabilities, apply_compat)),
    ("4.1", (apply_capabilities, apply_compat, activate_irqchip)),
)
