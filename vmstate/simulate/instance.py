"""A machine that runs: what it was built as, its devices as registered, and its stderr."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Cursor
from vmstate.describe.reports import Report
from vmstate.pseries.board import Registered
from vmstate.pseries.devices.configuration import Configuration as ConfigurationSection
from vmstate.pseries.registration import register
from vmstate.simulate.loader import Loader
from vmstate.simulate.machine import Machine
from vmstate.simulate.messages import lines
from vmstate.simulate.saver import Saver
from vmstate.simulate.verdict import Check, Outcome, Verdict


class Instance:
    """One QEMU process.  Devices see it as their ``machine``: it has all that the built Machine has.

    ``console``: what hooks print, and what the loader reports, in order.  ``trace``: every check, if wanted.
    """

    def __init__(self, built: Machine, trace: list[Check] | None = None) -> None:
        self.built = built
        self.release = built.release
        self.flags = built.flags
        self.type_name = built.name
        self.nr_servers = built.topology.max_servers
        self.console: list[Report | str] = []
        self.trace = trace
        self.entries: list[Registered] = register(self)
        self.configuration = ConfigurationSection(self) if built.flags.send_configuration else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.built, name)

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
        )
        ret = loader.run()
        return Verdict(
            outcome=Outcome.ACCEPT if ret == 0 else Outcome.REJECT,
            messages=lines(self.console, ret, self.release),
            decided_by=loader.decided_by if ret else None,
            errno=-ret,
            trace=self.trace or [],
        )
