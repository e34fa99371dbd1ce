"""Default machines: the sections that they register, and their names in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

from vmstate.dataclass import dataclass
from vmstate.describe import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.devices.spapr.spapr_drc import SPAPR_DRC, SPAPR_DRC_PHYSICAL, connector
from vmstate.pseries.known_devices import drivers
from vmstate.pseries.machine import Machine
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.instance import Instance

#: Additions to ``-machine`` if QEMU refuses to start without them: TCG lacks these features.
_FALLBACKS = ("cap-htm=off", "cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken")


@dataclass(frozen=True)
class DefaultMachine:
    """A machine that has started but not run: its command line, QEMU's messages, its instance.

    ``instance`` is None if QEMU refused to start.  ``refusal``: QEMU's messages when it refused the command
    line without additions to ``-machine``.
    """

    command_line: str
    messages: tuple[str, ...]
    instance: Instance | None
    refusal: tuple[str, ...] = ()


def start(catalogue: Catalogue, release: Release, machine: str, arguments: str = "") -> DefaultMachine:
    """Start ``-machine MACHINE`` in ``release``; if QEMU refuses, without the features that TCG lacks.

    ``machine`` may include more options: ``pseries-7.2,ic-mode=xive -device spapr-vscsi``.  Raises
    ConfigurationError for options that are not modelled.
    """
    kind, *more = machine.split(None, 1)
    refusal: tuple[str, ...] = ()
    for addition in ("", *_FALLBACKS):
        words = [f"{kind},{addition}" if addition else kind, *more, arguments]
        line = f"qemu-{release} -machine {' '.join(words)}".rstrip()
        shown = (
            line.replace(f"-{release}", f"-{release}+{catalogue.fork_name}", 1)
            if catalogue.fork_name
            else line
        )
        started = build(parse(line, catalogue))
        if started.machine is not None:
            built = _with_defaults(started.machine) if addition else started.machine
            return DefaultMachine(shown, started.messages, Instance(built), refusal)
        refusal = refusal or started.messages or ("(no message)",)
    return DefaultMachine(f"qemu-{release} -machine {machine} {arguments}".rstrip(), refusal, None)


def _with_defaults(machine: Machine) -> Machine:
    """Return the machine as it starts without additions on a host that has everything TCG lacks."""
    untouched = copy(machine)
    untouched.given = (False,) * len(machine.given)
    untouched.effective_levels = machine.default_levels
    return untouched


@dataclass(frozen=True)
class SectionName:
    """The names of a section in a stream of a default machine.

    ``compat``: the name and instance in streams of old releases, which a destination accepts too.
    """

    command_line: str
    idstr: str
    instance_id: int
    alias_id: int | None
    compat: tuple[str, int] | None
    version_id: int
    section_id: int | None
    priority: int
    sent: bool

    def as_json(self) -> dict[str, object]:
        """Return the names as a JSON object."""
        return dict(vars(self))


def section_names(machine: DefaultMachine, name: str | None = None) -> list[SectionName]:
    """List the sections that the machine registers, in sending order: those called ``name``, or all."""
    return [
        SectionName(
            machine.command_line,
            device.idstr,
            device.instance_id,
            device.alias_id,
            device.compat,
            device.version_id,
            section_id,
            int(device.priority),
            device.needed() if isinstance(device, Device) else device.active(),
        )
        for section_id, device in registered(machine, name)
        if name is None or name == name_of(device)
    ]


def name_of(device: Device | LiveDevice) -> str:
    """Return the name of a device's section without its path."""
    return device.description.name if isinstance(device, Device) else device.idstr


def registered(
    machine: DefaultMachine, name: str | None = None
) -> Iterator[tuple[int | None, Device | LiveDevice]]:
    """Yield the devices of a machine with their section ids; the configuration, not a section, has none.

    Of the hundreds of hotplug connectors, one of each kind is included, without an id, if ``name`` is theirs.
    """
    if machine.instance is None:
        return
    if machine.instance.configuration is not None:
        yield None, machine.instance.configuration
    for entry in machine.instance.entries:
        if isinstance(entry.device, Device | LiveDevice):
            yield entry.section_id, entry.device
    if name in {SPAPR_DRC.name, SPAPR_DRC_PHYSICAL.name}:
        board = machine.instance.board
        for group in board.connectors:
            found = connector(board, group, name, group.kind.index(group.first))
            if found is not None:
                yield None, found.device


#: Sections of devices that every machine has, or that need more than a name to be plugged.
_SECTIONS = {
    "spapr-vty": "spapr_vty",
    "spapr-nvram": "spapr_nvram",
    "spapr-vlan": "spapr_llan",
    "spapr-vscsi": "spapr_vscsi",
    "spapr-pci-host-bridge": "spapr_pci",
    "scsi-cd": "scsi-disk",
}


_DISK = "-drive if=none,id=d,file=null-co://,format=raw -device virtio-blk-pci,drive=d"


def option(driver: str) -> str:
    """Return the options that plug a device: the device itself, and the bus or disk that it needs."""
    if driver == "virtio-blk-pci":
        return f"-nodefaults {_DISK}"
    bus = "-device nec-usb-xhci " if driver.startswith("usb-") else ""
    return f"-nodefaults {bus}-device {driver}{_NEEDS.get(driver, '')}"


#: The properties without which QEMU refuses a device.
_NEEDS = {
    **dict.fromkeys(("pci-bridge", "pci-bridge-seat"), ",chassis_nr=1"),
    "virtio-crypto-pci": ",cryptodev=c -object cryptodev-backend-builtin,id=c",
}


def sections_of_drivers(catalogue: Catalogue, release: Release) -> dict[str, str]:
    """Return the section that each driver of ``-device`` in ``release`` sends, by driver."""
    machine = catalogue.binary(release).default_type
    known = {*_names(catalogue, release, machine, "-nodefaults")}
    found = dict(_SECTIONS)
    for driver in drivers():
        names = _names(catalogue, release, machine, option(driver))
        new = [name for name in names if name not in known]
        if new and driver not in found:
            found[driver] = new[-1]
    return found


def _names(catalogue: Catalogue, release: Release, machine: str, arguments: str) -> list[str]:
    try:
        started = start(catalogue, release, machine, arguments)
    except ConfigurationError:
        return []
    return [name_of(device) for _, device in registered(started)]
