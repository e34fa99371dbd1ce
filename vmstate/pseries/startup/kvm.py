"""A KVM host's decisions while the board is built and reset: processors, threads, interrupts, compat mode.

hw/ppc/spapr.c, hw/ppc/spapr_irq.c, target/ppc/kvm.c; docs/hosts.md says which of it was observed.
"""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Refused
from vmstate.pseries.rules.compat_register import new_register, write_register
from vmstate.pseries.rules.interrupts import NO_XICS, falls_back, requested
from vmstate.pseries.rules.memory import first_shift, hash_table_refusal, real_mode_refusal
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.compat import LOGICAL_3_00

_HV_NEEDS_HOST = (
    'Register sync failed... If you\'re using kvm-hv.ko, only "-cpu host" is possible'  # kvm_arch_init_vcpu
)
_VCPU_FAILED = History(
    "kvm_init_vcpu failed: Invalid argument",
    ("5.2", "kvm_init_vcpu: kvm_arch_init_vcpu failed (0): Invalid argument"),
)


def start_vcpus(start: Startup) -> None:
    """Check the PVR: KVM HV cannot emulate another processor, so its kernel only accepts the host's."""
    host = start.machine.host
    if host is not None and host.flavour == "hv" and start.machine.cpu.pvr != host.pvr:
        raise Refused(_HV_NEEDS_HOST, _VCPU_FAILED.at(start.release))
    _check_power9(start)


def _check_power9(start: Startup) -> None:
    """Do not judge a guest that may run as POWER9, with a type that does not have it.

    RHEL's hw/ppc/spapr_cpu_core.c ``spapr_realize_vcpu``: the limit decides, without one the processor.  QEMU
    ends; a 10.2 with that patch crashes before it prints why, and RHEL's own was not run.
    """
    machine, modes = start.machine, start.binary.compat
    if machine.flags.has_power9_support:
        return
    limit = machine.max_compat
    if modes.index[limit] >= modes.index[LOGICAL_3_00] if limit else modes.check(machine.cpu, LOGICAL_3_00):
        raise NotModelled(
            f"machine {machine.type_name} does not support POWER9; how its QEMU ends is not modelled: "
            "use a processor or max-cpu-compat up to power8"
        )


def set_kvm_vsmt(start: Startup, host: Host, *, given: bool) -> None:
    """Set KVM's spacing of vcpu ids, or accept the current one (the end of ``spapr_set_vsmt_mode``)."""
    mode, threads, current = start.machine.topology.vsmt, start.machine.topology.threads, host.smt_threads
    if mode == current or (host.flavour == "hv" and mode in host.smt_modes):
        return
    text = f"Failed to set KVM's VSMT mode to {mode}{_ERROR.at(start.release)}"
    if _VSMT_MAY_STAY.at(start.release) and current >= threads and mode % current == 0:
        start.warn(text)
        return
    lines = [text]
    if not given:
        lines.append(
            f"On PPC, a VM with {threads} threads/core on a host with {current} threads/core"
            f" requires {_SPACE.at(start.release)}the use of VSMT mode {mode}."
        )
    if host.smt_modes:
        lines.append(
            f"Available VSMT modes: {' '.join(str(m) for m in sorted(host.smt_modes, reverse=True))}."
        )
    else:
        lines.append("This KVM seems to be too old to support VSMT.")
    raise Refused(*lines)


_VSMT_MAY_STAY = History(False, (("2.11.2", "2.12"), True))
_SPACE = History(" ", (("2.11.2", "2.12"), ""))
_ERROR = History(" (errno -22)", ("11.0", ": Invalid argument"))


def check_irqchip(start: Startup) -> None:
    """Check the interrupt controller in the kernel, if required (``spapr_irq_init``, ``spapr_irq_check``).

    kernel-irqchip is on (required), off, or not given: then the kernel's is used if there is one.
    """
    host, wanted = start.machine.host, start.machine.kernel_irqchip
    if host is None or wanted == "off":
        return
    _IRQCHIP.at(start.release)(start, host, required=wanted == "on")


def _xics_created(start: Startup, host: Host, *, required: bool) -> None:
    """Create the kernel's controller at once, as up to 4.0; XIVE and dual cannot have one."""
    if start.machine.irq == "dual":
        raise Refused("No KVM support for the 'dual' machine")
    if not required:
        return
    if start.machine.irq == "xive":
        raise Refused("kernel_irqchip requested. no KVM XIVE support")
    if not host.irq_xics:
        raise Refused(f"kernel_irqchip requested but unavailable: {NO_XICS}")


def _xics_recreated(start: Startup, host: Host, *, required: bool) -> None:
    """Check that the kernel of a dual machine can create XICS again after XIVE was in use (4.1 on)."""
    if required and start.machine.irq == "dual" and not host.xics_reconnects:
        raise Refused(*_TOO_OLD.at(start.release))


_IRQCHIP = History(_xics_created, ("4.1", _xics_recreated))
_TOO_OLD: History[tuple[str, ...]] = History(
    ("KVM is too old to support ic-mode=dual,kernel-irqchip=on",),
    (
        "5.2",
        (
            "KVM is incompatible with ic-mode=dual,kernel-irqchip=on",
            "This can happen with an old KVM or in a KVM nested guest.",
            "Try without kernel-irqchip or with kernel-irqchip=off.",
        ),
    ),
)


def activate_irqchip(start: Startup) -> None:
    """Activate a guest's first controller, the kernel's if it has one.

    At first at the reset (4.1, ``spapr_irq_reset``); then already in ``spapr_irq_init``.
    """
    controller = "xive" if start.machine.irq == "xive" else "xics"
    refusal = requested(start.machine, controller)
    if refusal is not None:
        raise Refused(refusal)
    start.say(*falls_back(start.machine, controller))


def make_hash_table(start: Startup) -> None:
    """Make the hash table of a guest that does not start with radix (``spapr_setup_hpt``)."""
    machine = start.machine
    if machine.host is not None and not machine.rules.starts_radix(machine):
        shift = first_shift(machine)
        refusal = hash_table_refusal(machine, shift) or real_mode_refusal(machine, shift)
        if refusal is not None:
            raise Refused(refusal)


def check_page_sizes(start: Startup) -> None:
    """Check that KVM has all page sizes of the processor up to the capability's (``kvm_check_mmu``, 3.0 on).

    Observed: KVM PR has no pages of 16 MiB in segments of 4 KiB.
    """
    machine = start.machine
    if machine.host is None or machine.host.flavour != "pr" or machine.cpu.family.isa < _SEVERAL_SIZES:
        return
    if (machine.level("hpt-max-page-size") or 0) >= _SHIFT_16M:
        raise Refused(f"KVM doesn't support page shift {_SHIFT_16M}/12")


#: POWER7 was the first with pages of several sizes in a segment.
_SEVERAL_SIZES = 206
_SHIFT_16M = 24


def apply_compat(start: Startup) -> None:
    """Put every processor in the newest allowed mode at reset, until one fails (``ppc_set_compat_all``).

    The processor must be able to run as that mode.
    """
    pvr = start.machine.max_compat
    register = start.machine.kvm_compat = new_register(start.machine)
    refusal = start.machine.compat_table.refusal(start.machine.cpu, pvr)
    for _ in range(start.machine.topology.cpus):
        refusal = refusal or write_register(start.machine, register, 0, pvr)
    if refusal is not None:
        raise Refused(refusal)


def old_apply_compat(start: Startup) -> None:
    """Put a processor in its mode, if it has one, when it is created (2.9)."""
    start.machine.kvm_compat = new_register(start.machine)
    if start.machine.max_compat:
        apply_compat(start)
