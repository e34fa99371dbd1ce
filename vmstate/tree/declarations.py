"""What a caller can bring: its own declarations of devices, by which streams without a vmdesc are read.

The floors above know machines; they give this one an object that fits :class:`Declarations`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from vmstate.describe import Release, VMStateDescription


@dataclass(frozen=True)
class StreamFacts:
    """What a stream tells about the machine it comes from; the release that wrote it is not among it.

    ``machine``: the machine type's name, None in streams without a configuration section.
    ``idstrs``: the names of its sections, empty when not known (yet).
    """

    machine: str | None = None
    capabilities: tuple[str, ...] = ()
    idstrs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Declared:
    """One way in which a section may be meant: a resolved description, and a blank state to decode into.

    ``releases``: those that have it so, oldest first.
    """

    description: VMStateDescription
    state: Any = field(default=None, repr=False)
    releases: tuple[Release, ...] = ()


class Declarations(Protocol):
    """Knows devices by the names under which their sections are registered."""

    def candidates(
        self, facts: StreamFacts, idstr: str, instance_id: int, version_id: int
    ) -> Iterable[Declared]:
        """The ways in which such a section may be meant, the likeliest first; none for an unknown device."""
