"""What-if: a proposed release, described by its differences from an existing one."""

from __future__ import annotations

from vmstate.describe import Since, UInt8, UInt16, UInt32, UInt64, VMStateDescription
from vmstate.describe.history import Span
from vmstate.proposals.proposal import Proposal
from vmstate.pseries.changes import Subsection
from vmstate.pseries.machine import Refused
from vmstate.pseries.tables.accelerators import GTSE_OFF, GTSE_ON, Host
from vmstate.pseries.tables.capabilities import Capability, Kind
from vmstate.pseries.tables.capability_apply import Applying, CapabilityRefused
from vmstate.pseries.tables.compat import LOGICAL_2_06, LOGICAL_2_07, LOGICAL_3_00, LOGICAL_3_10
from vmstate.pseries.tables.machine_class import Difference, MachineType
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.pseries.tables.packages import Package

__all__ = [
    "GTSE_OFF",
    "GTSE_ON",
    "LOGICAL_2_06",
    "LOGICAL_2_07",
    "LOGICAL_3_00",
    "LOGICAL_3_10",
    "Applying",
    "Capability",
    "CapabilityRefused",
    "Difference",
    "Host",
    "Kind",
    "MachineType",
    "Ov5",
    "Package",
    "Proposal",
    "Refused",
    "Since",
    "Span",
    "Subsection",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "VMStateDescription",
]
