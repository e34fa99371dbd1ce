"""``--with FILE``: declarations in addition to the package's: proposals, or a future release."""

from __future__ import annotations

import argparse

from vmstate.proposals.files import extended
from vmstate.pseries.catalogue import Catalogue
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
    return extended(options.with_file, shipped=any("+" in text for text in command_lines if text))


def command_line(text: str, options: argparse.Namespace) -> Configuration:
    """Parse a command line in the options' catalogue.  Raises as ``parse`` and :func:`catalogue_of` do."""
    return parse(text, catalogue_of(options, text))
