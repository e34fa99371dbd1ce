"""A SCSI bus: channels, targets and logical units, and how it refuses a device (hw/scsi/scsi-bus.c)."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.dataclass import dataclass, field
from vmstate.describe.cursor import signed
from vmstate.pseries.board.bus_properties import CHANNEL, LUN, TARGET
from vmstate.pseries.board.buses import Behind, Bus
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

SCSI = "SCSI"
_UNSPECIFIED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ScsiAddress:
    """An address, as it stands in a device's path."""

    channel: int
    target: int
    unit: int

    def __str__(self) -> str:
        return f"{self.channel}:{self.target}:{self.unit}"


#: The CD drive of the board's adapter.
BOARD_CD = ScsiAddress(0, 2, 0)


@dataclass(eq=False)
class ScsiBus(Bus):
    """A bus: the highest channel, target and unit, and the ids of its devices by address."""

    highest: ScsiAddress = ScsiAddress(0, 0, 0)
    taken: dict[ScsiAddress, str | None] = field(default_factory=dict)

    def place(self, machine: Machine, driver: str, option: DeviceOption | None) -> str:
        """Take an address (``scsi_bus_check_address``, ``scsi_qdev_realize``)."""
        if option is None:
            address = BOARD_CD
        else:
            given = (one.number(machine, option, driver=driver) for one in (CHANNEL, TARGET, LUN))
            address = ScsiAddress(*(number & _UNSPECIFIED for number in given))
        text = driver if option is None else option.text
        self._check(address, text)
        found = next((one for one in self._choices(address) if one not in self.taken), None)
        if found is None:
            kind = "target" if address.target == _UNSPECIFIED else "lun"
            raise Refused(f"{text}: no free {kind}")
        self.taken[found] = None if option is None else option.id
        return f"{self.path}/{found}"

    def check(self, machine: Machine, driver: str, option: DeviceOption | None) -> None:
        """Take an address."""
        self.place(machine, driver, option)

    def _check(self, wanted: ScsiAddress, text: str) -> None:
        highest = self.highest
        if wanted.channel > highest.channel:
            raise Refused(f"{text}: bad scsi channel id: {signed(wanted.channel)}")
        if highest.target < wanted.target != _UNSPECIFIED:
            raise Refused(f"{text}: bad scsi device id: {signed(wanted.target)}")
        if highest.unit < wanted.unit != _UNSPECIFIED:
            raise Refused(f"{text}: bad scsi device lun: {signed(wanted.unit)}")
        if wanted in self.taken:
            raise Refused(f"{text}: lun already used by '{self.taken[wanted] or '(null)'}'")

    def _choices(self, wanted: ScsiAddress) -> Iterator[ScsiAddress]:
        """Yield the addresses that will do: any target for one that is not given, else any unit."""
        if wanted.target == _UNSPECIFIED:
            unit = 0 if wanted.unit == _UNSPECIFIED else wanted.unit
            return (ScsiAddress(wanted.channel, n, unit) for n in range(self.highest.target + 1))
        if wanted.unit == _UNSPECIFIED:
            units = range(self.highest.unit + 1)
            return (ScsiAddress(wanted.channel, wanted.target, unit) for unit in units)
        return iter((wanted,))


def scsi_bus(channel: int, target: int, unit: int) -> Behind:
    """Return the bus of an adapter whose highest channel, target and unit these are."""
    highest = ScsiAddress(channel, target, unit)
    return Behind(SCSI, make=lambda kind, name, path: ScsiBus(kind, name, path, highest=highest))


#: The buses of adapters whose own sections do not change with a disk.
ADAPTERS = {
    "am53c974": scsi_bus(0, 7, 7),
    "dc390": scsi_bus(0, 7, 7),
    "lsi53c810": scsi_bus(0, 7, 0),
    "lsi53c895a": scsi_bus(0, 7, 0),
    "mptsas1068": scsi_bus(0, 8, 1),
    "pvscsi": scsi_bus(0, 64, 0),
    "usb-bot": scsi_bus(0, 0, 15),
}
