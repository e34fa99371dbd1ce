"""``--with FILE``: declarations in addition to the package's: proposals, or a future release."""

from __future__ import annotations

import argparse
import runpy
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.proposals.files import shipped_proposals, with_all
from vmstate.proposals.proposal import Proposal
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.command_line import Configuration, parse


def add_with(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--with",
        dest="with_file",
        metavar="FILE",
        action="append",
        default=[],
        help="run a Python file, and use its proposals (as qemu-4.2+NAME) and its DECLARATIONS "
        "(releases, machine types, …)",
    )


def catalogue_of(options: argparse.Namespace, *command_lines: str | None) -> Catalogue:
    """Return the catalogue of the options, with the package's proposals if a command line names one.

    Raises ConfigurationError for a file that fails or declares nothing, OSError for a missing file.
    """
    catalogue = CATALOGUE
    proposals: list[Proposal] = []
    for file in options.with_file:
        declared, made = _declared(file)
        catalogue = catalogue.extended(*declared)
        proposals += made
    if any("+" in text for text in command_lines if text):
        proposals = [*shipped_proposals(), *proposals]
    return with_all(catalogue, proposals)


def _declared(file: str) -> tuple[list[Any], list[Proposal]]:
    try:
        made = runpy.run_path(file)
        declared = list(made.get("DECLARATIONS", ()))
        CATALOGUE.extended(*declared)
    except (ConfigurationError, OSError):
        raise
    except Exception as error:
        raise ConfigurationError(f"{file}: {type(error).__name__}: {error}") from error
    proposals = list(dict.fromkeys(value for value in made.values() if isinstance(value, Proposal)))
    if not declared and not proposals:
        raise ConfigurationError(f"{file}: it has neither DECLARATIONS nor a Proposal")
    return declared, proposals


def command_line(text: str, options: argparse.Namespace) -> Configuration:
    """Parse a command line in the options' catalogue.  Raises as ``parse`` and :func:`catalogue_of` do."""
    return parse(text, catalogue_of(options, text))
