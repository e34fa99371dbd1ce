"""The sections that a machine registers, their order and their ids.

A section id is the count of registrations so far.  Hundreds of connectors that are never sent count too, so
this module follows the order in which a release makes its devices call by call: hw/ppc/spapr.c
``spapr_machine_init``, and softmmu/vl.c around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmstate.describe.history import History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board, RamBlock, Registered
from vmstate.pseries.board.connectors import Connectors, DrcType
from vmstate.pseries.board.pci_bus import PciSlots, reset_bridges
from vmstate.pseries.board.properties import number_of
from vmstate.pseries.device_tree.root import device_tree, device_tree_size
from vmstate.pseries.devices import drivers
from vmstate.pseries.devices.cpu.cpu import Cpu
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.cpu.spapr_cpu import SpaprCpu
from vmstate.pseries.devices.host import inactive
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.devices.host.libslirp import LibSlirp
from vmstate.pseries.devices.host.ram import Ram
from vmstate.pseries.devices.host.slirp import Slirp
from vmstate.pseries.devices.host.timer import Timers
from vmstate.pseries.devices.interrupts.xics import DummyIcp, Icp, Ics
from vmstate.pseries.devices.interrupts.xive import SpaprXive, XiveSource, XiveTctx
from vmstate.pseries.devices.spapr import spapr_watchdog
from vmstate.pseries.devices.spapr.htab import Htab
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.devices.spapr.spapr_drc import SPAPR_DRC, ConnectorEntry
from vmstate.pseries.devices.spapr.spapr_drc import connector as connector_of
from vmstate.pseries.devices.spapr.spapr_rtc import SpaprRtc
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.recorded_devices import find_driver, is_graphics
from vmstate.pseries.rules.memory import block_name, block_size, hash_table_shift

Step = Callable[[Board], None]

LMB_SIZE = 1 << 28
MAX_PHBS = 31

BLOCK = Span(until=inactive.BLOCK_UNTIL)
DIRTY_BITMAPS = Span(since=inactive.DIRTY_BITMAP_SINCE)
NVDIMM = Span(since="5.0")
SLIRP_NUMBERED = Span(since="8.2")  # before, all stacks had instance 0
LIBSLIRP = Span(since="4.0")  # before, migration/vmstate.c loaded the stack
PHB_HOTPLUG = Span(since="4.0")
CPU_CORE_STATE = Span(since="3.0")


def register(machine: Machine) -> list[Registered]:
    """Return the sections that a machine may send, in sending order, with their ids.

    ``machine``: a built machine with a ``console``.  Connectors, which send nothing at rest, are counted
    but not listed: :func:`connector` finds one.
    """
    return build(machine).sections()


def connector(
    board: Board, idstr: str, instance_id: int, attached: bool | None = None
) -> ConnectorEntry | None:
    """Return the hotplug connector with that name and instance, at rest; None if the machine has none.

    ``attached``: whether it has a device, if not as now.
    """
    if not idstr.startswith(SPAPR_DRC.name):
        return None
    found = (connector_of(board, group, idstr, instance_id, attached) for group in board.connectors)
    return next((entry for entry in found if entry is not None), None)


def build(machine: Machine) -> Board:
    """Build the board of a machine, with all its devices, those that were plugged later at the end."""
    board = Board(machine)
    for step in ORDER.at(machine.release):
        step(board)
    for change in machine.changes:
        if change.unplugged:
            board.unplug(change.option)
        else:
            plug(board, change.option)
    _finish(board)
    _check_names(board)
    return board


def _check_names(board: Board) -> None:
    """Do not judge two cards whose memory has one name, as in old types: QEMU ends (``ram_block_add``)."""
    names = [block.name for block in board.ram_blocks]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NotModelled(f"two RAM blocks named {twice}: not modelled")


def plug(board: Board, option: DeviceOption) -> None:
    """Plug the device of an option."""
    with board.plugging(option):
        if option.driver.endswith("-spapr-cpu-core"):
            _plug_core(board, number_of(option, "core-id", 0))
        else:
            driver = find_driver(option.driver, board.machine)
            assert driver is not None  # it was checked
            driver.plug(board, option)


# ---- around the machine


def _timers(board: Board) -> None:
    board.add(Timers(board.machine))


def _colo(board: Board) -> None:
    board.add(inactive.ColoState(board.machine))


def _network(board: Board) -> None:
    """Add the user-mode network stacks: the default one, or those of ``-netdev user``."""
    machine = board.machine
    count = sum(netdev.driver == "user" for netdev in machine.netdevs)
    if machine.has_default_network:
        count += 1
    for _ in range(count):
        numbered = SLIRP_NUMBERED.covers(machine.release)
        kind = LibSlirp if LIBSLIRP.covers(machine.release) else Slirp
        board.add(kind(machine, board.new_instance("slirp") if numbered else 0))


def _live(board: Board) -> None:
    """Add what is sent while the machine runs: disks, memory, bitmaps."""
    machine = board.machine
    if BLOCK.covers(machine.release):
        board.add(inactive.BlockMigration(machine))
    board.reserve("ram")
    if DIRTY_BITMAPS.covers(machine.release):
        board.add(inactive.DirtyBitmaps(machine))


def _options(board: Board) -> None:
    for option in board.machine.devices:
        plug(board, option)


def _plug_core(board: Board, first: int) -> None:
    """Plug a core of ``-device``; its connector exists already."""
    presenters = PRESENTERS.at(board.machine.release)
    board.cores.add(board.machine.topology.vcpu_id(first))
    for index in range(first, first + board.machine.topology.threads):
        _processor(board, index, presenters)


def _global_state(board: Board) -> None:
    board.add(GlobalState(board.machine))


# ---- the machine


def _interrupt_controllers(board: Board) -> None:
    machine = board.machine
    if machine.has_xics:
        board.reserve("ics")
    if machine.has_xive:
        board.add(XiveSource(machine))
        board.reserve("spapr-xive")


def _all_presenters(board: Board) -> None:
    """Add a presenter for every possible processor, as releases up to 2.9 do."""
    for index in range(board.machine.topology.max_servers):
        board.add(Icp(board.machine, index))


def _dummy_presenters(board: Board) -> None:
    """Add dummies that accept the presenters of absent processors from 2.9."""
    machine = board.machine
    if not machine.flags.pre_2_10_has_unused_icps:
        return
    present = {*range(machine.topology.cpus), *_plugged_later(machine)}
    for index in range(machine.rules.dummy_presenters(machine)):
        if index in present:
            board.skip(1)  # removed when the processor was plugged
        else:
            board.add(DummyIcp(machine, index))


def _plugged_later(machine: Machine) -> Iterator[int]:
    """Yield the indexes of the processors of ``-device …-spapr-cpu-core``."""
    for option in machine.devices:
        if option.driver.endswith("-spapr-cpu-core"):
            first = number_of(option, "core-id", 0)
            yield from range(first, first + machine.topology.threads)


def _processors(board: Board) -> None:
    machine = board.machine
    topology = machine.topology
    presenters = PRESENTERS.at(machine.release)
    for first in range(0, topology.max_cpus, topology.threads):
        present = first < topology.cpus
        if machine.flags.has_hotpluggable_cpus:
            board.connect(Connectors(DrcType.CPU, topology.vcpu_id(first), 1))
        if present:
            board.cores.add(topology.vcpu_id(first))
        for index in range(first, min(first + topology.threads, topology.cpus)):
            _processor(board, index, presenters)


def _processor(board: Board, index: int, presenters: tuple[str, ...]) -> None:
    machine = board.machine
    common = CpuCommon(machine, index)
    board.add(common)
    board.add(Cpu(machine, common))
    for presenter in presenters:
        if presenter == "icp" and board.machine.has_xics:
            board.add(Icp(machine, index))
        elif presenter == "tctx" and board.machine.has_xive:
            tctx = XiveTctx(machine, index)
            tctx.instance_id = board.new_instance("xive-tctx")
            board.add(tctx)
    if CPU_CORE_STATE.covers(machine.release) and not machine.flags.core_pre_3_0_migration:
        board.add(SpaprCpu(machine, index))


#: The presenters of a processor, in order of creation; from 9.2 on, the XICS one was missing for a while.
PRESENTERS: History[tuple[str, ...]] = History(
    (),
    ("2.10", ("icp",)),
    ("4.0", ("tctx", "icp")),
    ("4.2", ("icp", "tctx")),
    ("9.2", ("tctx",)),
    (("10.0.5", "10.1.1", "10.2"), ("icp", "tctx")),
)


def _memory_connectors(board: Board) -> None:
    machine = board.machine
    if machine.flags.dr_lmb_enabled:
        first = -(-machine.ram_size // (1 << 30)) << 2
        count = (machine.maxram_size - machine.ram_size) // LMB_SIZE
        board.connect(Connectors(DrcType.LMB, first, count))
    if NVDIMM.covers(machine.release) and machine.flags.nvdimm_supported:
        board.connect(Connectors(DrcType.PMEM, 0, machine.ram_slots))


def _rtc(board: Board) -> None:
    board.add(SpaprRtc(board.machine))


def _vio(board: Board) -> None:
    """Plug the board's own devices: terminals, then the non-volatile memory."""
    for placed in board.machine.vio.devices:
        drivers()[placed.driver].plug(board, None)
        if placed.driver == "spapr-nvram":
            return


