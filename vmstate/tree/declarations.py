"""Declarations of devices that a caller provides, to read streams without a vmdesc.

Layers that know machines pass an object with the interface :class:`Declarations`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from vmstate.dataclass import dataclass, field
from vmstate.describe import Release, VMStateDescription


@dataclass(frozen=True)
class StreamFacts:
    """Facts about the machine that a stream comes from; the stream does not say which release wrote it.

    ``machine``: the machine type's name, None without a configuration section.
    ``idstrs``: the names of the sections, empty if they are not known yet.
    """

    machine: str | None = None
    capabilities: tuple[str, ...] = ()
    idstrs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Declared:
    """One possible declaration of a section: a resolved description, and a blank state to decode into.

    ``releases``: the releases that have this description, oldest first.
    """

    description: VMStateDescription
    state: Any = field(default=None, repr=False)
    releases: tuple[Release, ...] = ()


class Declarations(Protocol):
    """A collection of device declarations, found by the names of their sections."""

    def candidates(
        self, facts: StreamFacts, idstr: str, instance_id: int, version_id: int
    ) -> Iterable[Declared]:
        """Return the possible declarations of a section, likeliest first; none for an unknown device."""
