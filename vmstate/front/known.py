"""The declarations, names and machines that the package itself knows; imported when they are needed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmstate.describe.words import Meanings
    from vmstate.pseries.startup.command_line import Configuration
    from vmstate.tree import Declarations, Declared, StreamFacts


class KnownDeclarations:
    """The package's own declarations of devices; most streams describe themselves and never need them."""

    @cached_property
    def _declarations(self) -> Declarations:
        from vmstate.pseries.declarations import pseries_declarations

        return pseries_declarations()

    def candidates(
        self, facts: StreamFacts, idstr: str, instance_id: int, version_id: int
    ) -> Iterable[Declared]:
        """Return the possible declarations of a section, likeliest first; none for an unknown device."""
        return self._declarations.candidates(facts, idstr, instance_id, version_id)


def known_meanings() -> Meanings:
    """Return the names of values."""
    from vmstate.pseries.meanings import meanings

    return meanings()


def configuration(side: str | Configuration) -> Configuration:
    """Read a command line; shipped proposals are known by name (``qemu-4.2+NAME …``).

    Raises ConfigurationError for a command line that is not modelled.
    """
    from vmstate.proposals.files import shipped_proposals, with_all
    from vmstate.pseries.catalogue import CATALOGUE
    from vmstate.pseries.startup.command_line import parse

    if not isinstance(side, str):
        return side
    return parse(side, with_all(CATALOGUE, shipped_proposals()) if "+" in side else CATALOGUE)
