"""``spapr_pci``: a PCI host bridge (hw/ppc/spapr_pci.c)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import (
    Allocated,
    Field,
    History,
    Int32,
    Record,
    Struct,
    UInt32,
    UInt32Equal,
    UInt64,
    UInt64Equal,
    Until,
    VMStateDescription,
)
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.connectors import Connectors, DrcType
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.interrupts import PCI_NUM_PINS
from vmstate.pseries.board.pci_bus import FUNCTIONS, HOST_BRIDGE, PciSlots
from vmstate.pseries.board.properties import Property, harmless, not_modelled, number_of
from vmstate.pseries.devices.interrupts.spapr_irq import free_msi
from vmstate.pseries.devices.pci.pci_bus import PciBus
from vmstate.pseries.devices.pci.spapr_iommu import PHB_WINDOW_SIZE, SpaprIommu, add_window, pci_liobn
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption, parse_number


def msi_post_load(phb: SpaprPci, version_id: int) -> int:
    """Put the list into the table, which stays if the section is loaded again (spapr_pci_post_load)."""
    for entry in phb.msi_devs or ():
        before = phb.msi.get(entry.key)
        if before is not None:
            free_msi(phb.machine, *before)
        phb.msi[entry.key] = entry.first_irq, entry.num
    return 0


DRIVER = "spapr-pci-host-bridge"
BASE_BUID = 0x800000020000000
TYPES_2_7_GONE = "9.2"  # removed the machine types up to 2.7, and the fields that only they send

_GIB = 1 << 30
_TIB = 1 << 40


def pre_2_8_migration(phb: SpaprPci, version_id: int) -> bool:
    """The property ``pre-2.8-migration`` of the host bridge is on: machine types up to 2.7."""
    return bool(phb.machine.flags.phb_pre_2_8_migration if phb.old is None else phb.old)


MSI_TABLE = "3.1"  # since then interrupts come from a map; how older releases fail is not modelled
OLD_FIELDS = ("mig_liobn", "mig_mem_win_addr", "mig_mem_win_size", "mig_io_win_addr", "mig_io_win_size")
#: Before, the hook returned early without message interrupts and did not fill the old fields.
FILLED_WITHOUT_MSI = Span(since=("2.9.1", "2.10"))


def pre_save(phb: SpaprPci) -> None:
    """Fill in the list of message interrupts and, for old machine types, the windows' places."""
    phb.msi_devs_num = len(phb.msi_devs)
    if not phb.msi_devs and not FILLED_WITHOUT_MSI.covers(phb.machine.release):
        vars(phb).update(dict.fromkeys(OLD_FIELDS, 0))


def post_save(phb: SpaprPci) -> None:
    """Reset the length of the discarded list (since 6.0)."""
    phb.msi_devs_num = 0


def _old(field: Field) -> Field:
    return Until(TYPES_2_7_GONE, field)


SPAPR_PCI_LSI = VMStateDescription(
    "spapr_pci/lsi", version_id=1, minimum_version_id=1, fields=[UInt32Equal("irq")]
)

SPAPR_PCI_MSI = VMStateDescription(
    "spapr_pci/msi",
    version_id=1,
    minimum_version_id=1,
    fields=[UInt32("key"), UInt32("value.first_irq"), UInt32("value.num")],
)

SPAPR_PCI = VMStateDescription(
    "spapr_pci",
    version_id=2,
    minimum_version_id=2,
    pre_save=pre_save,
    post_save=History(None, ("6.0", post_save)),
    post_load=History(None, (MSI_TABLE, msi_post_load)),
    fields=[
        UInt64Equal("buid"),
        _old(UInt32("mig_liobn", exists=pre_2_8_migration)),
        _old(UInt64("mig_mem_win_addr", exists=pre_2_8_migration)),
        _old(UInt64("mig_mem_win_size", exists=pre_2_8_migration)),
        _old(UInt64("mig_io_win_addr", exists=pre_2_8_migration)),
        _old(UInt64("mig_io_win_size", exists=pre_2_8_migration)),
        Struct("lsi_table", SPAPR_PCI_LSI)[PCI_NUM_PINS],
        Int32("msi_devs_num"),
        Allocated(Struct("msi_devs", SPAPR_PCI_MSI)["msi_devs_num"], 12),
    ],
)


