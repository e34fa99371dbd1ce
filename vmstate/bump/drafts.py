"""A release that is not built yet, as a Python file has it: declarations, or a proposal."""

from __future__ import annotations

from vmstate.bump.sides import Side, declared_side
from vmstate.errors import ConfigurationError
from vmstate.proposals.files import read_declarations, shipped_proposals, with_all
from vmstate.pseries.catalogue import CATALOGUE, Catalogue


def drafted(file: str, old: Side) -> Side:
    """Return the side of a draft: the newest release with the file's declarations, or with its proposal.

    Raises ConfigurationError if the file fails, makes neither, or the old side is not a pseries machine's.
    """
    if not old.is_pseries:
        raise ConfigurationError(f"a draft is of pseries machines; {old.source} has none")
    declared, proposals = read_declarations(file)
    catalogue: Catalogue = CATALOGUE.extended(*declared)
    if proposals:
        catalogue = with_all(catalogue, [*shipped_proposals(), *proposals]).fork(proposals[-1].name)
    return declared_side(str(max(catalogue.newest)), catalogue, file)
