"""``scsi-generic`` and ``scsi-block``: real SCSI devices of the host (hw/scsi/scsi-generic.c, scsi-disk.c).

Only their refusals of a drive that is no such device are modelled.
"""

from __future__ import annotations

from vmstate.describe.history import History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.block import ANSWERS, DRIVE, HOST, check_drive, errors
from vmstate.pseries.board.driver import Driver, plug_nothing
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.board.scsi_bus import SCSI
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

GENERIC, BLOCK = "scsi-generic", "scsi-block"
#: Block drivers that have no SG_IO, whatever is behind them.
WITHOUT_SG_IO = frozenset({"null-co", "null-aio"})
_NO_VERSION = History("", ("5.2", "cannot get SG_IO version number: {}"))
_HINT = "Is this a SCSI device?"


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a drive that is no SCSI device.  Raises NotModelled for one that may be."""
    check_drive(machine, option, empty=True)
    drive, line = machine.drives[option.get(DRIVE) or ""], _NO_VERSION.at(machine.release)
    if (drive.medium and drive.driver not in WITHOUT_SG_IO) or not line:
        raise NotModelled(f"{option.text}: a SCSI device of the host is not modelled")
    why = "Operation not supported" if drive.medium else "No medium found"
    raise Refused(f"{option.text}: {line.format(why)}", _HINT)


def _common(owner: str) -> tuple[Property, ...]:
    return (
        Property(owner, DRIVE, "", by_global=False),
        *harmless(owner, "bool", HOST, "share-rw", span=Span("2.12")),
        *harmless(owner, "uint32", HOST, "io_timeout", span=Span("6.0")),
    )


DRIVERS = (
    Driver(GENERIC, plug_nothing, bus=SCSI, check=check, properties=_common(GENERIC), drive_owner=GENERIC),
    Driver(
        BLOCK,
        plug_nothing,
        bus=SCSI,
        check=check,
        properties=(
            *_common(BLOCK),
            *errors(BLOCK, Span("2.11")),
            *harmless(BLOCK, "uint16", ANSWERS, "rotation_rate", span=Span("2.11")),
            *harmless(BLOCK, "int32", ANSWERS, "scsi_version", span=Span("2.12")),
            *harmless(BLOCK, "uint64", ANSWERS, "max_unmap_size", "max_io_size", span=Span("3.0")),
            not_modelled(BLOCK, "migrate-pr", "bool", "on", Span("11.0")),
        ),
        drive_owner=BLOCK,
    ),
)
