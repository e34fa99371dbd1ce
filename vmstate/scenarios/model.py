"""A scenario: a question, its answer, and the cases that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """How a case may end: as a migration does, or, where a machine is only started, whether it starts."""

    ACCEPT = "accept"
    REJECT = "reject"
    SOURCE_REFUSED = "source-refused"
    DESTINATION_REFUSED = "destination-refused"
    STARTS = "starts"
    REFUSED = "refused"


@dataclass(frozen=True)
class Expected:
    """What must come out; None where it is not compared.

    Lines are whole and in order.  ``sends``, ``omits``: names of sections and subsections that are, and are
    not, in the stream.  ``wire``: values in it, by the paths of ``vmstate show``; numbers, or texts as shown
    there.  ``machine``: the type that the source (or what is started) has.  ``kvm``: the one-reg ioctls of
    the source, then those of the destination.  ``guest_after``: what becomes of the guest.  ``after``: state
    of the destination's devices after loading (``cpu[1].quiesced``), shown as Python does.
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
    """One run: a migration, a start, or a captured stream that is loaded.

    ``guest``: the kernel that is booted on the source; ``events``: what happens to it after that.
    ``edits``: what is changed in the stream on its way, as ``vmstate edit`` does.  ``snapshot``: the source
    does not migrate but saves a snapshot (savevm).
    ``real``: what real QEMU said, or why it could not be asked.  ``row``, ``column``: its place in the table
    named so, if it is a cell of one.
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
        """The command lines of the case: source, destination, or the one that is started."""
        return tuple(text for text in (self.start, self.source, self.destination) if text is not None)


@dataclass(frozen=True)
class Table:
    """Cases by row and column; ``letters`` are the endings that cells are abbreviated by."""

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
    """``items`` are cases and tables in their order; ``cases`` has the tables' cells too.

    ``ignore``: beginnings of lines that are no matter here; they are neither compared nor shown.
    ``row``, ``commit``: where it stands in the catalogue of breakages, and what fixed it.
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