@dataclass(frozen=True, slots=True)
class Placement:
    """The places of a host bridge's memory and I/O windows in the guest's physical address space."""

    mem_win_addr: int
    mem_win_size: int
    io_win_addr: int
    io_win_size: int = 0x10000


def placement_2_7(index: int, ram_size: int, maxram_size: int, window: int) -> Placement:
    """Place windows above memory, 64 GiB each, with the 64-bit part in the one window (phb_placement_2_7)."""
    top = ram_size
    if maxram_size > ram_size:
        top = -(-ram_size // _GIB) * _GIB + maxram_size - ram_size
    base = -(-top // _TIB) * _TIB + index * 64 * _GIB
    return Placement(base + 0xA0000000, window, base + 0x80000000)


def placement(index: int) -> Placement:
    """spapr_phb_placement: from 32 TiB on, 64 KiB of ports and 2 GiB of memory each."""
    base, window = 32 * _TIB, 2 * _GIB
    return Placement(base + (index + 1) * window, window, base + index * 0x10000)


class SpaprPci(Device):
    """A host bridge after reset, without message interrupts; ``lsi`` are its four line interrupts."""

    description = SPAPR_PCI
    old: bool | None = None

    def __init__(
        self, machine: Machine, index: int, lsi: Sequence[int], instance_id: int = 0, *, old: bool = False
    ) -> None:
        super().__init__(machine, instance_id=instance_id)
        self.old = old
        self.buid = BASE_BUID + index
        self.lsi_table = [Record(irq=irq) for irq in lsi]
        self.msi_devs: Sequence[Any] = []
        self.msi_devs_num = 0
        self.msi: dict[int, tuple[int, int]] = {}
        if old:
            self._place(index)

    def _place(self, index: int) -> None:
        machine = self.machine
        if machine.flags.phb_placement == "2.7":
            where = placement_2_7(index, machine.ram_size, machine.maxram_size, self._window_size())
        else:
            where = placement(index)
        self.mig_liobn = pci_liobn(index, 0)
        self.mig_mem_win_addr = where.mem_win_addr
        self.mig_mem_win_size = where.mem_win_size
        self.mig_io_win_addr = where.io_win_addr
        self.mig_io_win_size = where.io_win_size

    def _window_size(self) -> int:
        return int(self.machine.compat_values[DRIVER, "mem_win_size"], 0)


_BRIDGE_EXISTS: History[Callable[[list[int]], tuple[str, ...]]] = History(
    lambda _: ("PCI host bridges must have unique BUIDs",),
    (
        "4.1",
        lambda used: (
            "PCI host bridges must have unique indexes",
            f"The following indexes are already in use:{''.join(f' {index}' for index in used)}",
            "Try another value for the index property",
        ),
    ),
)
_INDEX_MISSING = History("BUID not specified for PHB", ("2.11", '"index" for PAPR PHB is mandatory'))
_MAX_BRIDGE = 30
#: The connector that a bridge is attached to detects a duplicate first.
_BRIDGE_CONNECTORS = History(False, ("6.0", True))


NO_INDEX = 0xFFFFFFFF


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a bridge unless its index is given, in range and not in use (``spapr_phb_realize``)."""
    given = option.get("index")
    if given is None:
        raise Refused(f"{option.text}: {_INDEX_MISSING.at(machine.release)}")
    index = parse_number(given)
    if index is None:
        raise NotModelled(f"{option.text}: an index that is no number is not modelled")
    if index & 0xFFFFFFFF == NO_INDEX:
        raise Refused(f"{option.text}: {_INDEX_MISSING.at(machine.release)}")
    most = 255 if machine.flags.phb_placement == "2.7" else _MAX_BRIDGE
    if index > most:
        raise Refused(f'{option.text}: "index" for PAPR PHB is too large (max {most})')
    if index in machine.bridges and _BRIDGE_CONNECTORS.at(machine.release) and machine.flags.dr_phb_enabled:
        raise Refused(f"{option.text}: PHB {index} already attached")
    if index in machine.bridges:
        first, *rest = _BRIDGE_EXISTS.at(machine.release)(machine.bridges[::-1])
        raise Refused(f"{option.text}: {first}", *rest)
    machine.bridges.append(index)


def _flags(machine: Machine, option: DeviceOption | None) -> tuple[bool, bool, bool]:
    """Return dynamic reconfiguration, a second DMA window, the old fields: of the board's own, the type's."""
    flags = machine.flags
    if option is None and not machine.globals:
        return flags.phb_dynamic_reconfiguration, flags.ddw, flags.phb_pre_2_8_migration
    return (
        DYNAMIC_RECONFIGURATION.flag(machine, option),
        DDW.flag(machine, option),
        PRE_2_8_MIGRATION.flag(machine, option),
    )


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a host bridge: the connectors of its slots, its DMA windows, itself, its bus."""
    machine, index = board.machine, number_of(option, "index", 0)
    lsi = board.numbers.pci_lsi(index)
    reconfigured, ddw, old = _flags(machine, option)
    if reconfigured:
        board.connect(Connectors(DrcType.PCI, index << 16, FUNCTIONS))
    for window in range(2 if ddw else 1):
        size = 0 if window else PHB_WINDOW_SIZE
        add_window(board, SpaprIommu(machine, pci_liobn(index, window), size, default=not window))
    board.add(SpaprPci(machine, index, lsi, board.new_instance("spapr_pci"), old=old))
    board.add(PciBus(machine, board.new_instance("PCIBUS")))
    bus = board.buses.add(HOST_BRIDGE, option, path=f"pci@{BASE_BUID + index:x}")
    if reconfigured and isinstance(bus, PciSlots):
        bus.connectors = index << 16


def _on(flag: str) -> Callable[[Machine], str]:
    """Return the default of a property that a flag of the machine type gives."""
    return lambda machine: "on" if getattr(machine.flags, flag) else "off"


_TREE = "only the device tree"
DDW = Property(DRIVER, "ddw", _on("ddw"), "bool")
PRE_2_8_MIGRATION = Property(
    DRIVER, "pre-2.8-migration", _on("phb_pre_2_8_migration"), "bool", span=Span(until="9.2")
)
DYNAMIC_RECONFIGURATION = Property(
    DRIVER, "dynamic-reconfiguration", _on("phb_dynamic_reconfiguration"), "bool", span=Span(until="9.2")
)
PROPERTIES = (
    Property(DRIVER, "index", "4294967295", "uint32", by_global=False),
    *(DDW, PRE_2_8_MIGRATION, DYNAMIC_RECONFIGURATION),
    *harmless(DRIVER, "bool", _TREE, "pcie-extended-configuration-space"),
    *harmless(DRIVER, "bool", _TREE, "pre-5.1-associativity", span=Span("5.1")),
    *harmless(
        "pci-host-bridge", "bool", "of another section", "x-config-reg-migration-enabled", span=Span("5.1")
    ),
    *harmless("pci-host-bridge", "bool", "only a running guest's DMA", "bypass-iommu", span=Span("6.1")),
    not_modelled(DRIVER, "mem_win_size", "uint64", "2147483648"),
    not_modelled(DRIVER, "mem64_win_size", "uint64", "1099511627776"),
    not_modelled(DRIVER, "io_win_size", "uint64", "65536"),
    not_modelled(DRIVER, "dma_win_addr", "uint64", "0"),
    not_modelled(DRIVER, "dma_win_size", "uint64", "1073741824"),
    not_modelled(DRIVER, "dma64_win_addr", "uint64", "576460752303423488"),
    not_modelled(DRIVER, "pgsz", "uint64", "18944000"),
    not_modelled(DRIVER, "numa_node", "uint32", "4294967295"),
    *(not_modelled(DRIVER, name, "uint64", "0", Span("4.1", "8.2")) for name in ("gpa", "atsd")),
    *(
        not_modelled(DRIVER, name, "uint32", "4294967295", Span(until="2.11"))
        for name in ("liobn", "liobn64")
    ),
    *(
        not_modelled(DRIVER, name, "uint64", str((1 << 64) - 1), Span(until="2.11"))
        for name in ("buid", "mem_win_addr", "mem64_win_addr", "mem64_win_pciaddr", "io_win_addr")
    ),
)

DRIVERS = (
    Driver(
        DRIVER,
        plug,
        bus="",
        behind=HOST_BRIDGE,
        check=check,
        properties=PROPERTIES,
        examples=(
            "-device spapr-pci-host-bridge,index=1",
            "-device spapr-pci-host-bridge,index=2,id=two{0}",
        ),
    ),
)
