"""Which commands there are.  Each one's module has ``configure(parser)`` and ``run(options) -> Report``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """The module that has the command, and what ``vmstate --help`` says about it."""

    module: str
    summary: str


COMMANDS: dict[str, Command] = {
    "unwrap": Command("vmstate.cli.unwrap", "take a stream out of what it is wrapped in"),
    "wrap": Command("vmstate.cli.wrap", "compress a stream, or put it into a save image like another"),
}
