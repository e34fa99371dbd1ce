"""A simulated destination, a pseries machine of some release."""

from __future__ import annotations

from functools import cached_property

from vmstate.conversion.destination import Destination, Load
from vmstate.conversion.mending import PSERIES, fixes
from vmstate.conversion.problem import PseriesProblem
from vmstate.conversion.silent import STOPPED, silent_checks
from vmstate.describe import SaveFailure
from vmstate.errors import NotModelled
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import received_by, sent_by
from vmstate.tree.contents import Contents


class Simulated(Destination):
    """A simulated destination, started once.  Raises ConfigurationError if it is not modelled."""

    promise = "accepted{}"

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.text = configuration.text
        self.declarations = PseriesDeclarations(configuration.catalogue)
        self._start = build(configuration)
        self.machine_type = "" if self._start.machine is None else self._start.machine.type_name

    def load(self, contents: Contents) -> Load:
        """Load a stream.  Raises NotModelled."""
        received = received_by(contents.stream.data, self._start)
        verdict, instance = received.verdict, received.instance
        check = verdict.decided_by if verdict.outcome == Outcome.REJECT else None
        if instance is None:
            return Load(verdict, check)
        if verdict.outcome == Outcome.ACCEPT:
            check = next(silent_checks(contents, instance), None)
        if check is None:
            return Load(verdict)
        problem = PseriesProblem(check, contents, self, instance, self.configuration)
        return Load(verdict, check, fixes(PSERIES, problem, alone=("unknown-section", STOPPED)))

    @cached_property
    def own(self) -> Contents | None:
        """The tree of the stream that it would send itself after a reset; None if it sends none."""
        try:
            sent = sent_by(self._start)
        except (NotModelled, SaveFailure):
            return None
        return None if sent.stream is None else self.contents(iter([sent.stream]))
