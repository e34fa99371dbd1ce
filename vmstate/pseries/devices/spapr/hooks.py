"""The hooks for saving and loading ``spapr`` (hw/ppc/spapr.c, hw/ppc/spapr_caps.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe.diagnostics import EINVAL
from vmstate.describe.history import History, Span
from vmstate.pseries.devices.interrupts.xics import Ics
from vmstate.pseries.devices.interrupts.xive import XiveTctx, in_kernel, set_kvm_state
from vmstate.pseries.rules.interrupts import falls_back
from vmstate.pseries.tables.option_vectors import Ov5

if TYPE_CHECKING:
    from vmstate.pseries.devices.spapr.spapr import Spapr

#: Up to 2.9 each server has a presenter, with or without a processor.
ALL_PRESENTERS = History(True, ("2.10", False))
#: An absent server of a source was a null pointer until it was checked (in 10.0.13, not in 10.2.2).
SERVER_CHECKED = Span(since=("10.0.13", "11.0"))
#: One controller is always active, whichever ones the machine has.
ONE_ACTIVE = Span(since="4.2")
INTERLOCK_FREE = NO_ADDRESS = -1

#: Bits of option vector 5 that need not be migrated: a machine that offers only these does not send it.
_NOT_WORTH_SENDING = History(
    frozenset({Ov5.FORM1_AFFINITY, Ov5.DRCONF_MEMORY}),
    ("3.0", frozenset({Ov5.FORM1_AFFINITY, Ov5.DRCONF_MEMORY, Ov5.DRMEM_V2})),
)


def version_before_3(spapr: Spapr, version_id: int) -> bool:
    """The stream is from QEMU up to 2.2."""
    return version_id < 3


def ov5_needed(spapr: Spapr) -> bool:
    """The machine offers more than the first versions of option vector 5 did."""
    return not spapr.machine.ov5 <= _NOT_WORTH_SENDING.at(spapr.machine.release)


def patb_needed(spapr: Spapr) -> bool:
    """The guest has registered a process table (radix)."""
    return bool(spapr.patb_entry)


def pending_events_needed(spapr: Spapr) -> bool:
    """There are events that the guest has not fetched."""
    return bool(spapr.pending_events)


def irq_map_needed(spapr: Spapr) -> bool:
    """Interrupt numbers are allocated from a map, and some are in use."""
    return bool(spapr.irq_map_nr and spapr.irq_map)


def dtb_needed(spapr: Spapr) -> bool:
    """The guest may change the device tree: machine types from 4.0 on."""
    return bool(spapr.machine.flags.update_dt_enabled)


def dtb_pre_load(spapr: Spapr) -> int:
    """Discard the local tree."""
    spapr.fdt_blob = memoryview(b"")
    spapr.fdt_size = 0
    return 0


def fwnmi_needed(spapr: Spapr) -> bool:
    """The guest has registered handlers for machine checks and system resets."""
    return bool(spapr.fwnmi_machine_check_addr != (1 << 64) - 1)


def fwnmi_pre_save(spapr: Spapr) -> int:
    """Warn if a machine check is being handled."""
    if spapr.fwnmi_machine_check_interlock != INTERLOCK_FREE:
        spapr.say(
            "warning: A machine check is being handled during migration. Thehandler may run and log"
            " hardware error on the destination"
        )
    return 0


def spapr_pre_load(spapr: Spapr) -> int:
    """Assume the destination's own defaults for levels that the stream lacks (spapr_caps_pre_load)."""
    spapr.mig = list(spapr.machine.default_levels)
    return 0


def spapr_pre_save(spapr: Spapr) -> int:
    """Send the effective levels (spapr_caps_pre_save)."""
    spapr.mig = list(spapr.machine.effective_levels)
    return 0


def old_post_load(spapr: Spapr, version_id: int) -> int:
    """Restore interrupts, the clock, which cannot fail, then the MMU, as before capabilities existed."""
    return resend(spapr) or configure_mmu(spapr)


def configure_mmu(spapr: Spapr) -> int:
    """Give KVM the guest's process table, if it has one."""
    refusal = spapr.machine.rules.process_table_refusal(spapr.machine, spapr.patb_entry)
    fine = refusal is None
    spapr.compared("process table", "patb_entry", f"{spapr.patb_entry:#x}", "the host's MMU", passed=fine)
    if refusal is None:
        return 0
    spapr.say(refusal)
    return -EINVAL


def spapr_post_load(spapr: Spapr, version_id: int) -> int:
    """Compare all capabilities and report every difference; then restore the rest (spapr_post_load)."""
    machine = spapr.machine
    checks = machine.rules.post_migration(machine, spapr.mig or ())
    for check in checks:
        spapr.compared("capability", f"cap-{check.name}", check.incoming, check.own, passed=not check.fails)
        if check.message is not None:
            spapr.say(check.message)
    if any(check.fails for check in checks):
        return -EINVAL
    return configure_mmu(spapr) or activate_irqchip(spapr) or resend(spapr) or restore_contexts(spapr)


def activate_irqchip(spapr: Spapr) -> int:
    """Activate XIVE if the guest uses it: the kernel's, if it has one (spapr_irq_update_active_intc)."""
    machine = spapr.machine
    wanted = spapr.ov5_cas.bitmap >> Ov5.XIVE_EXPLOIT & 1
    if wanted and not machine.has_xive and ONE_ACTIVE.covers(machine.release):
        raise machine.ends("set_active_intc: Assertion `new_intc' failed.")
    if machine.host is not None and machine.has_xics and _uses_xive(spapr):
        for line in falls_back(machine, "xive"):
            spapr.say(line)
    return 0


def resend(spapr: Spapr) -> int:
    """Signal pending interrupts of XICS again, through the processors' pointers to their presenters."""
    machine = spapr.machine
    if not machine.entries or not machine.has_xics or _uses_xive(spapr):
        return 0
    if any(getattr(entry.device, "overrun", False) for entry in machine.entries):
        raise machine.ends(None)
    if SERVER_CHECKED.covers(machine.release):
        return 0
    sources = next(machine.registered(Ics))
    topology = machine.topology
    servers = {topology.vcpu_id(index) for index in range(topology.cpus)}
    if ALL_PRESENTERS.at(machine.release):
        servers = set(range(topology.max_servers))
    if not servers.issuperset(sources.resent_to()):
        raise machine.ends(None)
    return 0


def restore_contexts(spapr: Spapr) -> int:
    """Give KVM's XIVE the current state of the presenters (kvmppc_xive_post_load)."""
    machine = spapr.machine
    if in_kernel(machine) and (not machine.has_xics or _uses_xive(spapr)):
        machine.xive_connected = True
        for tctx in machine.registered(XiveTctx):
            set_kvm_state(tctx)
    return 0


def _uses_xive(spapr: Spapr) -> bool:
    """Return True if the guest negotiated XIVE and the machine has it (spapr_irq_update_active_intc)."""
    return bool(spapr.machine.has_xive and spapr.ov5_cas.bitmap >> Ov5.XIVE_EXPLOIT & 1)
