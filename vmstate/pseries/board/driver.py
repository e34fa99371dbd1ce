"""Drivers: the facts about a device that ``-device`` and the board need, declared beside its section."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmstate.describe.history import ALWAYS, Span
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.properties import Property
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

Plug = Callable[[Board, DeviceOption | None], None]
"""Puts a device on the board: its sections and memory blocks.  The board's own devices have no option."""

Check = Callable[[Machine, DeviceOption], None]
"""Checks an option as the device's realize function does while QEMU starts.  Raises Refused."""


@dataclass(frozen=True)
class Driver:
    """A kind of device, under its ``-device`` name.

    ``span``: the releases that have it.  ``bus``: the type of bus it is plugged into (``PCI``, ``usb-bus``,
    ``spapr-vio-bus``), empty for none.  ``properties``: those that decide what it sends.  ``netdev_owner``:
    the class that a network card's property ``netdev`` belongs to.  ``usb_controller``: it has a USB bus.
    ``vio_name``: its name in a path on the VIO bus.  ``graphics``: it replaces the default graphics card.
    ``user_creatable``: ``-device`` can name it.  ``followed_globals``: properties whose ``-global`` is
    modelled.  ``examples``: options to plug one, for random command lines; ``{0}`` makes names unique.
    """

    name: str
    plug: Plug
    span: Span = ALWAYS
    bus: str = "PCI"
    check: Check | None = None
    properties: tuple[Property, ...] = ()
    netdev_owner: str = ""
    usb_controller: bool = False
    vio_name: str = ""
    graphics: bool = False
    user_creatable: bool = True
    followed_globals: frozenset[str] = frozenset()
    examples: tuple[str, ...] = ()


def plug_nothing(board: Board, option: DeviceOption | None) -> None:
    """Plug a device that sends nothing."""
    del board, option
