"""A QEMU process: a machine and its registered devices, which can save or load a stream."""

from __future__ import annotations

from vmstate.describe import Cursor, NotMigratable
from vmstate.describe.diagnostics import Aborted, Diagnostic, Stalled
from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.pseries.board.device import Device
from vmstate.pseries.cas.negotiation import Negotiated
from vmstate.pseries.devices.host.configuration import Configuration as ConfigurationSection
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.devices.host.ram import PAGE_SIZE
from vmstate.pseries.machine import Machine
from vmstate.pseries.registration import connector, register
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers
from vmstate.savevm.loader import Loader
from vmstate.savevm.messages import lines
from vmstate.savevm.saver import Saver
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.guest_memory import GuestMemory


class Instance:
    """One QEMU process, with its own ``machine``.

    ``guest``: the guest that booted; ``linux``: its version, if its drivers run; ``negotiated``: the result
    of its CAS call; ``ended``: QEMU has exited.
    """

    def __init__(self, built: Machine, *, trace: bool = False) -> None:
        self.machine = machine = built.boot(trace=trace)
        self.guest: str | None = None
        self.linux: Release | None = None
        self.negotiated: Negotiated | None = None
        self.ended = False
        self.connectors: dict[tuple[str, int], Described] = {}
        self._register()
        self.configuration = ConfigurationSection(machine) if machine.flags.send_configuration else None

    def _register(self) -> None:
        """Register the devices as they are after a reset."""
        machine = self.machine
        machine.entries = register(machine)
        machine.adapt(entry.device for entry in machine.entries)

    def reset(self) -> None:
        """Put every device in the state after a reset; KVM's state stays.  The guest is gone."""
        self._register()
        self.connectors.clear()
        self.guest = self.linux = self.negotiated = None

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
        machine, configuration = self.machine, self.configuration
        for entry in machine.entries:
            if isinstance(entry.device, Device) and entry.device.description.unmigratable:
                raise NotMigratable(entry.device.idstr)
        saver = Saver(
            release=machine.release,
            entries=machine.entries,
            configuration=configuration,
            configuration_plan=configuration.plan if configuration is not None else None,
            footers=machine.flags.send_section_footer,
            vmdescription=not machine.suppress_vmdesc,
            page_size=PAGE_SIZE,
        )
        return saver.run().join()

    def load(self, data: memoryview) -> Verdict:
        """Load a stream; the verdict's messages are those of the load only.  Raises NotModelled."""
        machine, configuration = self.machine, self.configuration
        cur = Cursor(data, judge=True)
        machine.guest_memory = GuestMemory(data, machine.ram_size).read
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
            rare=self._connector,
            take_over=self._take_over,
        )
        try:
            ret = loader.run()
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

    def _take_over(self) -> None:
        for state in self.machine.registered(GlobalState):
            state.take_over()

    def _connector(self, idstr: str, instance_id: int) -> Described | None:
        """Return the connector that a stream names; it is made on demand, as few streams name any."""
        key = idstr, instance_id
        found = self.connectors.get(key) or connector(self.machine, idstr, instance_id)
        if found is not None and key not in self.connectors:
            self.machine.adapt([found])
            self.connectors[key] = found
        return found

    def device(self, idstr: str, instance_id: int = 0) -> Described | SaveVMHandlers | None:
        """Return the section with that name and instance, or None."""
        return self.machine.device(idstr, instance_id) or self.connectors.get((idstr, instance_id))
