"""One pseries machine: its command line, the decisions of its start, and its state while it runs.

Phases of a start fill it in; rules, hooks and devices read it.  After the start, only the state of a running
QEMU changes: :meth:`Machine.boot` gives each process its own machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import takewhile
from typing import TypeVar

from vmstate.dataclass import dataclass, field
from vmstate.describe.diagnostics import Aborts, Diagnostic, Printed, ends
from vmstate.describe.history import Release
from vmstate.pseries.options import DeviceOption, Global
from vmstate.pseries.tables.accelerators import TCG, Accelerator, Host
from vmstate.pseries.tables.capabilities import Capability, CapabilityAt, LevelCheck
from vmstate.pseries.tables.compat import CompatTable
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import ClassFlags, MachineClass
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.pseries.vio_bus import VioBus
from vmstate.savevm.diagnostics import Checked
from vmstate.savevm.entries import Described, Entry, SaveStateEntry, SaveVMHandlers
from vmstate.savevm.verdict import Check

D = TypeVar("D")
Levels = dict[str, int]
"""Capability levels by name, without ``cap-``."""


_NO_RELEASE = Release(0, 0)


class Refused(Exception):
    """QEMU refuses to start: it prints ``lines`` and exits; ``crashed``: by a failed assertion.

    ``why``: what the lines do not say.
    """

    def __init__(self, *lines: str, crashed: bool = False, why: str = "") -> None:
        super().__init__(*lines)
        self.lines = lines
        self.why = why
        self.crashed = crashed


@dataclass(frozen=True)
class Rules:
    """QEMU's behaviour outside of descriptions; a proposal may replace each rule.

    ``default_levels``: those of the machine type, less those that the processor cannot have
    (``default_caps_with_cpu``).  ``given_levels``: those that count as set on the command line, out of those
    that ``cap-`` options set.  ``effective_levels``: the result of both.  ``cap_needed``: a capability's
    subsection is sent.  ``post_migration``: a destination's comparisons of the incoming (or assumed) levels
    with its own.  ``interrupt_mode``: xics, xive or dual, from the option and the effective levels.
    ``offers_gtse``, ``option_vector_5``: the machine's offer at CAS; ``tells_gtse``: the device tree offers
    tlbie to the guest.  ``arch_compat``: the value that the ioctl for ``KVM_REG_PPC_ARCH_COMPAT`` writes when
    the mode changes from ``old`` to ``new``; None if there is no ioctl.

    :mod:`vmstate.pseries.rules.board` documents the others.
    """

    default_levels: Callable[[Machine], Levels]
    given_levels: Callable[[Machine, Levels], Levels]
    effective_levels: Callable[[Machine, Levels, Levels], Levels]
    cap_needed: Callable[[Machine, CapabilityAt], bool]
    post_migration: Callable[[Machine, Sequence[int]], list[LevelCheck]]
    interrupt_mode: Callable[[Machine, Mapping[str, int]], str]
    offers_gtse: Callable[[Machine], bool]
    tells_gtse: Callable[[Machine], bool]
    option_vector_5: Callable[[Machine], set[Ov5]]
    arch_compat: Callable[[Machine, int, int], int | None]
    dummy_presenters: Callable[[Machine], int]
    presenter_replaces_dummy: Callable[[Machine], bool]
    table_instance: Callable[[Machine, int, int], int]
    starts_radix: Callable[[Machine], bool]
    process_table_refusal: Callable[[Machine, int], str | None]
    pvr_after_load: Callable[[Machine, int, int], int]
    put_registers: Callable[[Machine, int], str | None]
    htab_pass_ends: Callable[[Machine], bool]
    sends_zero_pages: Callable[[Machine], bool]


@dataclass(slots=True)
class Topology:
    """Processors: the present number, the maximum, threads per core, and vcpu ids per core (``vsmt``)."""

    cpus: int = 1
    max_cpus: int = 1
    threads: int = 1
    cores: int = 1
    sockets: int = 1
    vsmt: int = 0

    def vcpu_id(self, index: int) -> int:
        """Return the id, and server number, of the processor with this index (``spapr_vcpu_id``)."""
        return index // self.threads * self.vsmt + index % self.threads

    @property
    def max_servers(self) -> int:
        """The number of server numbers that interrupt controllers need (``spapr_max_server_number``)."""
        return -(-self.max_cpus * self.vsmt // self.threads)


@dataclass(frozen=True, slots=True)
class Written:
    """One ioctl: the value, and True if it failed (with EINVAL)."""

    value: int
    failed: bool = False

    def __str__(self) -> str:
        return f"KVM_REG_PPC_ARCH_COMPAT = 0x{self.value:08x}{': Invalid argument' if self.failed else ''}"


@dataclass
class CompatRegister:
    """``KVM_REG_PPC_ARCH_COMPAT``: the values written to it, in order, and the mode that the guest runs in.

    ``mode``: a logical PVR, 0 for none; None under TCG, where the processor is QEMU's own.
    """

    written: list[Written] = field(default_factory=list)
    mode: int | None = None

    def copy(self) -> CompatRegister:
        """Return another register with the same history."""
        return CompatRegister(list(self.written), self.mode)

    def write(self, handler: str, value: int, *, too_new: bool = False) -> bool:
        """Make the ioctl; return True if it succeeds.

        ``handler``: the kernel's, which is handled, ignored or absent.  ``too_new``: the kernel runs in an
        older mode itself.
        """
        failed = handler == "absent" or (handler == "handled" and too_new)
        self.written.append(Written(value, failed))
        if handler == "handled" and not failed:
            self.mode = value
        return not failed


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive: ``medium``: it is not empty; ``node``: -blockdev made it; ``driver``: its driver, if given.

    ``write_cache``: a write may be complete before it is stored.  ``writable``: it can be written unless it
    is ``read_only``; False if that depends on the image or the host.
    """

    medium: bool = True
    node: bool = False
    driver: str = ""
    read_only: bool = False
    write_cache: bool = True
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """A device plugged into the running machine, or unplugged from it.

    ``backend``: the memory of a plugged module.
    """

    option: DeviceOption
    unplugged: bool = False
    backend: DeviceOption | None = None


