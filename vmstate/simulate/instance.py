"""A QEMU process: a machine and its registered devices, which can save or load a stream."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe import Cursor, NotMigratable, Writer
from vmstate.describe.cursor import Room
from vmstate.describe.diagnostics import Aborted, Diagnostic, Stalled
from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.pseries.board.device import Device
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.negotiation import Negotiated
from vmstate.pseries.devices.cpu.cpu import Cpu
from vmstate.pseries.devices.host.configuration import Configuration as ConfigurationSection
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.devices.host.ram import PAGE_SIZE, Ram
from vmstate.pseries.devices.host.timer import Timers
from vmstate.pseries.devices.interrupts.xics import Ics
from vmstate.pseries.devices.interrupts.xive import SpaprXive
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.devices.spapr.spapr_drc import ConnectorEntry, SpaprDrc, SpaprDrcPhysical
from vmstate.pseries.devices.spapr.spapr_rtc import SpaprRtc
from vmstate.pseries.machine import Change, Machine
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.registration import build, connector, memory_blocks, plug
from vmstate.pseries.tables.cpus import SPR_PVR
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers
from vmstate.savevm.loader import Loader
from vmstate.savevm.messages import lines
from vmstate.savevm.saver import Saver
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.guest_memory import GuestMemory


class Instance:
    """One QEMU process, with its own ``machine``.

    ``guest``: the guest that booted; ``linux``: its version, if its drivers run; ``negotiated``: the result
    of its CAS call; ``boots``: the guest that boots once the machine runs; ``running``: it runs, and is not
    stopped; ``has_run``: processors have run here; ``arrived``: the guest was migrated here.
    ``ended``: QEMU has exited; ``logged``: how many events it has reported to the guest;
    ``leaving``: memory modules that it has asked the guest to release, which a stream does not say;
    ``booted_memory``: the connectors of the memory modules with which the guest has booted;
    ``kept_memory``: of those that it was asked to release, and has kept; ``said``: what the user says of its
    answer, by the id of a module; ``memory``: the guest's, in the stream that was loaded last.
    """

    def __init__(self, built: Machine, *, trace: bool = False) -> None:
        self.machine = machine = built.boot(trace=trace)
        self.memory: GuestMemory | None = None
        self.guest: Guest | None = None
        self.boots: Guest | None = None
        self.running = self.has_run = self.arrived = False
        self.linux: Release | None = None
        self.negotiated: Negotiated | None = None
        self.ended = False
        self.logged = 0
        self.leaving: list[DeviceOption] = []
        self.booted_memory: frozenset[int] = frozenset()
        self.kept_memory: set[int] = set()
        self.said: dict[str, str] = {}
        self.connectors: dict[tuple[str, int], ConnectorEntry] = {}
        self._register()
        self.configuration = ConfigurationSection(machine) if machine.flags.send_configuration else None

    def discard(self) -> None:
        """Free the process at once: its devices and its machine refer to one another, and to the stream.

        The garbage collector would find them, but only after some hundred megabytes of streams.
        """
        for one in (*(entry.device for entry in self.entries), self.board, self.machine, self):
            vars(one).clear()

    def _register(self) -> None:
        """Register the devices as they are after a reset."""
        machine = self.machine
        self.board = build(machine)
        machine.entries = self.board.sections()
        machine.adapt(entry.device for entry in machine.entries)

    def reset(self, release: Callable[[], None] = lambda: None) -> None:
        """Put every device in the state after a reset; clocks and KVM's state stay.  The guest is gone.

        ``release``: releases the devices that wait for it.  This comes late in a reset: the hash table has
        the size for their memory too, and the lights of their slots stay on.
        """
        for one in self.connectors.values():
            if isinstance(one.device, SpaprDrcPhysical):
                one.device.dr_indicator = one.device.rest_indicator
        clocks = {entry.device.idstr: vars(entry.device) for entry in self.entries if _is_clock(entry.device)}
        self._register()
        for entry in self.entries:
            vars(entry.device).update(clocks.get(entry.device.idstr, {}))
        release()
        self.connectors = {key: entry for key, entry in self.connectors.items() if _is_lit(entry.device)}
        self.guest = self.linux = self.negotiated = None
        self.running = self.arrived = False
        self.booted_memory, self.kept_memory, self.said = frozenset(), set(), {}

    def take_over_guest(self, source: Instance) -> None:
        """Let the guest of ``source``, whose stream was loaded, go on here."""
        self.guest, self.linux, self.negotiated = source.guest, source.linux, source.negotiated
        self.boots, self.running = source.boots, source.running
        self.booted_memory, self.kept_memory = source.booted_memory, set(source.kept_memory)
        self.arrived = self.has_run = source.guest is not None

    def keep_tree(self) -> None:
        """Keep the guest's device tree as it is, whatever is plugged or unplugged now."""
        for spapr in self.machine.registered(Spapr):
            spapr.keep_tree()

    def change(self, change: Change) -> list[Described | SaveVMHandlers]:
        """Plug a device into the running machine, or unplug one; return its sections."""
        machine, board = self.machine, self.board
        machine.changes.append(change)
        known = {id(entry) for entry in machine.entries}
        claimed = set(board.numbers.lsi)
        if change.unplugged:
            board.unplug(change.option)
            self.connectors = {key: one for key, one in self.connectors.items() if connector(board, *key)}
        else:
            plug(board, change.option)
        machine.entries = board.sections()
        new = [entry.device for entry in machine.entries if id(entry) not in known]
        machine.adapt(new)
        controllers: list[Ics | SpaprXive] = [*machine.registered(Ics), *machine.registered(SpaprXive)]
        for controller in controllers:
            for number in board.numbers.lsi.keys() - claimed:
                controller.claim(number)
            for number in claimed - board.numbers.lsi.keys():
                controller.free(number)
        for ram in machine.registered(Ram):
            ram.replace_blocks(memory_blocks(board))
        return new

    @property
    def release(self) -> Release:
        """The QEMU release."""
        return self.machine.release

    @property
    def entries(self) -> list[SaveStateEntry[Described | SaveVMHandlers]]:
        """The registered sections, in sending order."""
        return self.machine.entries

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The reports of hooks and the loader, in order."""
        return self.machine.diagnostics

    @property
    def ioctls(self) -> list[str]:
        """Registers that were written through KVM (KVM_SET_ONE_REG), in order."""
        return [str(written) for written in self.machine.kvm_compat.written]

    def save(self) -> bytes:
        """Return the stream that this machine sends, paused.

        Raises SaveFailure if a hook refuses, or a device that cannot be migrated.
        """
        return self._saved(described=True).join()

    def save_in(self, room: Room) -> memoryview:
        """Return the stream in ``room``, without what no destination reads.

        This is the text of its description, and the device tree, of which only the size counts.  Raises as
        :meth:`save` does.
        """
        for spapr in self.machine.registered(Spapr):
            spapr.leave_tree_out()
        return self._saved(described=False).join_in(room)

    def _saved(self, *, described: bool) -> Writer:
        machine, configuration = self.machine, self.configuration
        for entry in machine.entries:
            if isinstance(entry.device, Device) and entry.device.description.unmigratable:
                raise NotMigratable(entry.device.idstr)
        saver = Saver(
            release=machine.release,
            entries=self._sent(),
            configuration=configuration,
            configuration_plan=configuration.plan if configuration is not None else None,
            footers=machine.flags.send_section_footer,
            vmdescription=not machine.suppress_vmdesc,
            page_size=PAGE_SIZE,
            described=described,
            switchover_start=machine.flags.send_switchover_start,
        )
        return saver.run()

    def load(self, data: memoryview, passed: Callable[[Loader], None] | None = None) -> Verdict:
        """Load a stream; the verdict's messages are those of the load only.  Raises NotModelled.

        The bytes of the stream stay as they are, even if they can be written: devices refer to them.
        ``passed``: called with the loader between two sections.
        """
        machine, configuration = self.machine, self.configuration
        data = data.toreadonly()
        cur = Cursor(data, judge=True)
        self._look_into(data)
        cur.diagnostics = machine.diagnostics
        loader = Loader(
            cur=cur,
            entries=[entry.device for entry in machine.entries],
            release=machine.release,
            configuration=configuration,
            configuration_plan=configuration.plan if configuration is not None else None,
            footers=machine.flags.send_section_footer,
            vmdescription=not machine.suppress_vmdesc,
            trace=machine.trace,
            rare=self.connector,
            take_over=self._take_over,
            synchronize=self._put_registers,
            passed=passed,
        )
        return self._verdict(loader, loader.run)

    def go_on(self, loader: Loader, data: memoryview) -> Verdict:
        """Load the rest of a stream, which begins as the one that ``loader`` has loaded so far."""
        data, cur = data.toreadonly(), loader.cur
        cur.data, cur.end = data, len(data)
        self._look_into(data)
        return self._verdict(loader, loader.go_on)

    def _look_into(self, data: memoryview) -> None:
        self.memory = GuestMemory(data, self.machine.ram_size)
        self.machine.guest_memory = self.memory.read

    def _verdict(self, loader: Loader, load: Callable[[], int]) -> Verdict:
        machine = self.machine
        try:
            ret = load()
        except NotModelled as unknown:
            unknown.messages = lines(machine.diagnostics, 0, machine.release)
            raise
        reported = set(map(type, machine.diagnostics))
        stalled = loader.stalled or Stalled in reported
        return Verdict(
            outcome=Outcome.STALLED if stalled else Outcome.REJECT if ret else Outcome.ACCEPT,
            messages=lines(machine.diagnostics, ret, machine.release),
            decided_by=loader.decided_by if ret else None,
            errno=-ret,
            trace=machine.checks() if machine.trace else [],
            aborted=Aborted in reported,
        )

    def _put_registers(self) -> str | None:
        """Return the line of a QEMU whose KVM does not take a processor's registers."""
        rule = self.machine.rules.put_registers
        pvrs = [cpu.spr[SPR_PVR] & 0xFFFFFFFF for cpu in self.machine.registered(Cpu)]
        return next(filter(None, (rule(self.machine, pvr) for pvr in pvrs)), None)

    def _take_over(self) -> None:
        for state in self.machine.registered(GlobalState):
            state.take_over()

    def _sent(self) -> list[SaveStateEntry[Described | SaveVMHandlers]]:
        """Return the sections in sending order, with the connectors that are not at rest."""
        if not self.connectors:
            return self.entries
        return sorted(
            (*self.entries, *self.connectors.values()),
            key=lambda entry: (-entry.device.priority, entry.section_id),
        )

    def connector(
        self, idstr: str, instance_id: int, *, attached: bool | None = None
    ) -> SpaprDrc | SpaprDrcPhysical | None:
        """Return the connector, or its indicator; it is made on demand, as few of them matter.

        ``attached``: whether a new one has a device, if it is not as now.
        """
        key = idstr, instance_id
        found = self.connectors.get(key) or connector(self.board, idstr, instance_id, attached)
        if found is None:
            return None
        if key not in self.connectors:
            self.machine.adapt([found.device])
            self.connectors[key] = found
        return found.device

    def device(self, idstr: str, instance_id: int = 0) -> Described | SaveVMHandlers | None:
        """Return the section with that name and instance, or None."""
        found = self.machine.device(idstr, instance_id)
        rare = self.connectors.get((idstr, instance_id))
        return found if found is not None or rare is None else rare.device


def _is_clock(device: object) -> bool:
    return isinstance(device, Timers | SpaprRtc)


def _is_lit(device: object) -> bool:
    return isinstance(device, SpaprDrcPhysical) and device.dr_indicator != device.rest_indicator
