"""A possible QEMU 11.2: a machine type, a capability with a default, a subsection."""

from vmstate.describe import Since, Span, UInt64, VMStateDescription
from vmstate.pseries.changes import Subsection
from vmstate.pseries.tables.capabilities import Capability
from vmstate.pseries.tables.machine_class import Difference, MachineType

DEXCR = VMStateDescription(
    "cpu/dexcr", 1, 1, needed=lambda cpu: cpu.machine.level("dexcr") == 1, fields=[UInt64("dexcr")]
)

DECLARATIONS = (
    "11.2.0",
    MachineType("pseries-11.2", None, Span("11.2")),
    Capability("dexcr", "dexcr", 1, Span("11.2")),
    Difference("pseries-11.1", caps={"dexcr": 0}),
    Subsection("cpu", Since("11.2", DEXCR), {"dexcr": 0}),
)
