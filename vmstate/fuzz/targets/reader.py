"""Our own reading of a stream, from any machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from vmstate.compare.verify import verify
from vmstate.dataclass import replace
from vmstate.errors import Finding, Severity, StreamError, VmstateError
from vmstate.fuzz.faults import Fault, Kind, Run, escaped, template
from vmstate.judge.comparison import Answer
from vmstate.pseries.declarations import pseries_declarations
from vmstate.pseries.meanings import meanings
from vmstate.simulate.reloading import Beginning
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.display import text_of_place
from vmstate.tree.measuring import Measured
from vmstate.tree.nodes import is_open
from vmstate.tree.paths import walk


class Reader:
    """The target that does what ``vmstate show`` and ``vmstate verify`` do.

    It accepts a stream without findings above information, and rejects all others, also unreadable ones.
    """

    name = "reading"

    def __init__(self) -> None:
        self._declarations = pseries_declarations()
        self._meanings = meanings()

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Show and verify the stream."""
        start = time.perf_counter()
        run = self._read(bytes(stream))
        return replace(run, seconds=time.perf_counter() - start)

    def _read(self, data: bytes) -> Run:
        try:
            self.show(data)
            return _verified_run(self._verified(data))
        except VmstateError as error:
            lost = isinstance(error, StreamError) and error.offset is None
            faults = (_nowhere(str(error)),) if lost else ()
            return Run(self.name, Answer("reject", (str(error),), rule=type(error).__name__), faults)
        except Exception as error:  # noqa: BLE001 - a campaign looks for any exception that escapes
            fault = escaped(error)
            error.__traceback__ = None  # its frames hold the stream
            return Run(self.name, Answer("escaped"), (fault,))

    def show(self, data: bytes) -> None:
        """Write every field of a stream as text.  Raises VmstateError."""
        stream = open_stream(data, Measured(self._declarations))
        for place in walk(Contents(stream, self._declarations)):
            if not is_open(place.node):
                text_of_place(place, self._meanings)

    def _verified(self, data: bytes) -> tuple[Finding, ...]:
        stream = open_stream(data, Measured(self._declarations))
        return verify(Contents(stream, self._declarations)).findings

    def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _verified_run(findings: Sequence[Finding]) -> Run:
    """Return a run with a line for each finding; the first finding above information decides."""
    serious = [finding for finding in findings if finding.severity != Severity.INFO]
    placed = (finding for finding in findings if finding.rule != "findings.more")  # it only counts others
    faults = tuple(_nowhere(str(finding)) for finding in placed if finding.place.offset is None)
    answer = Answer(
        "reject" if serious else "accept",
        tuple(str(finding) for finding in findings),
        rule=serious[0].rule if serious else None,
    )
    return Run(
        Reader.name,
        answer,
        faults[:1],
        rules=frozenset(finding.rule for finding in findings),
    )


def _nowhere(text: str) -> Fault:
    return Fault(Kind.NOWHERE, template(text), text)
