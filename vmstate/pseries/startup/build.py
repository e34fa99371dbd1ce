"""From a configuration to a machine with everything decided, or to a refusal in QEMU's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from vmstate.describe.history import History, Release
from vmstate.pseries.board.vio_bus import VioDevice
from vmstate.pseries.catalogue import World
from vmstate.pseries.rules.compat_register import CompatRegister
from vmstate.pseries.rules.memory import hash_table_shift
from vmstate.pseries.rules.replaceable import Rules
from vmstate.pseries.startup.acceleration import select_accelerator
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.device_options import (
    apply_cpu_globals,
    check_globals,
    check_modelled,
    check_network,
    create_devices,
)
from vmstate.pseries.startup.machine_and_cpu import (
    parse_cpu_early,
    select_machine,
    warn_deprecated_cpu,
    warn_deprecated_machine,
)
from vmstate.pseries.startup.machine_init import BOARD, RESET
from vmstate.pseries.startup.machine_properties import apply_properties
from vmstate.pseries.startup.read_options import read_options
from vmstate.pseries.startup.startup import DeviceOption, Global, Refused, Startup
from vmstate.pseries.startup.topology import legacy_memory, legacy_smp
from vmstate.pseries.tables.accelerators import Accelerator, Host
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.pseries.tables.compat import CompatTable
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import ClassFlags, GlobalProperty, version_of
from vmstate.pseries.tables.option_vectors import Ov5

Phase = Callable[[Startup], None]


@dataclass(frozen=True, slots=True)
class Topology:
    """Processors: present ones, the most there may be, threads a core, and vcpu ids a core (``vsmt``)."""

    cpus: int
    max_cpus: int
    threads: int
    cores: int
    sockets: int
    vsmt: int

    def vcpu_id(self, index: int) -> int:
        """``spapr_vcpu_id``: the id, and server number, of the processor with this index."""
        return index // self.threads * self.vsmt + index % self.threads

    @property
    def max_servers(self) -> int:
        """``spapr_max_server_number``: how many server numbers interrupt controllers must have."""
        return -(-self.max_cpus * self.vsmt // self.threads)


@dataclass(frozen=True)
class Machine:
    """A machine that has started and waits: all that later parts need to know of it.

    Levels, ``given`` (set on the command line) and ``capabilities`` go by capability index.  ``pcr`` and
    ``compat_pvr`` are those after reset.  ``irq`` is xics, xive, dual or xics-legacy after the check
    against the processor.  ``vio`` lists the VIO bus in order of creation, ``bridges`` the indexes of the
    PCI host bridges.  ``kvm_compat`` is what KVM was told by then.  Sizes are in bytes.
    """

    configuration: Configuration
    name: str
    flags: ClassFlags
    compat_properties: tuple[GlobalProperty, ...]
    accelerator: Accelerator
    cpu: CpuAt
    max_compat: int
    compat_pvr: int
    pcr: int
    compat_table: CompatTable
    capabilities: tuple[CapabilityAt, ...]
    default_levels: tuple[int, ...]
    effective_levels: tuple[int, ...]
    given: tuple[bool, ...]
    topology: Topology
    ic_mode: str | None
    kernel_irqchip: str | None
    properties_given: tuple[str, ...]
    irq: str
    nr_irqs: int
    ram_size: int
    maxram_size: int
    ram_slots: int
    resize_hpt: str
    htab_shift: int
    ov5: frozenset[Ov5]
    modern_hotplug_events: bool
    suppress_vmdesc: bool
    default_devices: bool
    devices: tuple[DeviceOption, ...]
    netdevs: tuple[DeviceOption, ...]
    serials: tuple[str, ...]
    objects: tuple[DeviceOption, ...]
    vio: tuple[VioDevice, ...]
    bridges: tuple[int, ...]
    globals: tuple[Global, ...]
    kvm_compat: CompatRegister

    @property
    def release(self) -> Release:
        """The QEMU release that runs it."""
        return self.configuration.release

    @cached_property
    def world(self) -> World:
        """Everything that is declared where the machine lives."""
        return self.configuration.world

    # What rules see of a machine that runs (MachineView); kept, as every instance asks.

    @cached_property
    def rules(self) -> Rules:
        """The rules of its world."""
        return self.configuration.world.rules

    @property
    def type_name(self) -> str:
        """The machine type."""
        return self.name

    @cached_property
    def tcg(self) -> bool:
        """Whether this is TCG."""
        return self.accelerator.name == "tcg"

    @cached_property
    def host(self) -> Host | None:
        """The KVM host; None under TCG."""
        return self.accelerator.kvm

    def can_run(self, pvr: int) -> bool:
        """Whether the processor can run the mode ``pvr`` under max-cpu-compat."""
        return self.compat_table.check(self.cpu, pvr, 0, self.max_compat)

    def older_than(self, version: str) -> bool:
        """Whether the machine type is of an older version than this one."""
        return version_of(self.name) < Release.parse(version)

    @cached_property
    def has_xics(self) -> bool:
        """Whether there is a XICS interrupt controller."""
        return self.irq != "xive"

    @cached_property
    def has_xive(self) -> bool:
        """Whether there is a XIVE interrupt controller."""
        return self.irq in {"xive", "dual"}

    def level(self, name: str) -> int | None:
        """The effective level of a capability, None if this release does not have it."""
        return next((self.effective_levels[c.index] for c in self.capabilities if c.name == name), None)


@dataclass(frozen=True)
class Start:
    """How starting went: a machine, or none if QEMU refused; what it printed and told KVM either way."""

    machine: Machine | None
    messages: tuple[str, ...]
    crashed: bool = False
    kvm_compat: CompatRegister = field(default_factory=CompatRegister)

    @property
    def refused(self) -> bool:
        """Whether QEMU gave up."""
        return self.machine is None


def _board(start: Startup) -> None:
    start.run(BOARD.at(start.release))


def _reset(start: Startup) -> None:
    start.run(RESET.at(start.release))


_CHOICE = (select_accelerator, warn_deprecated_machine, parse_cpu_early, warn_deprecated_cpu)
_BOARD = (_board, apply_cpu_globals, create_devices, check_network)
_FIRST = (read_options, check_modelled, select_machine)
_BEFORE_7_1 = (*_FIRST, legacy_memory)

#: The order of a start, by release (vl.c ``main``, later ``qemu_init``).
PHASES: History[tuple[Phase, ...]] = History(
    (*_BEFORE_7_1, legacy_smp, apply_properties, select_accelerator, *_BOARD, _reset, check_globals),
    ("2.11", (*_BEFORE_7_1, legacy_smp, apply_properties, *_CHOICE, *_BOARD, _reset, check_globals)),
    ("6.0", (*_BEFORE_7_1, legacy_smp, apply_properties, *_CHOICE, *_BOARD, check_globals, _reset)),
    ("6.1", (*_BEFORE_7_1, apply_properties, *_CHOICE, *_BOARD, check_globals, _reset)),
    ("7.1", (*_FIRST, apply_properties, *_CHOICE, *_BOARD, check_globals, _reset)),
)


def build(configuration: Configuration) -> Start:
    """Start a QEMU as configured, as far as its first reset.

    Raises ConfigurationError for what we do not model.
    """
    start = Startup(configuration, configuration.world.binary(configuration.release))
    try:
        start.run(PHASES.at(start.release))
    except Refused as refusal:
        messages = (*start.messages, *refusal.lines)
        return Start(None, messages, refusal.crashed, start.kvm_compat)
    return Start(_machine(start), tuple(start.messages), kvm_compat=start.kvm_compat)


def _machine(start: Startup) -> Machine:
    settings, flags, cpu = start.settings, start.type.flags, start.processor
    compat = start.binary.compat
    return Machine(
        configuration=start.configuration,
        name=start.machine_name,
        flags=_with_migration_globals(flags, start),
        compat_properties=start.type.compat,
        accelerator=start.accelerator,
        cpu=cpu,
        max_compat=settings.max_compat,
        compat_pvr=settings.max_compat,
        pcr=compat.pcr(cpu, settings.max_compat),
        compat_table=compat,
        capabilities=start.binary.capabilities,
        default_levels=tuple(start.default_levels),
        effective_levels=tuple(start.effective_levels),
        given=tuple(start.given),
        topology=Topology(
            settings.cpus,
            settings.max_cpus,
            settings.threads,
            settings.cores,
            settings.sockets,
            settings.vsmt,
        ),
        ic_mode=settings.ic_mode,
        kernel_irqchip=settings.kernel_irqchip,
        properties_given=start.properties_given,
        irq=settings.irq,
        nr_irqs=flags.nr_xirqs,
        ram_size=settings.ram_size,
        maxram_size=settings.maxram_size,
        ram_slots=settings.ram_slots,
        resize_hpt=settings.resize_hpt,
        htab_shift=hash_table_shift(_hash_memory(start)),
        ov5=frozenset(start.rules.option_vector_5(start)),
        modern_hotplug_events=settings.modern_hotplug_events,
        suppress_vmdesc=settings.suppress_vmdesc,
        default_devices=start.default_devices,
        devices=tuple(start.devices),
        netdevs=tuple(start.netdevs),
        serials=tuple(start.serials),
        objects=tuple(start.objects),
        vio=tuple(start.vio.devices),
        bridges=tuple(start.bridges),
        globals=tuple(start.globals),
        kvm_compat=start.kvm_compat,
    )


def _hash_memory(start: Startup) -> int:
    """How much memory the hash table is made for: all there may be, unless it can grow (2.10 on)."""
    settings = start.settings
    if settings.resize_hpt in {"default", "disabled"}:
        return settings.maxram_size
    return settings.ram_size


def _with_migration_globals(flags: ClassFlags, start: Startup) -> ClassFlags:
    given: dict[str, Any] = {
        default.prop.replace("-", "_"): default.value in {"on", "yes", "true"}
        for default in start.globals
        if default.driver == "migration"
    }
    return replace(flags, **given) if given else flags
