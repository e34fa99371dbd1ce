"""The section ``spapr``: the machine's own state (hw/ppc/spapr.c vmstate_spapr).

Its capability subsections are made from the table of capabilities, so a new entry there needs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

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
from vmstate.errors import DeclarationError
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.spapr import hooks
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.board import PATE1_GR
from vmstate.pseries.tables.capabilities import CAPABILITIES, Capability
from vmstate.pseries.tables.option_vectors import BITS

#: Interrupts that can be allocated to message-signalled devices.
IRQ_MAP_BITS = 0xD00
#: The first releases whose streams carry capabilities.
CAPABILITIES_SINCE = ("2.11.1", "2.12")

TIMEBASE = VMStateDescription(
    "timebase", 1, 1, fields=[UInt64("guest_timebase"), Int64("time_of_the_day_ns")]
)

OPTION_VECTOR = VMStateDescription("spapr_option_vector", 1, 1, fields=[Bitmap("bitmap", BITS)])

OV5_CAS = VMStateDescription(
    "spapr_option_vector_ov5_cas",
    1,
    1,
    needed=hooks.ov5_needed,
    fields=[Struct("ov5_cas", OPTION_VECTOR, 1)],
)

PATB_ENTRY = VMStateDescription(
    "spapr_patb_entry", 1, 1, needed=hooks.patb_needed, fields=[UInt64("patb_entry")]
)

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
        needed=hooks.pending_events_needed,
        fields=[QTailQ("pending_events", EVENT_LOG_ENTRY)],
    ),
)

IRQ_MAP = Since(
    "3.1",
    VMStateDescription(
        "spapr_irq_map", 1, 1, needed=hooks.irq_map_needed, fields=[Bitmap("irq_map", "irq_map_nr")]
    ),
)

DTB = Since(
    "4.0",
    VMStateDescription(
        "spapr_dtb",
        1,
        1,
        needed=hooks.dtb_needed,
        pre_load=hooks.dtb_pre_load,
        fields=[UInt32("fdt_initial_size"), UInt32("fdt_size"), Allocated(Buffer("fdt_blob", "fdt_size"))],
    ),
)

FWNMI = Since(
    "5.0",
    VMStateDescription(
        "spapr_fwnmi",
        1,
        1,
        needed=hooks.fwnmi_needed,
        pre_save=hooks.fwnmi_pre_save,
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
    pre_load=History(None, (CAPABILITIES_SINCE, hooks.spapr_pre_load)),
    post_load=History(hooks.old_post_load, (CAPABILITIES_SINCE, hooks.spapr_post_load)),
    pre_save=History(None, (CAPABILITIES_SINCE, hooks.spapr_pre_save)),
    fields=[
        Unused(4, exists=hooks.version_before_3),  # was the next interrupt to allocate
        UInt64("rtc_offset", exists=hooks.version_before_3),
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
    fwnmi_machine_check_interlock = hooks.INTERLOCK_FREE
    mig: Sequence[int] | None = None

    def __init__(self, machine: Machine, tree: Callable[[], memoryview] | None = None) -> None:
        super().__init__(machine)
        self.description = _of_binary(machine.capability_table)
        self._tree = tree
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
    def irq_map_nr(self) -> int:
        """The number of bits in the map; 0 for old machine types, which allocate numbers in sequence."""
        return 0 if self.machine.flags.legacy_irq_allocation else IRQ_MAP_BITS
