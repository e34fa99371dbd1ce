"""Disks: the properties that all of them have, and the checks of their drives (hw/block/block.c)."""

from __future__ import annotations

from vmstate.describe.history import ALWAYS, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.properties import Effect, Property, harmless, not_modelled
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

ANSWERS = "what the device answers when a guest reads it"
HOST = "how the host stores data, which no stream has"
_SIZES = {"0": 512, "512": 512, "2048": 2048, "4096": 4096}
_SIZES_CHECKED = Span("5.2")
DRIVE = "drive"
_FAILS = "what the host does when it fails"


def block_sizes(owner: str) -> tuple[Property, Property]:
    """Return the properties for the sizes of a logical and a physical block."""
    logical, physical = (
        Property(owner, name, "0", "size", Effect.HARMLESS, ANSWERS, values=lambda value: value in _SIZES)
        for name in ("logical_block_size", "physical_block_size")
    )
    return logical, physical


def block(owner: str) -> tuple[Property, ...]:
    """Return the properties of every disk but its geometry (DEFINE_BLOCK_PROPERTIES)."""
    return (
        Property(owner, DRIVE, "", by_global=False),
        *harmless(owner, "bool", HOST, "share-rw"),
        *harmless(owner, "OnOffAuto", HOST, "backend_defaults", span=Span("6.1")),
        *harmless(owner, "OnOffAuto", HOST, "account-invalid", "account-failed", span=Span("7.2")),
        *block_sizes(owner),
        *(not_modelled(owner, name, "size", "0") for name in ("min_io_size", "opt_io_size")),
        not_modelled(owner, "discard_granularity", "size", "4294967295"),
        not_modelled(owner, "stats-intervals", "list", "[]", span=Span("10.2")),
    )


def errors(owner: str, span: Span = ALWAYS) -> tuple[Property, ...]:
    """Return the responses to errors (DEFINE_BLOCK_ERROR_PROPERTIES)."""
    return harmless(owner, "BlockdevOnError", _FAILS, "rerror", "werror", span=span)


def geometry(owner: str) -> tuple[Property, ...]:
    """Return the geometry of a disk (DEFINE_BLOCK_CHS_PROPERTIES)."""
    return (
        *(not_modelled(owner, name, "uint32", "0") for name in ("cyls", "heads", "secs")),
        *harmless(owner, "uint32", "only firmware of PCs", "lcyls", "lheads", "lsecs", span=Span("4.2")),
    )


def check_drive(machine: Machine, option: DeviceOption, *, empty: bool = False) -> None:
    """Refuse a disk without a drive, or without a medium unless it may be ``empty``."""
    drive = option.get(DRIVE)
    if drive is None:
        raise Refused(f"{option.text}: drive property not set")
    if not empty and not machine.drives[drive].medium:
        raise Refused(f"{option.text}: Device needs media, but drive is empty")


def check_block_sizes(machine: Machine, option: DeviceOption, owner: str) -> None:
    """Check that a physical block is no smaller than a logical one (``blkconf_blocksizes``)."""
    logical, physical = (_SIZES[one.text(machine, option, option.driver)] for one in block_sizes(owner))
    if logical > physical:
        line = "logical_block_size > physical_block_size not supported"
        if not _SIZES_CHECKED.covers(machine.release):
            raise NotModelled(f"{option.text}: {line}; not modelled in {machine.release}")
        raise Refused(f"{option.text}: {line}")
