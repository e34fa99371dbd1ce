"""Sections that are registered with savevm, and their handlers (SaveStateEntry, SaveVMHandlers)."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from vmstate.dataclass import dataclass
from vmstate.describe import Cursor, Plan, Writer


class Entry(Protocol):
    """A registered section (SaveStateEntry): its names, and the newest version that it loads."""

    idstr: str
    instance_id: int
    alias_id: int | None
    compat: tuple[str, int] | None

    @property
    def version_id(self) -> int:
        """The version that the section is sent with, and the newest that it loads."""


class Described(Entry, Protocol):
    """A section whose state has a description: it is sent whole, as a FULL section."""

    @property
    def plan(self) -> Plan:
        """The description at the machine's release, compiled."""

    @property
    def priority(self) -> int:
        """The section's priority: higher ones are sent and loaded first."""

    def needed(self) -> bool:
        """Return True if the section is sent."""


class SaveVMHandlers:
    """A section that is sent while the machine runs, by a protocol of its own (SaveVMHandlers).

    On the wire: a START section written by ``setup``, PART sections, an END section.
    """

    idstr: str
    instance_id: int = 0
    alias_id: int | None = 0
    compat: tuple[str, int] | None = None
    version_id: int = 1
    priority: int = 0

    def active(self) -> bool:
        """Return True if there is anything to send; if not, not even a START section is sent."""
        return True

    def setup(self, out: Writer) -> None:
        """Write the START section's payload (save_setup)."""

    def iterate(self, out: Writer) -> None:
        """Write a PART section's payload (save_live_iterate)."""

    def pass_ends(self) -> bool:
        """Return True if a pass ever ends with nothing left (a positive return of save_live_iterate)."""
        return True

    def complete(self, out: Writer) -> None:
        """Write the END section's payload (save_live_complete_precopy)."""

    def load_state(self, cur: Cursor, version_id: int) -> None:
        """Load the payload of a START, PART or END section (load_state).  Raises LoadFailure."""
        raise NotImplementedError


D_co = TypeVar("D_co", bound=Described | SaveVMHandlers, covariant=True)


@dataclass(slots=True)
class SaveStateEntry(Generic[D_co]):
    """A section with the id that registration gave it."""

    section_id: int
    device: D_co
