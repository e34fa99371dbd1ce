"""The parser of each command: its options and arguments, those that all commands have, and its examples."""

from __future__ import annotations

from importlib import import_module

from vmstate.cli.commands import COMMANDS
from vmstate.cli.grammar import CommandParser


def command_parser(name: str) -> CommandParser:
    """Return the parser of a command; only the module of this one is imported."""
    command = COMMANDS[name]
    parser = CommandParser(f"vmstate {name}", command.summary)
    parser.add_argument("--json", action="store_true", help="write JSON, for programs")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print only warnings and errors, and no progress"
    )
    module = import_module(command.module)
    module.configure(parser)
    parser.examples = getattr(module, "EXAMPLES", ())
    parser.extra = command.extra
    return parser
