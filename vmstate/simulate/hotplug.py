"""Devices that are plugged into a running machine and unplugged from it, as QMP's commands do.

softmmu/qdev-monitor.c ``qdev_device_add``, ``qdev_unplug``; hw/ppc/spapr.c, spapr_pci.c and spapr_drc.c.

A guest is notified of a change by an entry in its event log.  A device that it was asked to release stays
until it does so (vmstate/simulate/answers.py), or until the next reset; one that it has not taken in yet goes
at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from vmstate.dataclass import dataclass
from vmstate.describe import Record
from vmstate.describe.history import History, Span
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.interrupts import IRQ_EPOW
from vmstate.pseries.board.pci_bus import CONNECTOR_CHECKS, PCI, PciSlots, slot_number
from vmstate.pseries.board.properties import number_of
from vmstate.pseries.devices import drivers, real_name
from vmstate.pseries.devices.host.pc_dimm import PC_DIMM
from vmstate.pseries.devices.interrupts.xics import Ics
from vmstate.pseries.devices.pci.pci_device import PciState
from vmstate.pseries.devices.pci.spapr_pci import DRIVER as HOST_BRIDGE
from vmstate.pseries.devices.spapr.event_log import Action, by_count, by_count_indexed, by_index
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.devices.spapr.spapr_drc import SPAPR_DRC, SPAPR_DRC_PHYSICAL, SpaprDrc, SpaprDrcPhysical
from vmstate.pseries.machine import Change, Refused
from vmstate.pseries.options import DeviceOption, parse_opts_and_id
from vmstate.pseries.recorded_devices import find_driver
from vmstate.pseries.rules.compat_register import processors, store_compat
from vmstate.pseries.rules.memory import MEMORY_BACKENDS
from vmstate.pseries.startup.buses import BusesInUse
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.cpu_cores import is_core, plug_core
from vmstate.pseries.startup.device_options import check_id, create_device, driver_of
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.simulate.instance import Instance

#: The rules were checked from this release on.
KNOWN = Span(since="5.2")

_NOT_PLUGGABLE = History(
    "Parameter 'driver' expects pluggable device type",
    ("6.0", "Parameter 'driver' expects a pluggable device type"),
    ("10.0", "Device '{}' does not support hotplugging"),
)
#: Cards that need a partner on the host, so what they send was not compared with QEMU.
_NOT_COMPARED = ("vhost-", "virtio-9p-", "virtio-input-host-")
_BUS_WITHOUT = "Bus 'spapr-vio' does not support hotplugging"
_DUPLICATE_FIRST = History(True, ("6.2", False))
_FUNCTION_0 = History(
    "new func {} cannot be exposed to guest.",
    ("6.0", "additional functions can no longer be exposed to guest."),
)
_IN_PROGRESS = History(False, ("6.0", True))
_ASKED_AGAIN = History(False, ("6.0", True))
_BEFORE_CAS = History(False, ("6.0", True))
_DELETED_IN_USE = History(
    "object '{}' is in use, can not be deleted",
    ("11.1", "Cannot delete host memory backend '{}' which is mapped"),
)
#: Under TCG an unplugged processor stayed among those that are notified of a change of memory; if it has run,
#: 7.2, 10.0 and 10.2 crash at the next migration, and 11.1 does not.
_FORGETS_PROCESSORS, _FORGETS_RUN_PROCESSORS = Span(since="10.0"), Span(since="11.1")
#: Linux refuses to release memory by taking its connectors again (drc_unisolate_logical).
_NOTICES_REFUSAL = Span(since="6.1")
#: What a guest may answer when it is asked to release memory: it does, it does not, or QEMU notices that.
MEMORY_ANSWERS = RELEASED, KEPT, REFUSED = "released", "kept", "refused"
_REFUSED_BY_GUEST = "Device hotunplug rejected by the guest for device {}"


@dataclass
class Hotplug:
    """The changes of one process, which was started as ``configuration``."""

    instance: Instance
    configuration: Configuration

    def device_add(self, text: str) -> None:
        """Plug a device: ``DRIVER,PROPERTY=VALUE,…``.  Raises Refused with QEMU's answer."""
        option = _option("device_add", text, "driver")
        option = DeviceOption(real_name(option.driver, self.instance.release), option.properties, option.text)
        self._check_known()
        self.instance.keep_tree()
        with _without_prefix(option):
            self._device_add(option)

    def device_del(self, text: str) -> None:
        """Unplug the device with that id, or ask the guest to release it: ``ID``, ``ID released``, ….

        Raises Refused; ConfigurationError if the guest's answer is not one, or of something else than memory.
        """
        name, _, said = text.partition(" ")
        self._check_known()
        option = next((one for one in self.instance.machine.present if one.id == name), None)
        if option is None:
            raise Refused(f"Device '{name}' not found")
        if said and (said not in MEMORY_ANSWERS or option.driver != PC_DIMM or self.instance.guest is None):
            words = ", ".join(MEMORY_ANSWERS)
            raise ConfigurationError(
                f"device_del {text}: only what a guest answers about memory can follow: {words}"
            )
        self.instance.keep_tree()
        self._device_del(option)
        self.instance.said[name] = said

    def object_add(self, text: str) -> None:
        """Create the memory of a module.  Raises Refused."""
        made = _option("object_add", text, "qom-type")
        machine = self.instance.machine
        self._check_known()
        if made.driver not in MEMORY_BACKENDS or {one.name for one in made.properties} != {"id", "size"}:
            raise NotModelled(f"{made.text} is not modelled")
        if any(
            one.id == made.id and not machine.is_deleted(one)
            for one in (*machine.objects, *machine.added_objects)
        ):
            raise Refused(f"attempt to add duplicate property '{made.id}' to object (type 'container')")
        machine.added_objects.append(made)

    def object_del(self, name: str) -> None:
        """Delete memory that no module uses.  Raises Refused."""
        machine = self.instance.machine
        self._check_known()
        backend = machine.find_object(name)
        if backend is None:
            raise Refused(f"object '{name}' not found")
        if backend.driver not in MEMORY_BACKENDS or backend in machine.memory_backends:
            raise NotModelled(f"object_del of a {backend.driver} is not modelled")
        if any(one.driver == PC_DIMM and one.get("memdev") == name for one in machine.present):
            raise Refused(_DELETED_IN_USE.at(machine.release).format(name))
        machine.deleted_objects.append(backend)

    def finish_unplugs(self) -> None:
        """Release every device that the guest was asked to release, as a reset does."""
        self.release([drc for drc in self.connectors_in_use() if drc.unplug_requested])

    def connectors_in_use(self) -> list[SpaprDrc]:
        """Return the connectors that may not be at rest."""
        found = (entry.device for entry in self.instance.connectors.values())
        return [device for device in found if isinstance(device, SpaprDrc)]

    def release(self, drcs: Iterable[SpaprDrc]) -> None:
        """Detach the devices of connectors."""
        for drc in drcs:
            if drc.attached and (drc.idstr, drc.instance_id) in self.instance.connectors:
                self._release(drc)

    def device_on(self, drc: SpaprDrc) -> DeviceOption:
        """Return the device that is attached to a connector."""
        return next(one for one in self.instance.machine.present if self._is_on(drc, one))

    def fetch_log(self) -> bool:
        """Let the guest read its event log; return False if there is nothing in it."""
        spapr = self._spapr
        found = bool(spapr.pending_events)
        spapr.pending_events = []
        return found

    def refuse_release(self, option: DeviceOption) -> None:
        """Take back the request to release a module, which the guest has refused (6.1 on)."""
        if not _NOTICES_REFUSAL.covers(self.instance.release):
            raise NotModelled(
                f"QEMU {self.instance.release} and a guest that keeps {option.id}: not modelled"
            )
        kind, numbers = self._connectors(option)
        for number in numbers:
            self._drc(kind, number).unplug_requested = False
        self.instance.leaving = [one for one in self.instance.leaving if one is not option]
        self.instance.machine.say(_REFUSED_BY_GUEST.format(option.id))

    @property
    def guest_has_booted(self) -> bool:
        """True if a guest has made its CAS call, here or before it was migrated here."""
        return self.instance.guest is not None or bool(self._spapr.ov5_cas.bitmap)

    def _check_known(self) -> None:
        machine = self.instance.machine
        if not KNOWN.covers(machine.release):
            raise NotModelled(
                f"hotplug on QEMU {machine.release} is not modelled, only from {KNOWN.since} on"
            )
        if self.guest_has_booted and self.instance.guest is None:
            raise NotModelled("hotplug into a guest that has booted, and is not known, is not modelled")
        if not machine.tcg:
            raise NotModelled("hotplug under another accelerator than TCG is not modelled")
        if machine.flags.pre_2_10_has_unused_icps:
            raise NotModelled(f"hotplug on {machine.type_name} is not modelled")

    # ---- plugging

    def _device_add(self, option: DeviceOption) -> None:
        machine = self.instance.machine
        start = Startup(self.configuration, self.configuration.catalogue.binary(machine.release), machine)
        present = machine.present
        if _DUPLICATE_FIRST.at(machine.release) and any(one.id == option.id for one in present if option.id):
            raise Refused(f"Duplicate ID '{option.id}' for device")
        if is_core(option.driver):
            check_id(option, present)
            if not machine.flags.has_hotpluggable_cpus:
                raise NotModelled(f"CPU hotplug on {machine.type_name} is not modelled")
            plug_core(start, option, present)
            self._plug(option)
            return
        driver = driver_of(start, option)
        buses = BusesInUse.of(machine)
        bus = buses.find(driver, option)
        if driver.vio_name:
            raise Refused(_BUS_WITHOUT)
        if not driver.hotpluggable:
            raise Refused(_NOT_PLUGGABLE.at(machine.release).format(driver.name))
        check_id(option, present)
        compared = driver.bus == PCI and not driver.name.startswith(_NOT_COMPARED)
        if driver.name not in drivers() or not (compared or driver.name in {PC_DIMM, HOST_BRIDGE}):
            raise NotModelled(f"{option.text} is not modelled")
        if driver.name == HOST_BRIDGE and not machine.flags.dr_phb_enabled:
            raise Refused("PHB hotplug not supported for this machine")
        if isinstance(bus, PciSlots):
            self._check_function(bus, option)
        create_device(start, option, driver, buses, bus, present)
        if start.messages:
            raise NotModelled(f"{option.text}: what the device prints is not modelled")
        self._plug(option)

    def _check_function(self, bus: PciSlots, option: DeviceOption) -> None:
        """Refuse a function of a slot whose first function the guest knows already (``spapr_pci_pre_plug``).

        A device without an address was for QEMU the last function of the last slot, when this came first.
        """
        release = self.instance.release
        address, comes_first = option.get("addr"), CONNECTOR_CHECKS.at(release)
        number = slot_number(address) if address is not None else 0xFF if comes_first else None
        if number is None or (number in bus.taken and not comes_first):
            return
        first = bus.taken.get(number & ~7)
        if number & 7 and first is not None:
            text = _FUNCTION_0.at(release).format(option.driver)
            raise Refused(f"PCI: slot {number >> 3} function 0 already occupied by {first.name}, {text}")

    def _plug(self, option: DeviceOption) -> None:
        """Plug a device that was checked, attach it to its connectors, and notify the guest."""
        machine = self.instance.machine
        backend = machine.find_object(option.get("memdev")) if option.driver == PC_DIMM else None
        for device in self.instance.change(Change(option, backend=backend)):
            pci = getattr(device, "pci", None)
            if isinstance(pci, PciState):
                pci.never_reset()
        kind, numbers = self._connectors(option)
        for number in numbers:
            for part in self._parts(kind, number, attached=False):
                part.attached = True
        if is_core(option.driver):
            boot, *others = processors(machine)
            for cpu in others[-machine.topology.threads :]:
                store_compat(cpu, boot.compat_pvr)
        if kind is not DrcType.PCI:
            self._notify(kind, Action.ADD, numbers)
        elif not numbers[0] & 7:
            self._notify(kind, Action.ADD, self._functions(numbers[0]))

    # ---- unplugging

    def _device_del(self, option: DeviceOption) -> None:
        if is_core(option.driver):
            self._ask_core(option)
            return
        driver = drivers().get(option.driver)
        if driver is None:
            raise NotModelled(f"device_del of a {option.driver} is not modelled")
        if driver.vio_name:
            raise Refused(_BUS_WITHOUT)
        if not driver.hotpluggable:
            raise Refused(f"Device '{driver.name}' does not support hotplugging")
        if driver.name == HOST_BRIDGE and not self.instance.machine.flags.dr_phb_enabled:
            raise Refused("PHB hot unplug not supported on this machine")
        if driver.bus == PCI and driver.behind is not None and driver.behind.kind == PCI:
            raise Refused("PCI: Hot unplug of PCI bridges not supported")
        self._check_alone(option)
        if driver.name == PC_DIMM:
            self._ask_module(option)
        elif driver.name == HOST_BRIDGE:
            self._ask_bridge(option)
        elif driver.bus == PCI:
            self._ask_card(option)
        else:
            raise NotModelled(f"device_del of a {driver.name} is not modelled")

    def _check_alone(self, option: DeviceOption) -> None:
        """Raise NotModelled if a device on its bus may go with it, other than the cards of a host bridge."""
        hosts = self._cards(option) if option.driver == HOST_BRIDGE else [option]
        kinds = {driver.behind.kind for driver in self._drivers(hosts) if driver.behind is not None}
        others = [one for one in self.instance.machine.present if all(one is not host for host in hosts)]
        if any(driver.bus in kinds for driver in self._drivers(others)):
            raise NotModelled(f"device_del {option.id}: a device with a bus in use is not modelled")

    def _drivers(self, options: Sequence[DeviceOption]) -> list[Driver]:
        found = (find_driver(one.driver, self.instance.machine) for one in options)
        return [driver for driver in found if driver is not None]

    def _cards(self, bridge: DeviceOption) -> list[DeviceOption]:
        """Return the cards on the buses behind a device."""
        buses = (bus for bus in self.instance.board.pci_buses() if bus.provider is bridge)
        return [one.option for bus in buses for one in bus.taken.values() if one.option is not None]

    def _ask_core(self, option: DeviceOption) -> None:
        kind, numbers = self._connectors(option)
        asked = self._request(self._drc(kind, numbers[0]))
        if asked or _ASKED_AGAIN.at(self.instance.release):
            self._notify(kind, Action.REMOVE, numbers)

    def _ask_module(self, option: DeviceOption) -> None:
        """``spapr_memory_unplug_request``: before its CAS call a guest may understand it (6.0 on)."""
        kind, numbers = self._connectors(option)
        before_cas = not self._spapr.ov5_cas.bitmap and _BEFORE_CAS.at(self.instance.release)
        if not self._knows_ranges and not before_cas:
            raise Refused("Memory hot unplug not supported for this guest")
        drcs = [self._drc(kind, number) for number in numbers]
        if any(one is option for one in self.instance.leaving):
            raise Refused(f"Memory unplug already in progress for device {option.id}")
        if len({drc.state for drc in drcs}) > 1:
            raise NotModelled(f"device_del {option.id}: a module that is partly in use is not modelled")
        self.instance.leaving.append(option)
        self.instance.kept_memory.difference_update(numbers)
        for drc in drcs:
            self._request(drc)
        self._log(by_count_indexed(kind, Action.REMOVE, numbers, self.instance.logged))

    def _ask_bridge(self, option: DeviceOption) -> None:
        kind, numbers = self._connectors(option)
        if self._request(self._drc(kind, numbers[0])):
            self._notify(kind, Action.REMOVE, numbers)
        elif _IN_PROGRESS.at(self.instance.release):
            raise Refused(f"PCI Host Bridge unplug already in progress for device {option.id}")

    def _ask_card(self, option: DeviceOption) -> None:
        """``spapr_pci_unplug_request``: with function 0 all functions of the slot go."""
        kind, numbers = self._connectors(option)
        drc = self._drc(kind, numbers[0])
        if drc.unplug_requested:
            if _IN_PROGRESS.at(self.instance.release):
                raise Refused(f"PCI device unplug already in progress for device {option.id}")
            return
        if drc.number & 7:
            self._request(drc)
            return
        for number in self._functions(drc.number)[1:]:
            self._request(self._drc(kind, number))
        self._request(drc)
        self._notify(kind, Action.REMOVE, self._functions(drc.number)[::-1])

    def _request(self, drc: SpaprDrc) -> bool:
        """Ask for a release, unless it was asked for already; return True if so.

        It is immediate while the guest has not taken in the device (``spapr_drc_unplug_request``).
        """
        if drc.unplug_requested:
            return False
        drc.unplug_requested = True
        if drc.state == drc.empty_state:
            self._release(drc)
        return True

    def _release(self, drc: SpaprDrc) -> None:
        """Detach a connector's device, which goes with its last connector (``spapr_drc_release``)."""
        machine = self.instance.machine
        option = self.device_on(drc)
        kind, numbers = self._connectors(option)
        drcs = [self._drc(kind, number) for number in numbers]
        for part in self._parts(drc.kind, drc.number):
            part.attached = False
        drc.state, drc.unplug_requested = drc.empty_state, False
        if any(other.attached for other in drcs):
            return
        forgets = _FORGETS_RUN_PROCESSORS if self.instance.has_run else _FORGETS_PROCESSORS
        if is_core(option.driver) and not forgets.covers(machine.release):
            raise NotModelled(
                f"QEMU {machine.release} may crash after a core was unplugged under TCG: not modelled"
            )
        for card in self._cards(option):
            self.instance.change(Change(card, unplugged=True))
        self.instance.change(Change(option, unplugged=True))
        if option.driver == HOST_BRIDGE:
            machine.bridges.remove(number_of(option, "index", 0))

    # ---- connectors

    def _is_on(self, drc: SpaprDrc, option: DeviceOption) -> bool:
        found = self._connectors(option)
        return drc.kind is found[0] and drc.number in found[1]

    def _connectors(self, option: DeviceOption) -> tuple[DrcType, range]:
        """Return the kind and the numbers of the connectors of a plugged device; none for other devices."""
        board = self.instance.board
        if is_core(option.driver):
            first = self.instance.machine.topology.vcpu_id(number_of(option, "core-id", 0))
            return DrcType.CPU, range(first, first + 1)
        if option.driver == HOST_BRIDGE:
            index = number_of(option, "index", 0)
            return DrcType.PHB, range(index, index + 1)
        if option.driver == PC_DIMM:
            return DrcType.LMB, next(one.connectors for one in board.modules if one.option is option)
        for bus in board.pci_buses():
            for number, function in bus.taken.items():
                if function.option is option and bus.connectors is not None:
                    return DrcType.PCI, range(bus.connectors + number, bus.connectors + number + 1)
        raise NotModelled(f"{option.text}: a slot without a connector is not modelled")

    def _functions(self, number: int) -> list[int]:
        """Return the numbers of the functions that are present in a slot, from its first one on."""
        return [one for one in range(number, number + 8) if self.instance.board.attached(DrcType.PCI, one)]

    def _parts(
        self, kind: DrcType, number: int, *, attached: bool | None = None
    ) -> list[SpaprDrc | SpaprDrcPhysical]:
        """Return a connector, and its indicator if it has one."""
        names = (SPAPR_DRC.name, SPAPR_DRC_PHYSICAL.name) if kind.physical else (SPAPR_DRC.name,)
        found = (self.instance.connector(name, kind.index(number), attached=attached) for name in names)
        return [part for part in found if part is not None]

    def _drc(self, kind: DrcType, number: int) -> SpaprDrc:
        part = self._parts(kind, number)[0]
        assert isinstance(part, SpaprDrc)
        return part

    # ---- the guest's event log

    @property
    def _spapr(self) -> Spapr:
        return next(self.instance.machine.registered(Spapr))

    @property
    def _knows_ranges(self) -> bool:
        """True if the guest has negotiated hot-plug events of their own."""
        return bool(self._spapr.ov5_cas.bitmap >> Ov5.HP_EVT & 1)

    def _notify(self, kind: DrcType, action: Action, numbers: Sequence[int]) -> None:
        """Notify the guest, of ranges only if it has negotiated them (spapr_hotplug_req_event)."""
        if kind is DrcType.LMB and self._knows_ranges:
            self._log(
                by_count_indexed(kind, action, range(numbers[0], numbers[-1] + 1), self.instance.logged)
            )
            return
        if kind is DrcType.LMB:
            self._log(by_count(kind, action, len(numbers), self.instance.logged))
            return
        for number in numbers:
            self._log(by_index(kind, action, number, self.instance.logged))

    def _log(self, entry: Record) -> None:
        """Append an entry, and signal it by an interrupt (``rtas_event_log_queue``).

        The interrupts of a guest that has booted are not simulated.
        """
        machine, spapr = self.instance.machine, self._spapr
        spapr.pending_events = [*spapr.pending_events, entry]
        self.instance.logged += 1
        if machine.has_xics and not spapr.uses_xive and not self.guest_has_booted:
            for sources in machine.registered(Ics):
                sources.pulse(IRQ_EPOW)


def _option(command: str, text: str, implied: str) -> DeviceOption:
    """Read the argument of a command, as the human monitor does."""
    if text.startswith("{"):
        raise NotModelled(f"{command}: JSON is not modelled: {text}")
    parts = parse_opts_and_id(text, implied)
    kind = next((one.value for one in parts if one.name == implied), "")
    return DeviceOption(kind, tuple(one for one in parts if one.name != implied), f"{command} {text}")


@contextmanager
def _without_prefix(option: DeviceOption) -> Iterator[None]:
    """Leave out of QEMU's message what it says about an option of the command line."""
    try:
        yield
    except Refused as refused:
        raise Refused(refused.lines[0].removeprefix(f"{option.text}: ")) from None
