"""Drivers: the facts about a device that ``-device`` and the board need, declared beside its section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, Release, Span
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.bus_properties import DEVICE, OF_BUS
from vmstate.pseries.board.buses import Behind
from vmstate.pseries.board.properties import Property
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

Plug = Callable[[Board, DeviceOption | None], None]
"""Puts a device on the board: its sections and memory blocks.  The board's own devices have no option."""

Check = Callable[[Machine, DeviceOption], None]
"""Checks an option as the device's realize function does while QEMU starts.  Raises Refused."""

Says = Callable[[Machine, DeviceOption, Sequence[str]], Iterable[str]]
"""Returns the lines that a device prints while QEMU starts, after the lines so far."""


@dataclass(frozen=True)
class Driver:
    """A kind of device, under its ``-device`` name.

    ``span``: the releases that have it.  ``bus``: the type of bus it is plugged into (``PCI``, ``usb-bus``,
    ``SCSI``, ``spapr-vio-bus``), empty for none.  ``check_first``: what is checked before it takes an
    address there, ``check``: what after.  ``properties``: all of its own, without those of every device on
    its bus.  ``behind``: the bus that it provides; ``usb_ports``: the number of that bus's ports.
    ``netdev_owner``: the class that a network card's property ``netdev`` belongs to; ``drive_owner``:
    likewise, of a disk and its ``drive``.  ``vio_name``: its name in a path on the VIO bus.  ``graphics``: it
    replaces the default graphics card.  ``says``, ``says_at_reset``: lines that it prints when it is made,
    and when the machine is reset.  ``user_creatable``: ``-device`` can name it.  ``hotpluggable``: it
    can be plugged into a running machine, so QEMU does not warn of a ``-global`` without such a device.
    ``followed_globals``: more properties whose ``-global`` is modelled.  ``aliases``: its other names.
    ``module``: the module that has it, in a build with modules (``tables/builds.py``).
    ``examples``: options to plug one,
    for random command lines; ``{0}`` makes names unique.
    """

    name: str
    plug: Plug
    span: Span = ALWAYS
    bus: str = "PCI"
    check_first: Check | None = None
    check: Check | None = None
    says: Says | None = None
    says_at_reset: Callable[[Machine, DeviceOption], Iterable[str]] | None = None
    properties: tuple[Property, ...] = ()
    behind: Behind | None = None
    usb_ports: Callable[[Machine, DeviceOption | None], int] | None = None
    netdev_owner: str = ""
    drive_owner: str = ""
    vio_name: str = ""
    graphics: bool = False
    user_creatable: bool = True
    hotpluggable: bool = True
    followed_globals: frozenset[str] = frozenset()
    aliases: tuple[str, ...] = ()
    module: str = ""
    examples: tuple[str, ...] = ()

    @cached_property
    def all_properties(self) -> Mapping[str, tuple[Property, ...]]:
        """Every property of any release, by name; several of a name that came back."""
        found: dict[str, tuple[Property, ...]] = {}
        for one in (*self.properties, *OF_BUS.get(self.bus, ()), *DEVICE):
            found[one.name] = (*found.get(one.name, ()), one)
        return found

    def property(self, name: str, release: Release) -> Property | None:
        """Return the property of that name in ``release``; None if it has none."""
        found = self.all_properties.get(name, ())
        return next((one for one in found if one.span.covers(release)), None)


def plug_nothing(board: Board, option: DeviceOption | None) -> None:
    """Plug a device that sends nothing."""
    del board, option
