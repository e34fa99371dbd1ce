"""A recorded destination: a machine of any kind, as far as the record of a QEMU knows it."""

from __future__ import annotations

from vmstate.conversion import any_machine
from vmstate.conversion.destination import Destination, Load
from vmstate.conversion.mending import RECORDED, fixes
from vmstate.conversion.problem import Problem
from vmstate.records import Judge, Record
from vmstate.tree.contents import Contents
from vmstate.tree.declarations import Declarations


class Recorded(Destination):
    """A machine type of a record.  Raises ConfigurationError if the record has no stream of it.

    ``declarations`` decode sections that a stream does not describe itself.
    """

    promise = "not refused{} by anything that was compared"

    def __init__(self, record: Record, machine: str, declarations: Declarations) -> None:
        self.record = record
        self.text = f"{machine} of QEMU {record.release}, as recorded"
        self.declarations = declarations
        self._judge = Judge(record, machine)
        self.machine_type = machine

    def load(self, contents: Contents) -> Load:
        """Compare a stream with the record.  Raises NotModelled where that is not known."""
        judgement = self._judge.judge(contents.stream)
        if judgement.unknown is not None:
            raise judgement.unknown
        verdict, check = judgement.verdict, judgement.verdict.decided_by
        if check is None:
            return Load(verdict, findings=judgement.findings)
        problem = Problem(check, contents, self)
        found = fixes(RECORDED, problem, any_machine.reset, alone=("section",))
        return Load(verdict, check, found, judgement.findings)

    @property
    def own(self) -> Contents | None:
        """The tree of the stream that was recorded."""
        return self._judge.contents
