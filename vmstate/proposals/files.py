"""Proposals as Python files: those that come with the package, and a reviewer's own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.proposals.proposal import Proposal
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.shipped import shipped
from vmstate.users_code import run_file


def read_proposals(path: str | Path) -> list[Proposal]:
    """Run a file and return the proposals that it makes, in order.

    Raises ConfigurationError for a file that fails or makes none, OSError if it cannot be read.
    """
    made = run_file(path)
    found = _proposals(made, path)
    if not found:
        raise ConfigurationError(f"{path}: the file makes no Proposal")
    return found


def _proposals(made: dict[str, Any], path: str | Path) -> list[Proposal]:
    found = list(dict.fromkeys(value for value in made.values() if isinstance(value, Proposal)))
    for one in found:
        one.file = str(path)
    return found


def read_declarations(path: str | Path) -> tuple[list[Any], list[Proposal]]:
    """Run a file and return its DECLARATIONS (releases, machine types, …) and its proposals.

    Raises ConfigurationError for a file that fails or makes neither, OSError if it cannot be read.
    """
    from vmstate.pseries.known_devices import check_descriptions  # imports all devices

    made = run_file(path)
    try:
        declared = list(made.get("DECLARATIONS", ()))
        check_descriptions(CATALOGUE.extended(*declared), declared)
    except DeclarationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    except Exception as error:  # such as a declaration of no known type
        raise ConfigurationError(f"{path}: {type(error).__name__}: {error}") from error
    proposals = _proposals(made, path)
    if not declared and not proposals:
        raise ConfigurationError(f"{path}: it has neither DECLARATIONS nor a Proposal")
    return declared, proposals


def extended(files: Iterable[str | Path], *, shipped: bool) -> Catalogue:
    """Return the package's catalogue with what the files declare, and the package's proposals if ``shipped``.

    Raises as :func:`read_declarations` does.
    """
    catalogue = CATALOGUE
    proposals: list[Proposal] = []
    for file in files:
        declared, made = read_declarations(file)
        catalogue = catalogue.extended(*declared)
        proposals += made
    return with_all(catalogue, [*shipped_proposals(), *proposals] if shipped else proposals)


@cache
def shipped_proposals() -> tuple[Proposal, ...]:
    """Return the proposals that come with the package."""
    files = sorted(shipped("proposals").glob("*.py"))
    return tuple(proposal for file in files for proposal in read_proposals(file))


def with_all(catalogue: Catalogue, proposals: Iterable[Proposal]) -> Catalogue:
    """Return ``catalogue`` with all of these added, each one after the proposal that it is based on.

    Raises ConfigurationError if one is based on a proposal that does not exist.
    """
    waiting = list(proposals)
    while waiting:
        names = {proposal.name for proposal in waiting}
        ready = [p for p in waiting if p.base not in names - {p.name}] or waiting
        for proposal in ready:
            catalogue = proposal.added_to(catalogue)
        waiting = [proposal for proposal in waiting if proposal not in ready]
    return catalogue


def with_proposals(catalogue: Catalogue = CATALOGUE, *proposals: Proposal) -> Catalogue:
    """Return ``catalogue`` with all proposals of the package, and these."""
    return with_all(catalogue, (*shipped_proposals(), *proposals))
