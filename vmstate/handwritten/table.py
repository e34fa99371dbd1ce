"""The known contents of bytes written by hand, found by what a vmdesc gives."""

from __future__ import annotations

from functools import cache

from vmstate.dataclass import dataclass
from vmstate.describe.infos import Info
from vmstate.describe.words import Meanings
from vmstate.handwritten.content import ByteOrder, Content
from vmstate.handwritten.event_log import EVENT_LOG
from vmstate.handwritten.flat_tree import FLAT_TREE
from vmstate.handwritten.msix import MSIX_STATE
from vmstate.handwritten.nvram import NVRAM
from vmstate.handwritten.pci_config import PCI_CONFIG, PCI_IRQ_STATE
from vmstate.handwritten.peripherals import AC97_MIXER, ESP, IDENTITY
from vmstate.handwritten.registers import (
    NAMES_OF_NUMBERS,
    RTC,
    VGA,
    XIVE_CONTEXT,
    XIVE_SOURCES,
    number_type,
)
from vmstate.handwritten.s390 import CSS_IMAGES, INTERRUPTS, NO_STORAGE_KEYS, TOD_CLOCK
from vmstate.handwritten.shpc import SHPC
from vmstate.handwritten.slirp import SLIRP_STATE


@dataclass(frozen=True)
class Known:
    """Bytes of a known content, by the type in the vmdesc; ``owner``: the description, ``field``: the name.

    Where the type says nothing (``buffer``), owner and field are needed.
    """

    content: Content
    owner: str | None = None
    field: str | None = None
    size: int | None = None

    def fits(self, owner: str, field: str, size: int) -> bool:
        """Return True if a field of that name and size is meant."""
        wanted = (self.owner, self.field, self.size)
        return all(
            one is None or one == found for one, found in zip(wanted, (owner, field, size), strict=True)
        )


_VGA = ("vga", "cirrus_vga")
#: The most specific first.
KNOWN = (
    Known(PCI_CONFIG),
    Known(PCI_IRQ_STATE),
    Known(MSIX_STATE),
    Known(SHPC),
    Known(SLIRP_STATE, "slirp", "data"),
    Known(CSS_IMAGES, "s390_css", "css"),
    Known(TOD_CLOCK, "todclock", "data"),
    Known(INTERRUPTS, "s390-flic", "irqs"),
    Known(NO_STORAGE_KEYS, "s390-skeys", "data"),
    Known(FLAT_TREE, "spapr_dtb", "fdt_blob"),
    Known(EVENT_LOG, "spapr_event_log_entry", "extended_log"),
    Known(NVRAM, "spapr_nvram", "buf"),
    Known(NVRAM, "macio_nvram", "data"),
    Known(RTC, "mc146818rtc", "cmos_data"),
    Known(AC97_MIXER, "ac97", "mixer_data"),
    Known(IDENTITY, "ide_drive", "identify_data"),
    *(Known(content, "esp", name) for name, content in ESP.items()),
    Known(XIVE_SOURCES, "xive-source", "status"),
    Known(XIVE_CONTEXT, "xive-tctx", "regs", 64),
    *(
        Known(content, owner, f"{prefix}{name}")
        for name, content in VGA.items()
        for owner in _VGA
        for prefix in ("", "vga.")
    ),
)
VIRTIO = frozenset({"virtio", "virtio-gpu", "blob", "scsi-requests", "virtio-fs back-end state"})


@cache
def _by_type() -> dict[str, list[Known]]:
    found: dict[str, list[Known]] = {}
    for one in KNOWN:
        found.setdefault(one.content.name, []).append(one)
    return found


def content_of(owner: str, field: str, kind: str, size: int, order: ByteOrder | None = None) -> Info | None:
    """Return the wire type of a field that QEMU writes by hand; None if its content is not known.

    ``owner`` is the name of the description around the field, ``kind`` the field's type, ``size`` its size,
    ``order`` that of the numbers of the machine's guests, if it is known.
    """
    if kind in VIRTIO and size > 1:
        from vmstate.handwritten.virtio.contents import content_of_virtio  # streams with such devices only

        return content_of_virtio(owner, kind, order)
    for known in _by_type().get(kind, ()):
        if known.fits(owner, field, size):
            return known.content
    return number_type(kind, size)


def names_of_values() -> Meanings:
    """Return the names of values that no node has of its own, by the description and the field."""
    return NAMES_OF_NUMBERS
