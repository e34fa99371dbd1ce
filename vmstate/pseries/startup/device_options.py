"""Devices and networks of the command line: the checks of a start.

The sections that devices send are in vmstate/pseries/devices.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial

from vmstate.describe.history import History, Release, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.block import DRIVE
from vmstate.pseries.board.buses import Bus
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.recordings import is_listed
from vmstate.pseries.devices import drivers
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption, Global
from vmstate.pseries.recorded_devices import find_driver
from vmstate.pseries.registration import default_devices
from vmstate.pseries.startup.buses import BusesInUse
from vmstate.pseries.startup.cpu_cores import is_core, plug_core
from vmstate.pseries.startup.device_properties import check_defaults, check_properties, follows, is_class
from vmstate.pseries.startup.option_table import ASK_QEMU_FOR_DEVICE
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.startup.vio import plug_vio
from vmstate.pseries.tables.builds import lacks

#: Classes other than devices whose -global options the simulator follows: class to properties.
GLOBALS: Mapping[str, frozenset[str]] = {
    "migration": frozenset({"send-configuration", "send-section-footer", "store-global-state"}),
}

_UNCONNECTED = History("Warning: vlan {} {}", ("2.11", "warning: vlan {} {}"), ("3.0", "warning: hub {} {}"))
_NO_PEER = History("Warning: {} {} has no peer", ("2.11", "warning: {} {} has no peer"))


def create_devices(start: Startup) -> None:
    """Create the devices of all -device options in order.

    Raises NotModelled for one that is not modelled.
    """
    machine = start.machine
    if not machine.devices:
        return
    buses = BusesInUse(machine)
    for place, option in enumerate(machine.devices):
        if not option.driver:
            raise Refused(f"{option.text}: Parameter 'driver' is missing")
        if is_core(option.driver):
            check_id(option, machine.devices[:place])
            plug_core(start, option, machine.devices[:place])
            continue
        driver = driver_of(start, option)
        bus = buses.find(driver, option)
        check_id(option, machine.devices[:place])
        take_place = partial(plug_vio, start, place, option, driver) if driver.vio_name else str
        create_device(start, option, driver, buses, bus, machine.devices[:place], take_place)


#: From here on a machine makes one of each network card, to see whether it has a back end.
_MAKES_CARDS = History(False, ("9.0", True))


def make_network_cards(start: Startup) -> None:
    """Make one of each PCI network card, by name (net/net.c ``qemu_get_nic_models``), and forget it."""
    if not _MAKES_CARDS.at(start.release) or not start.machine.globals:
        return
    for driver in sorted(drivers().values(), key=lambda one: one.name):
        if driver.netdev_owner and driver.bus == "PCI" and driver.span.covers(start.release):
            check_defaults(start.machine, driver)


def create_device(
    start: Startup,
    option: DeviceOption,
    driver: Driver,
    buses: BusesInUse,
    bus: Bus | None,
    earlier: Sequence[DeviceOption],
    take_place: Callable[[], str] = str,
) -> None:
    """Create a device on its bus: set its properties, then realize it.  Raises Refused as QEMU does.

    ``earlier``: the devices before it; ``take_place`` takes its place on the VIO bus, and returns its path.
    """
    machine = start.machine
    check_defaults(machine, driver, f"{option.text}: ")
    check_properties(machine, driver, option)
    if driver.netdev_owner:
        _connect(machine, earlier, option, driver.netdev_owner)
    if driver.drive_owner:
        _attach(machine, earlier, option, driver.drive_owner)
    if driver.check_first is not None:
        driver.check_first(machine, option)
    buses.take(driver, option, bus)
    if driver.check is not None:
        driver.check(machine, option)
    if driver.says is not None:
        start.say(*driver.says(machine, option, start.messages))
    buses.add(driver, option, bus, take_place())


def check_id(option: DeviceOption, earlier: Iterable[DeviceOption]) -> None:
    """Refuse the id of an earlier device, which on a command line only JSON can have."""
    if option.id is not None and any(other.id == option.id for other in earlier):
        raise Refused(f"{option.text}: Duplicate device ID '{option.id}'")


def driver_of(start: Startup, option: DeviceOption) -> Driver:
    """Return the driver of an option.  Raises Refused if there is none."""
    package = start.configuration.catalogue.package
    if package is not None and package.devices is not None and option.driver not in package.devices:
        raise NotModelled(
            f"-device {option.driver} is not modelled: {package.program} is not known to have it"
        )
    driver = find_driver(option.driver, start.machine)
    if driver is None and is_listed(option.driver, start.release) is False:
        raise Refused(f"{option.text}: '{option.driver}' is not a valid device model name")
    if driver is None or not driver.user_creatable:
        raise NotModelled(f"-device {option.driver} is not modelled: {ASK_QEMU_FOR_DEVICE}")
    why = lacks(start.release, driver.module, found=bool(start.configuration.module_dir))
    if why or not driver.span.covers(start.release):
        raise Refused(f"{option.text}: '{option.driver}' is not a valid device model name", why=why)
    return driver


def _connect(machine: Machine, earlier: Sequence[DeviceOption], nic: DeviceOption, owner: str) -> None:
    """Connect a network card to its ``netdev``, which must exist and not be another card's."""
    wanted = nic.get("netdev")
    if wanted is None:
        return
    name = f"{nic.text}: Property '{owner}.netdev'"
    if all(netdev.id != wanted for netdev in machine.netdevs):
        raise Refused(f"{name} can't find value '{wanted}'")
    if any(other.get("netdev") == wanted for other in _nics(machine, earlier)):
        raise Refused(f"{name} can't take value '{wanted}', it's in use")


