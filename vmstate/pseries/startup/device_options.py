"""Devices and their network, as far as starting depends on them: what is unknown, unconnected or unused.

Which devices the command line has is decided here; what they put in a stream is in vmstate/pseries/devices.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping

from vmstate.describe.history import ALWAYS, History, Release, Span
from vmstate.errors import ConfigurationError
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import DeviceOption, Global, parse_number
from vmstate.pseries.startup.cpu_cores import is_core, plug_core
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.startup.vio import plug_vio
from vmstate.pseries.vio_bus import PATH_NAMES

#: Drivers for -device that the simulator follows.
DRIVERS: Mapping[str, Span] = {
    "spapr-pci-host-bridge": ALWAYS,
    "spapr-vscsi": ALWAYS,
    "spapr-vlan": ALWAYS,
    "spapr-vty": ALWAYS,
    "spapr-rng": ALWAYS,
    "spapr-tpm-proxy": Span("4.2"),
    "pc-dimm": ALWAYS,
    "virtio-net-pci": ALWAYS,
    "virtio-blk-pci": ALWAYS,
    "virtio-scsi-pci": ALWAYS,
    "virtio-balloon-pci": ALWAYS,
    "virtio-rng-pci": ALWAYS,
    "virtio-serial-pci": ALWAYS,
    "nec-usb-xhci": ALWAYS,
    "qemu-xhci": Span("2.10"),
    "pci-ohci": ALWAYS,
    "usb-kbd": ALWAYS,
    "usb-mouse": ALWAYS,
    "usb-tablet": ALWAYS,
    "VGA": ALWAYS,
    "e1000": ALWAYS,
}

#: Classes of which a -global sets what the simulator follows: class to properties.
GLOBALS: Mapping[str, frozenset[str]] = {
    "spapr-nvram": frozenset({"reg"}),
    "migration": frozenset({"send-configuration", "send-section-footer", "store-global-state"}),
}

_UNCONNECTED = History("Warning: vlan {} {}", ("2.11", "warning: vlan {} {}"), ("3.0", "warning: hub {} {}"))
_NO_PEER = History("Warning: {} {} has no peer", ("2.11", "warning: {} {} has no peer"))
_NICS = frozenset({"spapr-vlan", "virtio-net-pci", "e1000"})


def create_devices(start: Startup) -> None:
    """Create the devices of all -device options in order; what we do not model is our own error."""
    for place, device in enumerate(start.machine.devices):
        if is_core(device.driver):
            plug_core(start, place, device)
            continue
        span = DRIVERS.get(device.driver)
        if span is None:
            raise ConfigurationError(f"-device {device.driver} is not modelled")
        if not span.covers(start.release):
            raise Refused(f"{device.text}: '{device.driver}' is not a valid device model name")
        check = _CHECKS.get(device.driver)
        if device.driver in _NICS:
            _connect(start, place, device)
        if check is not None:
            check(start, device)
        if device.driver.startswith("usb-"):
            _check_usb(start, place, device)
        if device.driver in PATH_NAMES:
            plug_vio(start, place, device)


#: The property of a virtio card is its inner device's.
_NETDEV_OWNERS = {"virtio-net-pci": "virtio-net-device"}


def _connect(start: Startup, place: int, nic: DeviceOption) -> None:
    """A network card's ``netdev``: it must be there, and not another card's."""
    wanted = nic.get("netdev")
    if wanted is None:
        return
    name = f"{nic.text}: Property '{_NETDEV_OWNERS.get(nic.driver, nic.driver)}.netdev'"
    if all(netdev.id != wanted for netdev in start.machine.netdevs):
        raise Refused(f"{name} can't find value '{wanted}'")
    if any(other.get("netdev") == wanted for other in start.machine.devices[:place] if other.driver in _NICS):
        raise Refused(f"{name} can't take value '{wanted}', it's in use")


def _check_usb(start: Startup, place: int, device: DeviceOption) -> None:
    """A USB device needs a controller before it; by default a machine has one, beside its screen."""
    before = (other.driver for other in start.machine.devices[:place])
    if not start.machine.default_devices and not any(driver in _USB_CONTROLLERS for driver in before):
        raise Refused(f"{device.text}: No 'usb-bus' bus found for device '{device.driver}'")


_USB_CONTROLLERS = frozenset({"nec-usb-xhci", "qemu-xhci", "pci-ohci"})


def _check_terminal(start: Startup, device: DeviceOption) -> None:
    wanted = device.get("chardev")
    if wanted is None:
        raise Refused(f"{device.text}: chardev property not set")
    if wanted not in start.machine.chardevs:
        raise Refused(f"{device.text}: Property 'spapr-vty.chardev' can't find value '{wanted}'")


def _check_disk(start: Startup, device: DeviceOption) -> None:
    drive = device.get("drive")
    if drive is None:
        raise Refused(f"{device.text}: drive property not set")
    if drive not in start.machine.drives:
        raise Refused(f"{device.text}: Property 'virtio-blk-device.drive' can't find value '{drive}'")


def _check_balloon(start: Startup, device: DeviceOption) -> None:
    if any(other.driver == device.driver for other in _before(start, device)):
        raise Refused(f"{device.text}: Only one balloon device is supported")


def _before(start: Startup, device: DeviceOption) -> list[DeviceOption]:
    place = next(place for place, other in enumerate(start.machine.devices) if other is device)
    return start.machine.devices[:place]


def _check_rng(start: Startup, device: DeviceOption) -> None:
    del start
    if device.get("rng") is None:
        raise Refused(f"{device.text}: spapr-rng needs an RNG backend!")


_NO_SLOTS = History(
    "memory hotplug is not enabled, please add maxmem option",
    ("3.0", "no slots where allocated, please specify the 'slots' option"),
)


def _check_dimm(start: Startup, device: DeviceOption) -> None:
    """``spapr_memory_pre_plug`` and ``pc_dimm_pre_plug``, as far as sizes do not come into it."""
    if all(backend.id != device.get("memdev") for backend in start.machine.objects):
        raise ConfigurationError(f"{device.text}: no such -object memory-backend-ram")
    if not start.machine.flags.dr_lmb_enabled:
        raise Refused(f"{device.text}: Memory hotplug not supported for this machine")
    if start.machine.ram_slots == 0:
        raise Refused(f"{device.text}: {_NO_SLOTS.at(start.release)}")


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


def _plug_bridge(start: Startup, device: DeviceOption) -> None:
    """``spapr_phb_realize``: an index that is given, in range, and not another bridge's."""
    given = device.get("index")
    if given is None:
        raise Refused(f"{device.text}: {_INDEX_MISSING.at(start.release)}")
    index = parse_number(given)
    if index is None:
        raise ConfigurationError(f"{device.text}: index is not a number")
    most = 255 if start.machine.flags.phb_placement == "2.7" else _MAX_BRIDGE
    if index > most:
        raise Refused(f'{device.text}: "index" for PAPR PHB is too large (max {most})')
    if (
        index in start.machine.bridges
        and _BRIDGE_CONNECTORS.at(start.release)
        and start.machine.flags.dr_phb_enabled
    ):
        raise Refused(f"{device.text}: PHB {index} already attached")
    if index in start.machine.bridges:
        first, *rest = _BRIDGE_EXISTS.at(start.release)(start.machine.bridges[::-1])
        raise Refused(f"{device.text}: {first}", *rest)
    start.machine.bridges.append(index)


