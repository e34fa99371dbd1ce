"""``spapr_iommu``: a table of DMA translations, one per window (hw/ppc/spapr_iommu.c)."""

from __future__ import annotations

from vmstate.describe import (
    Allocated,
    Bool,
    History,
    Since,
    UInt32,
    UInt32Equal,
    UInt64,
    VMStateDescription,
    WireArray,
)
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

TCE_PAGE_SHIFT = 12
READABLE = 1  # in an entry: a device may read there
PHB_WINDOW_SIZE = 0x40000000  # the 1 GiB below which a PHB's default window maps


def pci_liobn(phb_index: int, window: int) -> int:
    """Return the logical bus number of a host bridge's DMA window (SPAPR_PCI_LIOBN)."""
    return 0x80000000 | phb_index << 8 | window


def pre_save(table: SpaprIommu) -> None:
    """Copy the table to the fields that are sent."""
    table.mig_nb_table = table.nb_table
    table.mig_table = table.table


def post_load(table: SpaprIommu, version_id: int) -> int:
    """Replace the local table, even by one of another size; this cannot fail."""
    if table.mig_nb_table != table.nb_table:
        table.nb_table = table.mig_nb_table
    if table.mig_nb_table:
        table.table = table.mig_table
    return 0


def moved(table: SpaprIommu) -> bool:
    """The window does not begin at 0, or its pages are not 4 KiB."""
    return bool(table.bus_offset) or table.page_shift != TCE_PAGE_SHIFT


SPAPR_IOMMU_EX = VMStateDescription(
    "spapr_iommu_ex",
    version_id=1,
    minimum_version_id=1,
    needed=moved,
    fields=[UInt64("bus_offset"), UInt32("page_shift")],
)

SPAPR_IOMMU = VMStateDescription(
    "spapr_iommu",
    version_id=History(2, ("7.1", 3)),
    minimum_version_id=2,
    pre_save=pre_save,
    post_load=post_load,
    fields=[
        UInt32Equal("liobn"),
        UInt32("mig_nb_table"),
        Bool("bypass"),
        Allocated(UInt64("mig_table")["mig_nb_table"], 8),
        Since("7.1", Bool("def_win", 3)),
    ],
    subsections=[SPAPR_IOMMU_EX],
)


class SpaprIommu(Device):
    """A DMA window; its instance is its logical bus number.

    ``size``: bytes it maps, 0 for a window that the guest has not made yet.  ``default``: the window that
    a host bridge has from reset on.
    """

    description = SPAPR_IOMMU

    def __init__(self, machine: Machine, liobn: int, size: int, default: bool = False) -> None:
        super().__init__(machine, instance_id=liobn)
        self.liobn = liobn
        self.bypass = False
        self.def_win = default
        self.nb_table = size >> TCE_PAGE_SHIFT
        self.mig_table: WireArray | None = None
        self.table: WireArray | None = WireArray.filled("Q", self.nb_table)
        self.bus_offset = 0
        self.page_shift = TCE_PAGE_SHIFT if size else 0
        self.mig_nb_table = 0
        self.mig_table = None


def translate(machine: Machine, address: int) -> int | None:
    """Return the place in memory of an address on the only PCI bus; None if a device may not read there.

    ``spapr_tce_translate_iommu``.
    """
    for window in machine.registered(SpaprIommu):
        page = address - window.bus_offset >> window.page_shift if window.table is not None else -1
        if window.table is not None and 0 <= page < window.nb_table:
            entry = window.table[page]
            offset = address & (1 << window.page_shift) - 1
            return entry & -(1 << window.page_shift) | offset if entry & READABLE else None
    return None


def add_window(board: Board, window: SpaprIommu) -> None:
    """Register a DMA window."""
    machine, number = board.machine, board.new_instance("spapr_iommu")
    window.instance_id = machine.rules.table_instance(machine, window.liobn, number)
    board.add(window)
