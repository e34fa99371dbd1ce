"""The declarations, names and machines that the package itself knows; imported when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmstate.pseries.startup.command_line import Configuration
    from vmstate.tree import Declarations
    from vmstate.tree.meanings import Meanings


def known_declarations() -> Declarations:
    """Return the package's own declarations of devices."""
    from vmstate.pseries.declarations import PseriesDeclarations

    return PseriesDeclarations()


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
