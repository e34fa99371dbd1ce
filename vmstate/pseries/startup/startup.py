"""The start of a simulated QEMU: what it has decided so far, what it has printed, and how it gives up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vmstate.describe.history import Release
from vmstate.pseries.board.vio_bus import VioBus
from vmstate.pseries.catalogue import Binary
from vmstate.pseries.options import KeyVal, Opt
from vmstate.pseries.refused import Refused
from vmstate.pseries.rules.compat_register import CompatRegister
from vmstate.pseries.rules.replaceable import Rules
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.tables.accelerators import TCG, Accelerator, Host
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import ClassFlags, MachineClass, version_of

__all__ = ["DeviceOption", "Global", "Refused", "Settings", "Startup"]


@dataclass(frozen=True, slots=True)
class Global:
    """A ``-global``: a default for a property of a class.  ``own`` if -cpu made it."""

    driver: str
    prop: str
    value: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class DeviceOption:
    """A ``-device`` or ``-netdev``: its driver (or type), its properties in order, how it was written."""

    driver: str
    properties: tuple[Opt, ...]
    text: str

    def get(self, name: str, default: str | None = None) -> str | None:
        """The last value given for a property."""
        for opt in reversed(self.properties):
            if opt.name == name:
                return opt.value
        return default

    @property
    def id(self) -> str | None:
        """The id given, if any."""
        return self.get("id")


@dataclass
class Settings:
    """What machine properties and their like have set so far; None means not given.

    ``given``: the machine properties that were set, in that order.
    """

    given: list[str] = field(default_factory=list)
    levels: dict[str, int] = field(default_factory=dict)
    max_compat: int = 0
    ic_mode: str | None = None
    irq: str = ""
    vsmt: int = 0
    resize_hpt: str = "default"
    modern_hotplug_events: bool = True
    suppress_vmdesc: bool = False
    enforce_config_section: bool = False
    kernel_irqchip: str | None = None
    accel: str | None = None
    kvm_type: str | None = None
    ram_size: int = 512 << 20
    maxram_size: int = 512 << 20
    ram_slots: int = 0
    cpus: int = 1
    cores: int = 1
    threads: int = 1
    sockets: int = 1
    max_cpus: int = 1


@dataclass
class Startup:
    """A QEMU while it starts.  Phases read and change it in the order that its release has them."""

    configuration: Configuration
    binary: Binary
    messages: list[str] = field(default_factory=list)
    machine_opts: list[Opt] = field(default_factory=list)
    machine_keys: KeyVal = field(default_factory=dict)
    memory_opts: dict[str, str] = field(default_factory=dict)
    memory_text: str = ""
    smp_opts: dict[str, str] | None = None
    accel_opts: list[tuple[str, str]] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    devices: list[DeviceOption] = field(default_factory=list)
    netdevs: list[DeviceOption] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)
    chardevs: list[str] = field(default_factory=list)
    drives: list[str] = field(default_factory=list)
    objects: list[DeviceOption] = field(default_factory=list)
    vio: VioBus = field(default_factory=VioBus)
    bridges: list[int] = field(default_factory=lambda: [0])
    cpu_option: str | None = None
    default_devices: bool = True
    machine_name: str = ""
    machine_class: MachineClass | None = None
    settings: Settings = field(default_factory=Settings)
    accelerator: Accelerator = TCG
    cpu: CpuAt | None = None
    default_levels: list[int] = field(default_factory=list)
    effective_levels: list[int] = field(default_factory=list)
    given: list[bool] = field(default_factory=list)
    rma_size: int = 0
    kvm_compat: CompatRegister = field(default_factory=CompatRegister)

    @property
    def release(self) -> Release:
        """The release of this QEMU."""
        return self.binary.release

    @property
    def type(self) -> MachineClass:
        """The machine class, once it is selected."""
        assert self.machine_class is not None
        return self.machine_class

    @property
    def processor(self) -> CpuAt:
        """The processor, once it is found."""
        assert self.cpu is not None
        return self.cpu

    # What rules see of a machine that starts (vmstate.pseries.rules.replaceable.MachineView).

    @property
    def rules(self) -> Rules:
        """The rules of its world."""
        return self.binary.world.rules

    @property
    def type_name(self) -> str:
        """The machine type, once it is selected."""
        return self.type.name

    @property
    def flags(self) -> ClassFlags:
        """What the machine type switches."""
        return self.type.flags

    @property
    def class_levels(self) -> Mapping[str, int]:
        """The machine type's default levels."""
        return self.type.default_caps

    @property
    def capabilities(self) -> tuple[CapabilityAt, ...]:
        """The release's capabilities, by index."""
        return self.binary.capabilities

    @property
    def tcg(self) -> bool:
        """Whether this is TCG."""
        return self.accelerator.name == "tcg"

    @property
    def host(self) -> Host | None:
        """The KVM host; None under TCG."""
        return self.accelerator.kvm

    @property
    def ic_mode(self) -> str | None:
        """The option ``ic-mode`` as given."""
        return self.settings.ic_mode

    @property
    def properties_given(self) -> tuple[str, ...]:
        """The machine properties that were set, in that order."""
        return tuple(self.settings.given)

    @property
    def kernel_irqchip(self) -> str | None:
        """The option ``kernel-irqchip`` as given."""
        return self.settings.kernel_irqchip

    def can_run(self, pvr: int) -> bool:
        """Whether the processor can run the mode ``pvr`` under max-cpu-compat."""
        return self.binary.compat.check(self.processor, pvr, 0, self.settings.max_compat)

    def older_than(self, version: str) -> bool:
        """Whether the machine type is of an older version than this one."""
        return version_of(self.type.name) < Release.parse(version)

    def warn(self, text: str) -> None:
        """Print a warning and go on."""
        self.messages.append(f"warning: {text}")

    def say(self, *lines: str) -> None:
        """Print something that is not marked as a warning and go on."""
        self.messages.extend(lines)

    def run(self, phases: Sequence[object]) -> None:
        """Go through the phases; the first that refuses ends the start."""
        for phase in phases:
            assert callable(phase)
            phase(self)