def _nics(machine: Machine, options: Iterable[DeviceOption]) -> list[DeviceOption]:
    """Return the network cards among the options."""
    found = ((one, find_driver(one.driver, machine)) for one in options)
    return [one for one, driver in found if driver is not None and driver.netdev_owner]


def _attach(machine: Machine, earlier: Sequence[DeviceOption], disk: DeviceOption, owner: str) -> None:
    """Attach a disk to its drive, which must exist and not be another disk's (``parse_drive``)."""
    wanted = disk.get(DRIVE)
    if wanted is None:
        return
    drive = machine.drives.get(wanted)
    if drive is None:
        raise Refused(f"{disk.text}: Property '{owner}.drive' can't find value '{wanted}'")
    if all(other.get(DRIVE) != wanted for other in earlier):
        return
    if drive.node or not _IN_USE_KNOWN.at(machine.release):
        raise NotModelled(f"{disk.text}: a drive of two devices is not modelled")
    raise Refused(f"{disk.text}: Drive '{wanted}' is already in use by another device")


_IN_USE_KNOWN = History(False, ("5.2", True))


def reset_devices(start: Startup) -> None:
    """Say what devices say when the machine is reset."""
    for option in start.machine.devices:
        driver = find_driver(option.driver, start.machine)
        if driver is not None and driver.says_at_reset is not None:
            start.say(*driver.says_at_reset(start.machine, option))


def check_network(start: Startup) -> None:
    """Warn of hubs without a host or a guest, then of network ends without a peer (``net_check_clients``)."""
    if start.machine.has_default_network:
        return
    nics = _nics(start.machine, start.machine.devices)
    used = {device.get("netdev") for device in nics}
    hubs = dict.fromkeys(_hub_of(netdev) for netdev in start.machine.netdevs if netdev.driver == "hubport")
    for hub in reversed(hubs):
        _check_hub(start, hub, used)
    message = _NO_PEER.at(start.release)
    for netdev in start.machine.netdevs:
        if netdev.id not in used:
            start.say(message.format("netdev", netdev.id))
    known = {netdev.id for netdev in start.machine.netdevs}
    for place, nic in enumerate(nics):
        if nic.get("netdev") not in known:
            start.say(message.format("nic", nic.id or _nic_name(start, nics, place)))