def _bridge_connectors(board: Board) -> None:
    if PHB_HOTPLUG.covers(board.machine.release) and board.machine.flags.dr_phb_enabled:
        board.connect(Connectors(DrcType.PHB, 0, MAX_PHBS))


def _bridge(board: Board) -> None:
    drivers()["spapr-pci-host-bridge"].plug(board, None)


def default_devices(machine: Machine) -> list[str]:
    """Return the devices made by default: network card, SCSI with a CD drive, graphics card, USB.

    A graphics card of ``-device`` replaces the default one, but is plugged later.  ``-vga`` and ``-usb`` ask
    for theirs in any case; a keyboard and a mouse come with USB if there is a graphics card.
    """
    if not (machine.default_devices or machine.usb or machine.vga):
        return []
    names = []
    if machine.default_devices:
        names += ["spapr-vlan"] if machine.has_default_network else []
        names += ["spapr-vscsi", "scsi-cd"]
    vga = machine.vga
    given = any(is_graphics(one.driver, machine) for one in machine.devices)
    if vga == "std" or (vga is None and machine.default_devices and not given):
        names.append("VGA")
    if machine.has_usb:
        names.append("pci-ohci" if machine.flags.use_ohci_by_default else "nec-usb-xhci")
        names += ["usb-kbd", "usb-mouse"] if machine.has_screen or (given and vga is None) else []
    return names


