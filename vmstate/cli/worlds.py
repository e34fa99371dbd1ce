"""``--with FILE``: what is declared beside the package, such as a release that does not exist yet."""

from __future__ import annotations

import argparse
import runpy

from vmstate.errors import ConfigurationError
from vmstate.pseries.world import WORLD, World
from vmstate.simulate.command_line import Configuration, parse


def add_with(parser: argparse.ArgumentParser) -> None:
    """Declare the option."""
    parser.add_argument(
        "--with",
        dest="with_file",
        metavar="FILE",
        help="a Python file, which is run: its DECLARATIONS are releases, machine types, … to be known too",
    )


def world_of(options: argparse.Namespace) -> World:
    """The world that the options ask for.

    Raises ConfigurationError for a file that fails or declares nothing, OSError if there is none.
    """
    if options.with_file is None:
        return WORLD
    try:
        declared = runpy.run_path(options.with_file).get("DECLARATIONS")
        if declared is None:
            raise ConfigurationError(f"{options.with_file}: there is no DECLARATIONS in it")
        return WORLD.extended(*declared)
    except (ConfigurationError, OSError):
        raise
    except Exception as error:
        raise ConfigurationError(f"{options.with_file}: {type(error).__name__}: {error}") from error


def command_line(text: str, options: argparse.Namespace) -> Configuration:
    """A command line, read in that world.  Raises what ``parse`` and :func:`world_of` raise."""
    return parse(text, world_of(options))
