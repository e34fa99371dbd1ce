"""A machine that runs: what it was built as, its devices as registered, and its stderr."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vmstate.describe import Cursor
from vmstate.describe.diagnostics import Aborted, HookFailed, Report, Stalled
from vmstate.pseries.board.board import Registered
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.cas.negotiation import Negotiated
from vmstate.pseries.changes import add_subsections, replace_hooks
from vmstate.pseries.devices.host.configuration import Configuration as ConfigurationSection
from vmstate.pseries.devices.host.ram import PAGE_SIZE
from vmstate.pseries.registration import connector, register
from vmstate.pseries.startup.build import Machine
from vmstate.savevm.loader import Loader
from vmstate.savevm.messages import lines
from vmstate.savevm.saver import Saver
from vmstate.savevm.verdict import Check, Outcome, Verdict


class Instance:
    """One QEMU process.  Devices see it as their ``machine``: it has all that the built Machine has.

    ``kvm_compat``: what KVM was told of compat modes, and the one that its guest really has.
    ``guest``: the one that booted, ``negotiated`` what its call led to; ``ended``: QEMU has exited since.
    ``console``: what hooks print, and what the loader reports, in order.  ``trace``: every check, if wanted.
    """

    def __init__(self, built: Machine, trace: list[Check] | None = None) -> None:
        self.__dict__.update(vars(built))  # what devices ask for most; __getattr__ has the rest
        self.built = built
        self.release = built.release
        self.flags = built.flags
        self.type_name = built.name
        self.kvm_compat = built.kvm_compat.copy()
        self.nr_servers = built.topology.max_servers
        self.console: list[Report | str] = []
        self.trace = trace
        self.xive_connected = not built.has_xics
        self.guest: str | None = None
        self.negotiated: Negotiated | None = None
        self.ended = False
        self.refused: Check | None = None
        self.connectors: dict[tuple[str, int], Device] = {}
        self.entries: list[Registered] = self._fresh()
        self.configuration = ConfigurationSection(self) if built.flags.send_configuration else None

    def _fresh(self) -> list[Registered]:
        """The devices as they are after a reset."""
        world, entries = self.built.world, register(self)
        if world.subsections:
            add_subsections((entry.device for entry in entries), world.subsections)
        if world.hooks:
            replace_hooks((entry.device for entry in entries), world.hooks)
        return entries

    def reset(self) -> None:
        """Put every device in the state after a reset; what KVM was told stays.  The guest is gone."""
        self.entries = self._fresh()
        self.connectors.clear()
        self.guest = self.negotiated = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.built, name)

    @property
    def ioctls(self) -> list[str]:
        """Registers that were written through KVM (KVM_SET_ONE_REG), in order."""
        return [str(written) for written in self.kvm_compat.written]

    def compared(
        self, device: Device, rule: str, path: str, incoming: object, local: object, *, passed: bool
    ) -> None:
        """A device's hook compared both sides' values: kept if it decided, or if a trace is wanted."""
        if passed and self.trace is None:
            return
        check = Check(rule, passed, "", device.idstr, device.instance_id, None, path, incoming, local)
        if self.trace is not None:
            self.trace.append(check)
        if not passed and self.refused is None:
            self.refused = check

    def save(self) -> bytes:
        """The stream that this machine sends, paused as it is.  Raises SaveFailure if a hook refuses."""
        configuration = self.configuration
        saver = Saver(
            release=self.release,
            entries=self.entries,
            configuration=configuration,
            configuration_plan=configuration.plan if configuration is not None else None,
            footers=self.flags.send_section_footer,
            vmdescription=not self.built.suppress_vmdesc,
            page_size=PAGE_SIZE,
        )
        return saver.run().join()

    def load(self, data: memoryview) -> Verdict:
        """Load a stream; the verdict's messages are those of the loading only."""
        cur = Cursor(data, judge=True)
        cur.reports = self.console
        configuration = self.configuration
        loader = Loader(
            cur=cur,
            entries=[entry.device for entry in self.entries],
            release=self.release,
            configuration=configuration,
            configuration_plan=configuration.plan if configuration is not None else None,
            footers=self.flags.send_section_footer,
            vmdescription=not self.built.suppress_vmdesc,
            trace=self.trace,
            rare=self._connector,
        )
        ret = loader.run()
        told = set(map(type, self.console))
        stalled = loader.stalled or Stalled in told
        return Verdict(
            outcome=Outcome.STALLED if stalled else Outcome.REJECT if ret else Outcome.ACCEPT,
            messages=lines(self.console, ret, self.release),
            decided_by=self._decided(loader) if ret else None,
            errno=-ret,
            trace=self.trace or [],
            aborted=Aborted in told,
        )

    def _connector(self, idstr: str, instance_id: int) -> Device | None:
        """A connector that a stream names; made when it is asked for, as few streams name any."""
        key = idstr, instance_id
        found = self.connectors.get(key) or connector(self, idstr, instance_id)
        if found is not None and key not in self.connectors:
            replace_hooks([found], self.built.world.hooks)
            self.connectors[key] = found
        return found

    def device(self, idstr: str, instance_id: int = 0) -> Device | LiveDevice | None:
        """The device with that section name and instance, or None."""
        for entry in self.entries:
            if (entry.device.idstr, entry.device.instance_id) == (idstr, instance_id):
                return entry.device
        return self.connectors.get((idstr, instance_id))

    def _decided(self, loader: Loader) -> Check | None:
        """The loader's own check; where a hook refused, what the hook compared, at the loader's place."""
        decided = loader.decided_by
        if decided is None or self.refused is None or decided.rule != HookFailed.rule():
            return decided
        return replace(self.refused, offset=decided.offset, message=decided.message)
