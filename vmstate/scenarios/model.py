"""A scenario: a question, its answer, and the cases that show it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from vmstate.dataclass import dataclass, field


class Ending(StrEnum):
    """The outcome of a case: that of a migration, or of the start of a machine."""

    ACCEPT = "accept"
    REJECT = "reject"
    SOURCE_REFUSED = "source-refused"
    DESTINATION_REFUSED = "destination-refused"
    STARTS = "starts"
    REFUSED = "refused"


@dataclass(frozen=True)
class Expected:
    """The expected result of a case; None where it is not compared.

    Lines are complete and in order.  ``sends``, ``omits``: names of sections and subsections that are, and
    are not, in the stream.  ``wire``: values in it, by the paths of ``vmstate show``; numbers, or texts as
    shown there.  ``machine``: the machine type of the source, or of the start.  ``kvm``: the one-reg ioctls
    of the source, then those of the destination.  ``guest_after``: the outcome for the guest.  ``after``:
    state of the destination's devices after loading (``cpu[1].quiesced``), in Python's notation.
    """

    outcome: Ending
    source_messages: tuple[str, ...] | None = None
    messages: tuple[str, ...] | None = None
    sends: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()
    wire: Mapping[str, int | str] = field(default_factory=dict)
    machine: str | None = None
    kvm: tuple[str, ...] | None = None
    kvm_source: tuple[str, ...] | None = None
    kvm_destination: tuple[str, ...] | None = None
    guest_after: str | None = None
    after: Mapping[str, int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One run: a migration, a start, or the load of a captured stream.

    ``guest``: the kernel that boots on the source; ``events``: the events after that.  ``edits``: changes to
    the stream on its way, as for ``vmstate edit``.  ``snapshot``: the source saves a snapshot (savevm)
    instead of migrating.  ``real``: the result of real QEMU, or why it could not be run.  ``table``, ``row``,
    ``column``: its place if it is a cell of a table.
    """

    name: str
    expected: Expected
    about: str = ""
    source: str | None = None
    destination: str | None = None
    start: str | None = None
    stream: str | None = None
    edits: tuple[str, ...] = ()
    guest: str | None = None
    events: tuple[str, ...] = ()
    snapshot: bool = False
    real: str = ""
    table: str | None = None
    row: str = ""
    column: str = ""

    @property
    def command_lines(self) -> tuple[str, ...]:
        """The command lines of the case: of the start, or of the source and the destination."""
        return tuple(text for text in (self.start, self.source, self.destination) if text is not None)


@dataclass(frozen=True)
class Table:
    """Cases by row and column; ``letters`` are the expected results that the letters in cells stand for."""

    name: str
    source: str
    destination: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    letters: Mapping[str, Expected]
    about: str = ""
    real: str = ""


@dataclass(frozen=True)
class Scenario:
    """A question with its answer, and the cases that show it.

    ``items`` are cases and tables in order; in ``cases``, tables are expanded into their cells.
    ``ignore``: beginnings of irrelevant lines, which are neither compared nor shown.
    ``row``, ``commit``: its row in the catalogue of breakages, and the commit that fixed the breakage.
    """

    name: str
    title: str
    question: str
    answer: str
    items: tuple[Case | Table, ...]
    cases: tuple[Case, ...]
    origin: str = ""
    row: int | None = None
    commit: str = ""
    ignore: tuple[str, ...] = ()
