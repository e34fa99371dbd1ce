"""The section ``spapr``: the machine's own state (hw/ppc/spapr.c vmstate_spapr).

Its capability subsections are made from the table of capabilities, so a new entry there needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from vmstate.dataclass import replace
from vmstate.describe import (
    Allocated,
    Bitmap,
    Buffer,
    History,
    Int32,
    Int64,
    QTailQ,
    Record,
    Since,
    Span,
    Struct,
    UInt8,
    UInt32,
    UInt64,
    Unused,
    VMStateDescription,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.description import Needed
from vmstate.describe.diagnostics import EINVAL
from vmstate.errors import DeclarationError
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.interrupts.xics import Ics
from vmstate.pseries.devices.interrupts.xive import XiveTctx, in_kernel, set_kvm_state
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.interrupts import falls_back, requested
from vmstate.pseries.tables.capabilities import CAPABILITIES, Capability
from vmstate.pseries.tables.cpus import PATE1_GR
from vmstate.pseries.tables.option_vectors import BITS, Ov5

# The hooks for saving and loading (hw/ppc/spapr.c, hw/ppc/spapr_caps.c).

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
    if machine.host is not None and machine.has_xics and spapr.uses_xive:
        refusal = requested(machine, "xive")
        if refusal is not None:
            raise machine.ends(refusal)
        for line in falls_back(machine, "xive"):
            spapr.say(line)
    return 0


def resend(spapr: Spapr) -> int:
    """Signal pending interrupts of XICS again, through the processors' pointers to their presenters."""
    machine = spapr.machine
    if not machine.entries or not machine.has_xics or spapr.uses_xive:
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
    if in_kernel(machine) and (not machine.has_xics or spapr.uses_xive):
        machine.xive_connected = True
        for tctx in machine.registered(XiveTctx):
            set_kvm_state(tctx)
    return 0


# The section, and the machine after reset.

#: Interrupts that can be allocated to message-signalled devices.
IRQ_MAP_BITS = 0xD00
#: The first releases whose streams carry capabilities.
CAPABILITIES_SINCE = ("2.11.1", "2.12")

TIMEBASE = VMStateDescription(
    "timebase", 1, 1, fields=[UInt64("guest_timebase"), Int64("time_of_the_day_ns")]
)

OPTION_VECTOR = VMStateDescription("spapr_option_vector", 1, 1, fields=[Bitmap("bitmap", BITS, 1)])

OV5_CAS = VMStateDescription(
    "spapr_option_vector_ov5_cas",
    1,
    1,
    needed=ov5_needed,
    fields=[Struct("ov5_cas", OPTION_VECTOR, 1)],
)

PATB_ENTRY = VMStateDescription("spapr_patb_entry", 1, 1, needed=patb_needed, fields=[UInt64("patb_entry")])

EVENT_LOG_ENTRY = VMStateDescription(
    "spapr_event_log_entry",
    1,
    1,
    fields=[
        UInt32("summary"),
        UInt32("extended_length"),
        Allocated(Buffer("extended_log", "extended_length")),
    ],
)

PENDING_EVENTS = Since(
    "2.10",
    VMStateDescription(
        "spapr_pending_events",
        1,
        1,
        needed=pending_events_needed,
        fields=[QTailQ("pending_events", EVENT_LOG_ENTRY)],
    ),
)

IRQ_MAP = Since(
    "3.1",
    VMStateDescription(
        "spapr_irq_map", 1, 1, needed=irq_map_needed, fields=[Bitmap("irq_map", "irq_map_nr")]
    ),
)

# From 10.2 on every machine type lets the guest change the tree.
_DTB_NEEDED: History[Needed | None] = History(dtb_needed, ("10.2", None))
DTB = Since(
    "4.0",
    VMStateDescription(
        "spapr_dtb",
        1,
        1,
        needed=_DTB_NEEDED,
        pre_load=dtb_pre_load,
        fields=[UInt32("fdt_initial_size"), UInt32("fdt_size"), Allocated(Buffer("fdt_blob", "fdt_size"))],
    ),
)

FWNMI = Since(
    "5.0",
    VMStateDescription(
        "spapr_fwnmi",
        1,
        1,
        needed=fwnmi_needed,
        pre_save=fwnmi_pre_save,
        fields=[
            UInt64("fwnmi_system_reset_addr"),
            UInt64("fwnmi_machine_check_addr"),
            Int32("fwnmi_machine_check_interlock"),
        ],
    ),
)

#: Subsections among those of the capabilities, by the capability that they follow.
BEHIND = {"hpt-max-page-size": IRQ_MAP, "nested-hv": DTB, "fwnmi": FWNMI}


