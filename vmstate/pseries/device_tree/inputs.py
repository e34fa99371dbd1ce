"""Everything that the device tree of a machine depends on, in one hashable value."""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.connectors import Connectors
from vmstate.pseries.device_tree.pci_inputs import PciInputs, pci_inputs
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.host import spapr_rng
from vmstate.pseries.devices.pci.spapr_pci import BASE_BUID, SpaprPci
from vmstate.pseries.devices.spapr.htab import Htab
from vmstate.pseries.devices.vio.spapr_vio import SpaprVio
from vmstate.pseries.machine import Machine
from vmstate.pseries.recorded_devices import is_graphics
from vmstate.pseries.tables.compat import LOGICAL_2_06, LOGICAL_2_07, LOGICAL_3_00, LOGICAL_3_10
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import ClassFlags
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.savevm.entries import Entry

_LEVELS = ((206, LOGICAL_2_06), (207, LOGICAL_2_07), (300, LOGICAL_3_00), (310, LOGICAL_3_10))


@dataclass(frozen=True, slots=True)
class VioInputs:
    """A device on the VIO bus: the name of its kind, unit address, interrupt, DMA window, MAC address."""

    kind: str
    reg: int
    irq: int
    window: int
    mac: bytes = b""


@dataclass(frozen=True, slots=True)
class BridgeInputs:
    """A PCI host bridge: index, its four line interrupts, its devices (by device and function)."""

    index: int
    lsi: tuple[int, ...]
    devices: tuple[PciInputs, ...] = ()


@dataclass(frozen=True, slots=True)
class Cores:
    """Processors: the first one of every present core, the maximum, threads per core.

    ``seen_threads``: the number of threads that a guest may see.
    ``cores``: cores per socket.  ``vsmt``: ids per core.  ``servers``: the number of ids.
    """

    present: tuple[int, ...]
    max_cpus: int
    threads: int
    seen_threads: int
    cores: int
    vsmt: int
    servers: int


@dataclass(frozen=True, slots=True)
class TreeInputs:
    """All inputs of a device tree.

    ``levels`` are the effective capabilities by name, ``modes`` the ISA levels of the compatibility modes
    that processors may have.  ``vio`` is in order of addresses; sizes are in bytes.
    """

    release: Release
    flags: ClassFlags
    cpu: CpuAt
    compat_pvr: int
    cores: Cores
    ram_size: int
    maxram_size: int
    htab_shift: int
    resize_hpt: bool
    has_xics: bool
    has_xive: bool
    hotplug_events: bool
    kvm: bool
    kvm_radix: bool
    kvm_hash: bool
    tells_gtse: bool
    graphics: bool
    uuid: str | None
    guest_name: str | None
    random: bool
    levels: tuple[tuple[str, int], ...]
    modes: tuple[int, ...]
    vio: tuple[VioInputs, ...]
    bridges: tuple[BridgeInputs, ...]
    connectors: tuple[Connectors, ...]

    def level(self, name: str) -> int:
        """Return the effective level of a capability; 0 if the release does not have it."""
        return next((level for known, level in self.levels if known == name), 0)


def tree_inputs(board: Board) -> TreeInputs:
    """Collect the inputs from a machine and the devices on its board."""
    machine = board.machine
    devices = [entry.device for entry in board.entries]
    host, levels = machine.accelerator.kvm, machine.effective_levels
    return TreeInputs(
        release=machine.release,
        flags=machine.flags,
        cpu=machine.cpu,
        compat_pvr=machine.compat_pvr,
        cores=_cores(machine, devices),
        ram_size=machine.ram_size,
        maxram_size=machine.maxram_size,
        htab_shift=next(one.shift for one in devices if isinstance(one, Htab)),
        resize_hpt=Ov5.HPT_RESIZE in machine.ov5,
        has_xics=machine.has_xics,
        has_xive=machine.has_xive,
        hotplug_events=machine.modern_hotplug_events,
        kvm=host is not None,
        kvm_radix=host is not None and host.radix,
        kvm_hash=host is None or host.hash_v3 or not host.radix,
        tells_gtse=machine.rules.tells_gtse(machine),
        graphics=machine.has_screen
        or (machine.vga is None and any(is_graphics(option.driver, machine) for option in machine.devices)),
        uuid=machine.uuid,
        guest_name=machine.guest_name,
        random=any(option.driver == spapr_rng.NAME for option in machine.devices),
        levels=tuple((one.name, levels[one.index]) for one in machine.capabilities),
        modes=_modes(machine),
        vio=_vio(machine, devices),
        bridges=_bridges(devices, board.ram_blocks),
        connectors=tuple(board.connectors),
    )


def _vio(machine: Machine, devices: Iterable[Entry]) -> tuple[VioInputs, ...]:
    """Return the devices on the bus, in order of addresses."""
    found = {one.reg: one for one in devices if isinstance(one, SpaprVio)}
    return tuple(
        VioInputs(
            one.path.partition("@")[0],
            one.reg,
            one.irq,
            found[one.reg].rtce_window_size,
            getattr(found[one.reg], "mac", b""),
        )
        for one in sorted(machine.vio.devices, key=lambda one: one.reg)
    )


def _modes(machine: Machine) -> tuple[int, ...]:
    """Return the levels that the processors can run at and may run at, oldest first."""
    check = machine.compat_table.check
    return tuple(level for level, pvr in _LEVELS if check(machine.cpu, pvr, 0, machine.compat_pvr))


def _cores(machine: Machine, devices: Iterable[Entry]) -> Cores:
    shape = machine.topology
    indices = (one.instance_id for one in devices if isinstance(one, CpuCommon))
    return Cores(
        present=tuple(index for index in indices if index % shape.threads == 0),
        max_cpus=shape.max_cpus,
        threads=shape.threads,
        seen_threads=_most_threads(machine),
        cores=shape.cores,
        vsmt=shape.vsmt,
        servers=shape.max_servers,
    )


def _most_threads(machine: Machine) -> int:
    """Return the number of a core's threads that the mode shows to a guest (ppc_compat_max_vthreads)."""
    threads: int = machine.topology.threads
    if not machine.compat_pvr:
        return threads
    table = machine.compat_table
    most: int = table.modes[table.index[machine.compat_pvr]].max_vthreads
    return min(threads, most)


def _bridges(devices: Iterable[Entry], memory: Iterable[RamBlock]) -> tuple[BridgeInputs, ...]:
    plugged = pci_inputs(devices, memory)
    return tuple(
        BridgeInputs(
            one.buid - BASE_BUID, tuple(line.irq for line in one.lsi_table), plugged.get(one.buid, ())
        )
        for one in devices
        if isinstance(one, SpaprPci)
    )