def _nic_name(start: Startup, nics: list[DeviceOption], place: int) -> str:
    """Return a card's name: a VIO device's path, else its model and the number of earlier ones."""
    nic = nics[place]
    for device in start.machine.vio.devices:
        if device.option is not None and start.machine.devices[device.option] is nic:
            return device.path
    return f"{nic.driver}.{sum(other.driver == nic.driver for other in nics[:place])}"


def _hub_of(netdev: DeviceOption) -> int:
    return int(netdev.get("hubid") or 0)


def _check_hub(start: Startup, hub: int, used: Container[str | None]) -> None:
    ports = [n for n in start.machine.netdevs if n.driver == "hubport" and _hub_of(n) == hub]
    for port in reversed(ports):
        if port.id not in used:
            start.say(_NO_PEER.at(start.release).format("hub port", port.id))
    if any(port.id in used for port in ports):
        text = "is not connected to host network"
        start.say(_UNCONNECTED.at(start.release).format(hub, text))


def check_modelled(start: Startup) -> None:
    """Raise ConfigurationError for a -global that QEMU has but that is not modelled."""
    for default in start.machine.globals:
        known = _followed(default.driver)
        if follows(start.machine, default):
            modelled = True
        elif known is None:
            modelled = _is_cpu(start, default) or not (is_class(default.driver) or _plausible(default.driver))
        else:
            modelled = default.prop in known
        if not modelled:
            raise NotModelled(f"-global {default.driver}.{default.prop} is not modelled")


def check_globals(start: Startup) -> None:
    """Warn of a -global whose class does not exist or has no device (``qdev_prop_check_globals``)."""
    for default in start.machine.globals:
        if not default.own and _followed(default.driver) is None and not _is_class(start, default):
            start.warn(f"global {default.driver}.{default.prop} has invalid class name")
        driver = drivers().get(default.driver)
        if driver is not None and not driver.hotpluggable and not _is_made(start.machine, driver.name):
            start.warn(f"global {default.driver}.{default.prop}={default.value} not used")


def _is_made(machine: Machine, driver: str) -> bool:
    return driver in default_devices(machine) or any(one.driver == driver for one in machine.devices)


def _followed(name: str) -> frozenset[str] | None:
    """Return the properties of a class whose -global is followed; None if there are none."""
    driver = drivers().get(name)
    return GLOBALS.get(name) or (driver.followed_globals or None if driver is not None else None)


def _is_class(start: Startup, default: Global) -> bool:
    return is_class(default.driver) or _is_cpu(start, default)


def _is_cpu(start: Startup, default: Global) -> bool:
    return any(cpu.type_name == default.driver for cpu in start.binary.cpus.values())


def _plausible(driver: str) -> bool:
    """Return True if the name might be a class of QEMU's that is not modelled."""
    return "-" in driver or driver in {"e1000e", "cpu", "device"}


def apply_cpu_globals(start: Startup) -> None:
    """Apply defaults to the processor's class; refuse a property that it does not have."""
    cpu = start.machine.cpu
    for default in start.machine.globals:
        if default.driver == cpu.type_name and not _cpu_has(default.prop, start.release):
            name = _CPU_NOT_FOUND.at(start.release).format(type=cpu.type_name, name=default.prop)
            raise Refused(
                f"can't apply global {default.driver}.{default.prop}={default.value}: "
                f"Property '{name}' not found"
            )


_CPU_NOT_FOUND = History(".{name}", ("5.2", "{type}.{name}"))

#: Properties of a processor that may be set, and the releases that have them.
_CPU_PROPERTIES: Mapping[str, Span] = {
    "pre-2.8-migration": Span("2.9", "9.2"),
    "pre-2.10-migration": Span("2.10", "9.2"),
    "pre-3.0-migration": Span("3.0", "9.2"),
    "rtas-stopped-state": Span(("10.2.1", "11.0")),
}


def _cpu_has(prop: str, release: Release) -> bool:
    span = _CPU_PROPERTIES.get(prop)
    return span is not None and span.covers(release)
