"""``vmstate help``: the overview, the help of a command, or a text on a topic that concerns several."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from vmstate.cli.commands import COMMANDS
from vmstate.cli.overview import overview_lines
from vmstate.cli.parsers import command_parser
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError
from vmstate.similar_names import did_you_mean

_TOPICS = Path(__file__).parent / "topics"

EXAMPLES = (
    ("all commands", "vmstate help"),
    ("one command, with examples", "vmstate help migrate"),
    ("how a field is named", "vmstate help paths"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("topic", metavar="TOPIC", nargs="?", help="a command, or one of the topics below")
    parser.epilog = f"topics: {', '.join(topics())}"


def topics() -> dict[str, str]:
    """Return the topics with their titles."""
    found = {}
    for path in sorted(_TOPICS.glob("*.txt")):
        with path.open(encoding="utf-8") as text:
            found[path.stem] = text.readline().rstrip("\n").partition(": ")[2]
    return found


def topic_text(name: str) -> str:
    """Return the text on a topic."""
    return (_TOPICS / f"{name}.txt").read_text(encoding="utf-8")


def run(options: argparse.Namespace) -> Report:
    """Show the overview, a command or a topic."""
    name: str | None = options.topic
    if name is None:
        lines = [*overview_lines(), *_topic_lines()]
    elif name in COMMANDS:
        lines = command_parser(name).format_help().splitlines()
    elif name in topics():
        lines = topic_text(name).splitlines()
    else:
        hint = did_you_mean(name, [*COMMANDS, *topics()])
        raise ConfigurationError(f"no command and no topic {name!r}{hint or '; vmstate help lists them'}")
    return Report(lines, {"text": "\n".join(lines)})


def _topic_lines() -> Iterator[str]:
    yield ""
    yield "topics:"
    yield from (f"  {name:<15}{title}" for name, title in topics().items())