def _default_devices(board: Board) -> None:
    for name in default_devices(board.machine):
        drivers()[name].plug(board, None)


def _spapr(board: Board) -> None:
    machine = board.machine
    board.add(Spapr(machine, lambda: device_tree(board), lambda: device_tree_size(board)))
    board.reserve("spapr/htab")


def _watchdogs(board: Board) -> None:
    for number in range(spapr_watchdog.TIMERS):
        board.add(spapr_watchdog.SpaprWatchdog(board.machine, number))


def _finish(board: Board) -> None:
    """Fill in what depends on all devices: bridges, memory blocks, the interrupts in use."""
    machine = board.machine
    for bus in board.buses.root.inner:
        if isinstance(bus, PciSlots):
            reset_bridges(bus)
    board.fill("ram", Ram(machine, memory_blocks(board)))
    radix = machine.rules.starts_radix(machine)
    board.fill("spapr/htab", Htab(machine, 0 if radix else _hash_table_shift(board)))
    if machine.has_xics:
        board.fill("ics", Ics(machine, board.numbers.lsi))
    if machine.has_xive:
        board.fill("spapr-xive", SpaprXive(machine, board.numbers.lsi))


def memory_blocks(board: Board) -> list[RamBlock]:
    """Return the RAM blocks in order of creation: those of back ends, the machine's own, those of devices.

    Those of back ends that were created later come at the end.
    """
    machine = board.machine
    own = [RamBlock(block_name(machine, one), block_size(one)) for one in machine.memory_backends]
    blocks = [*(own or [RamBlock("ppc_spapr.ram", machine.ram_size)]), *board.ram_blocks]
    first, later = (
        [block_name(machine, one) for one in objects] for objects in (machine.objects, machine.added_objects)
    )

    def place(block: RamBlock) -> tuple[int, int]:
        if block.name in first:
            return 0, first.index(block.name)
        return (2, later.index(block.name)) if block.name in later else (1, 0)

    return sorted(blocks, key=place) if first or later else blocks


def _hash_table_shift(board: Board) -> int:
    """Return the shift of the table after reset, sized for memory modules too if it can be resized."""
    machine = board.machine
    if not board.plugged_memory or machine.resize_hpt == "disabled":
        return int(machine.htab_shift)
    return hash_table_shift(machine.ram_size + board.plugged_memory)


_HARDWARE_2_9: tuple[Step, ...] = (_interrupt_controllers, _all_presenters, _processors)
_HARDWARE: tuple[Step, ...] = (_interrupt_controllers, _dummy_presenters, _processors)
_BOARD: tuple[Step, ...] = (
    *(_memory_connectors, _rtc, _vio, _bridge_connectors, _bridge, _default_devices, _spapr),
)
_END: tuple[Step, ...] = (_options, _global_state)
_NEWEST: tuple[Step, ...] = (*_HARDWARE, *_BOARD, _watchdogs, *_END)

#: The steps of building a board, in order, by release.
ORDER: History[tuple[Step, ...]] = History(
    (_timers, _colo, _network, _live, *_HARDWARE_2_9, *_BOARD, *_END),
    ("2.10", (_timers, _colo, _network, _live, *_HARDWARE, *_BOARD, *_END)),
    (inactive.COLO_UNTIL, (_timers, _network, _live, *_HARDWARE, *_BOARD, *_END)),
    ("6.0", (_timers, _live, _network, *_HARDWARE, *_BOARD, *_END)),
    (spapr_watchdog.SINCE, (_timers, _live, _network, *_NEWEST)),
    ("10.0", (_timers, _network, _live, *_NEWEST)),
)
