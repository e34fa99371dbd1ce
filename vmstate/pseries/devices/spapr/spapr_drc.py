"""``spapr_drc``: dynamic reconfiguration connectors, the slots of hotplug (hw/ppc/spapr_drc.c).

A machine has several hundred and sends none of them at rest.  They matter because each takes a section id,
and because a machine in the middle of a hotplug sends its connector.
"""

from __future__ import annotations

from enum import IntEnum

from vmstate.describe import Bool, Since, UInt32, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.connectors import Connectors, DrcType
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine
from vmstate.savevm.entries import SaveStateEntry


class DrcState(IntEnum):
    """The states of logical and physical connectors."""

    LOGICAL_UNUSABLE = 1
    LOGICAL_AVAILABLE = 2
    LOGICAL_UNISOLATE = 3
    LOGICAL_CONFIGURED = 4
    PHYSICAL_AVAILABLE = 5
    PHYSICAL_POWERON = 6
    PHYSICAL_UNISOLATE = 7
    PHYSICAL_CONFIGURED = 8


def unplug_requested(drc: SpaprDrc) -> bool:
    """The guest was asked to release the device and has not answered."""
    return bool(drc.unplug_requested)


def transient(drc: SpaprDrc) -> bool:
    """A device is attached, and the guest has not finished adding it or is asked to release it."""
    return bool(drc.attached and (drc.state != drc.ready_state or drc.unplug_requested))


def indicator_changed(drc: SpaprDrcPhysical) -> bool:
    """The indicator light does not match the slot's contents."""
    return bool(drc.dr_indicator != drc.rest_indicator)


UNPLUG_REQUESTED = VMStateDescription(
    "spapr_drc/unplug_requested",
    version_id=1,
    minimum_version_id=1,
    needed=unplug_requested,
    fields=[Bool("unplug_requested")],
)

SPAPR_DRC = VMStateDescription(
    "spapr_drc",
    version_id=1,
    minimum_version_id=1,
    needed=transient,
    fields=[UInt32("state")],
    subsections=[Since("5.0", UNPLUG_REQUESTED)],
)

SPAPR_DRC_PHYSICAL = VMStateDescription(
    "spapr_drc/physical",
    version_id=1,
    minimum_version_id=1,
    needed=indicator_changed,
    fields=[UInt32("dr_indicator")],
)


class SpaprDrc(Device):
    """A connector at rest; its instance is its index."""

    description = SPAPR_DRC

    def __init__(self, machine: Machine, kind: DrcType, number: int, attached: bool = False) -> None:
        super().__init__(machine, instance_id=kind.index(number))
        logical = (DrcState.LOGICAL_UNUSABLE, DrcState.LOGICAL_CONFIGURED)
        physical = (DrcState.PHYSICAL_POWERON, DrcState.PHYSICAL_CONFIGURED)
        self.empty_state, self.ready_state = physical if kind.physical else logical
        self.kind, self.number = kind, number
        self.attached = attached
        self.state = self.ready_state if attached else self.empty_state
        self.unplug_requested = False


class SpaprDrcPhysical(Device):
    """The indicator of a PCI slot: on (1) if the slot is occupied, else off (0)."""

    description = SPAPR_DRC_PHYSICAL

    def __init__(self, machine: Machine, kind: DrcType, number: int, attached: bool = False) -> None:
        super().__init__(machine, instance_id=kind.index(number))
        self.attached = attached
        self.dr_indicator = self.rest_indicator

    @property
    def rest_indicator(self) -> int:
        """The indicator after a reset."""
        return int(self.attached)


ConnectorEntry = SaveStateEntry[SpaprDrc | SpaprDrcPhysical]


def connector(
    board: Board, group: Connectors, idstr: str, instance_id: int, attached: bool | None = None
) -> ConnectorEntry | None:
    """Return the connector's section of that name and instance, at rest; None if it is not of this group.

    ``attached``: whether it has a device, if not as now.
    """
    number = group.number(instance_id)
    if number is None:
        return None
    attached = board.attached(group.kind, number) if attached is None else attached
    if idstr == SPAPR_DRC.name:
        drc = SpaprDrc(board.machine, group.kind, number, attached)
        return SaveStateEntry(group.section_id_of(number), drc)
    if idstr == SPAPR_DRC_PHYSICAL.name and group.kind.physical:
        indicator = SpaprDrcPhysical(board.machine, group.kind, number, attached)
        return SaveStateEntry(group.section_id_of(number, indicator=True), indicator)
    return None
