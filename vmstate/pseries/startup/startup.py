"""A simulated QEMU while it starts: the options that it has read, its machine, its messages."""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import Release
from vmstate.pseries.catalogue import Binary
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption, KeyVal, Opt
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.tables.cpus import CpuAt


@dataclass
class Startup:
    """A QEMU while it starts.  Phases read and change it, in the order of its release.

    ``machine``: the machine, as far as it is decided.  ``levels``: capability levels of ``cap-`` options.
    ``cpu``: the processor that was found; None for one that pseries cannot have.  ``json_devices``: devices
    given as JSON, which are created after the others.  ``json_netdevs``: the number of network back ends
    given as JSON, which are created before the others.
    ``numa``: the parts and texts of ``-numa``.  ``memory_backend``: the machine property.
    ``monitors``: the chardevs and texts of ``-mon``.
    """

    configuration: Configuration
    binary: Binary
    machine: Machine
    messages: list[str] = field(default_factory=list)
    machine_opts: list[Opt] = field(default_factory=list)
    machine_keys: KeyVal = field(default_factory=dict)
    memory_opts: dict[str, str] = field(default_factory=dict)
    memory_text: str = ""
    smp_opts: dict[str, str] | None = None
    accel_opts: list[tuple[str, str]] = field(default_factory=list)
    cpu_option: str | None = None
    json_devices: list[DeviceOption] = field(default_factory=list)
    json_netdevs: int = 0
    numa: list[tuple[list[Opt], str]] = field(default_factory=list)
    memory_backend: str | None = None
    monitors: list[tuple[str, str]] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)
    accel: str | None = None
    kvm_type: str | None = None
    enforce_config_section: bool = False
    cpu: CpuAt | None = None
    rma_size: int = 0

    @property
    def release(self) -> Release:
        """The release of this QEMU."""
        return self.binary.release

    def take_cpu(self, cpu: CpuAt | None) -> None:
        """Take the processor that was found."""
        self.cpu = cpu
        if cpu is not None:
            self.machine.cpu = cpu

    def warn(self, text: str) -> None:
        """Print a warning and go on."""
        self.messages.append(f"warning: {text}")

    def say(self, *lines: str) -> None:
        """Print lines that are not marked as warnings and go on."""
        self.messages.extend(lines)

    def run(self, phases: Sequence[object]) -> None:
        """Run the phases; the first that refuses ends the start."""
        for phase in phases:
            assert callable(phase)
            phase(self)