#: The connector that a bridge is attached to finds out first.
_BRIDGE_CONNECTORS = History(False, ("6.0", True))

_CHECKS: Mapping[str, Callable[[Startup, DeviceOption], None]] = {
    "spapr-pci-host-bridge": _plug_bridge,
    "spapr-vty": _check_terminal,
    "spapr-rng": _check_rng,
    "virtio-blk-pci": _check_disk,
    "virtio-balloon-pci": _check_balloon,
    "pc-dimm": _check_dimm,
}


def check_network(start: Startup) -> None:
    """``net_check_clients``: hubs without a host or a guest, then ends of a network without another."""
    if start.machine.default_devices and not start.machine.netdevs:
        return
    nics = [device for device in start.machine.devices if device.driver in _NICS]
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
    """A card's name: a VIO device's path, else its model and how many of that came before."""
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
    """A -global of a class that QEMU has and we do not follow is our own error, whatever QEMU says first."""
    for default in start.machine.globals:
        known = GLOBALS.get(default.driver)
        if known is None:
            modelled = _is_class(start, default) or not _plausible(default.driver)
        else:
            modelled = default.prop in known
        if not modelled:
            raise ConfigurationError(f"-global {default.driver}.{default.prop} is not modelled")


def check_globals(start: Startup) -> None:
    """``qdev_prop_check_globals``: a -global of a class that there is not."""
    for default in start.machine.globals:
        if not default.own and default.driver not in GLOBALS and not _is_class(start, default):
            start.warn(f"global {default.driver}.{default.prop} has invalid class name")


def _is_class(start: Startup, default: Global) -> bool:
    cpus = start.binary.cpus.values()
    return default.driver in DRIVERS or any(cpu.type_name == default.driver for cpu in cpus)


def _plausible(driver: str) -> bool:
    """Whether the name might be a class of QEMU's that we do not have."""
    return "-" in driver or driver in {"e1000e", "cpu", "device"}


def apply_cpu_globals(start: Startup) -> None:
    """Defaults for the processor's class: a property that it does not have ends the start."""
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