def _sent(name: str, index: int) -> Callable[[Spapr], bool]:
    def needed(spapr: Spapr) -> bool:
        """A level other than the default was given, unless the capability has its own rule."""
        machine = spapr.machine
        table = machine.capabilities
        if index >= len(table) or table[index].name != name:
            raise DeclarationError(
                f"cap-{name} is not number {index} of QEMU {machine.release}'s capabilities"
            )
        return bool(machine.rules.cap_needed(machine, table[index]))

    return needed


def capability_subsection(capability: Capability, index: int) -> VMStateDescription:
    """Return the subsection ``spapr/cap/…`` of a capability: its level, a byte (SPAPR_CAP_MIG_STATE)."""
    span = Span(capability.migrated.since or capability.span.since, capability.migrated.until)
    return VMStateDescription(
        f"spapr/cap/{capability.subsection}",
        1,
        1,
        needed=_sent(capability.name, index),
        fields=[UInt8(f"mig.caps[0x{index:02X}]", attr="mig", index=index)],
        span=span,
    )


def _capability_parts(capabilities: Sequence[Capability]) -> Iterator[VMStateDescription]:
    for index, capability in enumerate(capabilities):
        yield capability_subsection(capability, index)
        if capability.name in BEHIND:
            yield BEHIND[capability.name]


_BASE = VMStateDescription(
    "spapr",
    3,
    1,
    pre_load=History(None, (CAPABILITIES_SINCE, spapr_pre_load)),
    post_load=History(old_post_load, (CAPABILITIES_SINCE, spapr_post_load)),
    pre_save=History(None, (CAPABILITIES_SINCE, spapr_pre_save)),
    fields=[
        Unused(4, exists=version_before_3),  # was the next interrupt to allocate
        UInt64("rtc_offset", exists=version_before_3),
        Struct("tb", TIMEBASE, 2),
    ],
    subsections=[OV5_CAS, PATB_ENTRY, PENDING_EVENTS],
)


def spapr_description(capabilities: Sequence[Capability]) -> VMStateDescription:
    """Return ``spapr`` with a subsection for each of ``capabilities``, which are in order of index."""
    return replace(_BASE, subsections=[*_BASE.subsections, *_capability_parts(capabilities)])


SPAPR = spapr_description(CAPABILITIES)
_DESCRIPTIONS: dict[int, tuple[Sequence[Capability], VMStateDescription]] = {
    id(CAPABILITIES): (CAPABILITIES, SPAPR)
}


def _of_binary(capabilities: Sequence[Capability]) -> VMStateDescription:
    """Return the description for a program's table, cached by the table's identity."""
    known = _DESCRIPTIONS.get(id(capabilities))
    if known is None:
        known = _DESCRIPTIONS[id(capabilities)] = (capabilities, spapr_description(capabilities))
    return known[1]


class Spapr(Device):
    """The machine after reset: the guest has negotiated and registered nothing yet."""

    description = SPAPR
    irq_map = 0
    pending_events: Sequence[Any] = ()
    rtc_offset = 0
    fwnmi_system_reset_addr = fwnmi_machine_check_addr = (1 << 64) - 1
    fwnmi_machine_check_interlock = INTERLOCK_FREE
    mig: Sequence[int] | None = None

    def __init__(
        self,
        machine: Machine,
        tree: Callable[[], memoryview] | None = None,
        tree_size: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(machine)
        self.description = _of_binary(machine.capability_table)
        self._tree, self._tree_size = tree, tree_size
        self.patb_entry = PATE1_GR if machine.rules.starts_radix(machine) else 0
        self.tb = Record(guest_timebase=0, time_of_the_day_ns=0)
        self.ov5_cas = Record(bitmap=0)

    @cached_property
    def fdt_blob(self) -> memoryview:
        """The device tree, built on first use: a destination never needs it."""
        return memoryview(b"") if self._tree is None else self._tree()

    @cached_property
    def fdt_size(self) -> int:
        """The size of the current tree in bytes."""
        return len(self.fdt_blob)

    @cached_property
    def fdt_initial_size(self) -> int:
        """The size in bytes of the tree that the machine made."""
        return len(self.fdt_blob)

    @property
    def uses_xive(self) -> bool:
        """True if the guest negotiated XIVE and the machine has it (spapr_irq_update_active_intc)."""
        return bool(self.machine.has_xive and self.ov5_cas.bitmap >> Ov5.XIVE_EXPLOIT & 1)

    def leave_tree_out(self) -> None:
        """Have zeros instead of the device tree, unless it is built already: a destination looks at none."""
        size = self._tree_size
        if size is not None:
            self._tree = lambda: zeros(size())

    def keep_tree(self) -> None:
        """Keep the current device tree, whatever is plugged later."""
        if dtb_needed(self):
            len(self.fdt_blob), self.fdt_size, self.fdt_initial_size

    @property
    def irq_map_nr(self) -> int:
        """The number of bits in the map; 0 for old machine types, which allocate numbers in sequence."""
        return 0 if self.machine.flags.legacy_irq_allocation else IRQ_MAP_BITS
