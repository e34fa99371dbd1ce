"""The devices on the VIO bus of a machine that has started: the board's own, then the command line's."""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.devices import drivers
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import DeviceOption, parse_number
from vmstate.pseries.startup.startup import Startup

#: Before 5.1 the errors of the board's devices name the device (``qdev_init_nofail``).
_BOARD_PREFIX = History("Initialization of device {} failed: ", ("5.1", ""))


def lay_out_board(start: Startup) -> None:
    """Create the board's devices: terminals, the NVRAM, and by default a network card and a disk adapter."""
    bus = start.machine.vio
    serials = [serial for serial in start.machine.serials if serial != "none"]
    if start.machine.default_devices and not start.machine.serials:
        serials = ["default"]
    names = ["spapr-vty"] * len(serials) + ["spapr-nvram"]
    if start.machine.default_devices:
        names += ["spapr-vlan"] if start.machine.has_default_network else []
        names += ["spapr-vscsi"]
    for driver in names:
        wanted = _global_address(start, driver)
        if bus.add(driver, drivers()[driver].vio_name, wanted) is None and wanted is not None:
            raise Refused(_BOARD_PREFIX.at(start.release).format(driver) + bus.conflict(driver, wanted))
        _claim(start, _BOARD_PREFIX.at(start.release).format(driver))


def plug_vio(start: Startup, place: int, device: DeviceOption, driver: Driver) -> str:
    """Plug a VIO device of the command line, the ``place``-th -device; return its path."""
    bus = start.machine.vio
    given = device.get("reg")
    wanted = parse_number(given) if given is not None else _global_address(start, device.driver)
    if bus.add(driver.name, driver.vio_name, wanted, place) is None and wanted is not None:
        raise Refused(f"{device.text}: {bus.conflict(device.driver, wanted)}")
    _claim(start, f"{device.text}: ")
    return bus.devices[-1].path


def _claim(start: Startup, prefix: str) -> None:
    """Check that the newest device's interrupt is free, if the address decides it (3.1 on)."""
    *others, newest = start.machine.vio.devices
    legacy = start.machine.flags.legacy_irq_allocation or not _IRQ_BY_ADDRESS.at(start.release)
    if not legacy and any(other.irq == newest.irq for other in others):
        raise Refused(f"{prefix}IRQ {newest.irq} is not free")


_IRQ_BY_ADDRESS = History(False, ("3.1", True))


def _global_address(start: Startup, driver: str) -> int | None:
    given = [g.value for g in start.machine.globals if g.driver == driver and g.prop == "reg"]
    return parse_number(given[-1]) if given else None
