"""The overview of ``vmstate``, ``vmstate --help`` and ``vmstate help``: all commands, by group."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.cli.commands import COMMANDS, Group
from vmstate.cli.grammar import width

_FIRST_STEPS = (
    ("what is in a stream", "vmstate show guest.mig"),
    ("whether a destination accepts it", "vmstate load guest.mig --on 'qemu-7.2 -machine pseries-7.2'"),
    ("what a message of QEMU means", "vmstate explain 'load of migration failed: Invalid argument'"),
)


def overview_lines() -> Iterator[str]:
    """Yield the overview, in at most 80 columns."""
    from textwrap import wrap

    yield "Read, write, check, edit and judge QEMU live-migration streams."
    yield ""
    yield "usage: vmstate COMMAND [OPTION …] [ARGUMENT …]"
    column = max(map(len, COMMANDS)) + 4
    for group in Group:
        yield ""
        yield f"{group}:"
        for name, command in COMMANDS.items():
            if command.group is group:
                first, *more = wrap(command.summary, width() - column - 1)
                yield f"  {name:<{column - 2}}{first}"
                yield from (" " * column + line for line in more)
    yield ""
    yield "first steps:"
    for says, line in _FIRST_STEPS:
        yield f"  {line}"
        yield f"      {says}"
    yield ""
    yield "vmstate help COMMAND shows one, with examples; vmstate help lists topics, too."