def keep_descriptions(entries: Iterable[Entry]) -> None:
    """Leave the descriptions of sections as they are declared."""


@dataclass
class Machine:
    """A machine of one release.

    From the release's program: ``rules``, ``capabilities`` (by index), ``capability_table`` (as declared),
    ``compat_table``. From the machine type: ``type_name``, ``type_version`` (that of upstream's type of the
    same age), ``flags``, ``class_levels`` (default capability levels by name), ``compat_values``. From the
    command line, in order: ``devices``, ``netdevs``, ``serials``, ``chardevs`` (ids), ``drives`` by id,
    ``objects``, ``globals``; ``properties_given``: machine properties that were set; ``default_devices``: no
    ``-nodefaults``; ``default_network``: no ``-net none``; ``memory_backends``: the back ends that are guest
    memory, empty for the default one; ``usb`` and ``vga``: whether the board has a USB controller, and which
    graphics card, None for the default; ``uuid`` and ``guest_name``: the guest's own, if given; ``icount``: a
    shift or auto, None if instructions are not counted; ``icount_sleep``: idle time passes as real time;
    ``guest_memory``: reads the memory in the stream that is loaded, None for an address that it does not
    have.

    Decided while it starts: ``cpu``; ``max_compat``, a logical PVR, and ``compat_pvr`` and ``pcr`` after
    reset; levels and ``given`` (set on the command line) by capability index; ``irq``: xics, xive, dual or
    xics-legacy, after the check against the processor; ``ov5``: the offer at CAS; ``vio``: the VIO bus;
    ``bridges``: the indexes of the PCI host bridges.  Sizes are in bytes.

    ``adapt`` gives sections the descriptions that a proposal changes.

    In each process: ``changes``: devices that were plugged and unplugged since the start, in order;
    ``added_objects``, ``deleted_objects``: objects likewise; ``entries``: the registered sections, in sending
    order; ``diagnostics``: the reports of hooks and the loader, in order; ``trace``: they include every
    check, not only those that failed; ``kvm_compat``; ``xive_connected``: KVM's XIVE device is in use;
    ``nr_servers``: server numbers of interrupt controllers.
    """

    release: Release
    rules: Rules
    capabilities: tuple[CapabilityAt, ...]
    capability_table: tuple[Capability, ...]
    compat_table: CompatTable

    type_name: str = ""
    type_version: Release = _NO_RELEASE
    flags: ClassFlags = field(default_factory=ClassFlags)
    class_levels: Mapping[str, int] = field(default_factory=dict)
    compat_values: Mapping[tuple[str, str], str] = field(default_factory=dict)

    devices: list[DeviceOption] = field(default_factory=list)
    netdevs: list[DeviceOption] = field(default_factory=list)
    serials: list[str] = field(default_factory=list)
    chardevs: list[str] = field(default_factory=list)
    drives: dict[str, Drive] = field(default_factory=dict)
    objects: list[DeviceOption] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    properties_given: tuple[str, ...] = ()
    default_devices: bool = True
    default_network: bool = True
    memory_backends: tuple[DeviceOption, ...] = ()
    usb: bool | None = None
    vga: str | None = None
    uuid: str | None = None
    guest_name: str | None = None
    icount: str | None = None
    guest_memory: Callable[[int, int], bytes | None] | None = None
    icount_sleep: bool = True
    ic_mode: str | None = None
    kernel_irqchip: str | None = None

    accelerator: Accelerator = TCG
    host: Host | None = None
    cpu: CpuAt = field(init=False)
    max_compat: int = 0
    compat_pvr: int = 0
    pcr: int = 0
    default_levels: tuple[int, ...] = ()
    effective_levels: tuple[int, ...] = ()
    given: tuple[bool, ...] = ()
    topology: Topology = field(default_factory=Topology)
    irq: str = ""
    ram_size: int = 512 << 20
    maxram_size: int = 512 << 20
    ram_slots: int = 0
    resize_hpt: str = "default"
    htab_shift: int = 0
    ov5: frozenset[Ov5] = frozenset()
    modern_hotplug_events: bool = True
    suppress_vmdesc: bool = False
    vio: VioBus = field(default_factory=VioBus)
    bridges: list[int] = field(default_factory=lambda: [0])

    adapt: Callable[[Iterable[Entry]], None] = keep_descriptions
    kvm_compat: CompatRegister = field(default_factory=CompatRegister)
    changes: list[Change] = field(default_factory=list)
    added_objects: list[DeviceOption] = field(default_factory=list)
    deleted_objects: list[DeviceOption] = field(default_factory=list)
    entries: list[SaveStateEntry[Described | SaveVMHandlers]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    trace: bool = False
    xive_connected: bool = False
    nr_servers: int = 0

    def become(self, machine_class: MachineClass) -> None:
        """Take a machine type's name, flags and defaults."""
        self.type_name, self.type_version = machine_class.name, machine_class.version
        self.flags = machine_class.flags
        self.class_levels, self.compat_values = machine_class.default_caps, machine_class.compat_values

    def run_on(self, accelerator: Accelerator) -> None:
        """Take an accelerator, and with KVM its host."""
        self.accelerator, self.host = accelerator, accelerator.kvm

    def boot(self, *, trace: bool = False) -> Machine:
        """Return the machine of another process, started the same way."""
        machine = copy(self)
        machine.kvm_compat = self.kvm_compat.copy()
        machine.entries, machine.diagnostics, machine.changes = [], [], []
        machine.added_objects, machine.deleted_objects = [], []
        machine.bridges = list(self.bridges)
        machine.trace = trace
        machine.xive_connected = not self.has_xics
        machine.nr_servers = self.topology.max_servers
        return machine

    @property
    def present(self) -> list[DeviceOption]:
        """The devices of the command line and those plugged later, without those that were unplugged."""
        found = list(self.devices)
        for change in self.changes:
            if change.unplugged:
                found = [one for one in found if one is not change.option]
            else:
                found.append(change.option)
        return found

    def earlier(self, option: DeviceOption) -> list[DeviceOption]:
        """Return the devices that are present before that of ``option``, which may not be plugged yet."""
        return list(takewhile(lambda one: one is not option, self.present))

    def find_object(self, name: str | None) -> DeviceOption | None:
        """Return the object of that id, if it exists now."""
        objects = (*self.objects, *self.added_objects)
        return next((one for one in objects if one.id == name and not self.is_deleted(one)), None)

    def is_deleted(self, backend: DeviceOption) -> bool:
        """Return True for an object that was deleted."""
        return any(one is backend for one in self.deleted_objects)

    def backend_of(self, module: DeviceOption | None) -> DeviceOption:
        """Return the memory of a module that is, or was, plugged."""
        for change in self.changes:
            if change.option is module and change.backend is not None:
                return change.backend
        wanted = None if module is None else module.get("memdev")
        return next(one for one in self.objects if one.id == wanted)

    @property
    def nr_irqs(self) -> int:
        """The number of interrupts of the controllers."""
        return self.flags.nr_xirqs

    @property
    def tcg(self) -> bool:
        """True under TCG."""
        return self.accelerator.name == "tcg"

    @property
    def has_xics(self) -> bool:
        """True if there is a XICS interrupt controller."""
        return self.irq != "xive"

    @property
    def has_xive(self) -> bool:
        """True if there is a XIVE interrupt controller."""
        return self.irq in {"xive", "dual"}

    @property
    def has_default_network(self) -> bool:
        """True if the board has the default network card."""
        return self.default_devices and self.default_network and not self.netdevs

    @property
    def has_screen(self) -> bool:
        """True if the board has a graphics card: by default without -nodefaults, or by ``-vga``."""
        return self.default_devices if self.vga is None else self.vga != "none"

    @property
    def has_usb(self) -> bool:
        """True if the board has a USB controller: as given, else with the default graphics card."""
        return self.default_devices and self.has_screen if self.usb is None else self.usb

    def can_run(self, pvr: int) -> bool:
        """Return True if the processor can run the mode with this logical PVR, under max-cpu-compat."""
        return self.compat_table.check(self.cpu, pvr, 0, self.max_compat)

    def older_than(self, version: str) -> bool:
        """Return True if the machine type is of an older version than this one."""
        return self.type_version < Release.parse(version)

    def level(self, name: str) -> int | None:
        """Return the effective level of a capability; None if this release does not have it."""
        return next((self.effective_levels[c.index] for c in self.capabilities if c.name == name), None)

    def levels_by_name(self) -> Levels:
        """Return the effective levels by a capability's name."""
        return {c.name: level for c, level in zip(self.capabilities, self.effective_levels, strict=True)}

    def device(self, idstr: str, instance_id: int = 0) -> Described | SaveVMHandlers | None:
        """Return the registered section with that name and instance, or None."""
        for entry in self.entries:
            if (entry.device.idstr, entry.device.instance_id) == (idstr, instance_id):
                return entry.device
        return None

    def registered(self, kind: type[D]) -> Iterator[D]:
        """Yield the registered sections of a class, in sending order."""
        return (entry.device for entry in self.entries if isinstance(entry.device, kind))

    def say(self, *lines: str) -> None:
        """Print lines on stderr (error_report)."""
        self.diagnostics.extend(map(Printed, lines))

    @property
    def printed(self) -> list[str]:
        """The lines that hooks and the machine have printed themselves."""
        return [str(diagnostic) for diagnostic in self.diagnostics if isinstance(diagnostic, Printed)]

    def checks(self) -> list[Check]:
        """Return the checks that were kept, in order."""
        return [diagnostic.check for diagnostic in self.diagnostics if isinstance(diagnostic, Checked)]

    def ends(self, line: str | None) -> Aborts:
        """Report QEMU's end, by ``line`` or a signal; return the exception to raise."""
        return ends(self.diagnostics, line)

    def compared(
        self, entry: Entry, rule: str, path: str, incoming: object, local: object, *, passed: bool
    ) -> bool:
        """Report that a hook compared both sides' values; return ``passed``."""
        if self.trace or not passed:
            check = Check(rule, passed, "", entry.idstr, entry.instance_id, None, path, incoming, local)
            self.diagnostics.append(Checked(check))
        return passed
