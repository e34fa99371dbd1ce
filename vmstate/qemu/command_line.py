"""Adapt a user's QEMU command line for control by QMP: started paused, without a window."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError

# Options that this package sets itself: waiting for a stream, starting stopped, running in the background.
_RESERVED = {"-incoming": 1, "-S": 0, "-daemonize": 0, "-preconfig": 0}
_DISPLAYS = frozenset({"-display", "-nographic", "-vnc", "-spice", "-curses", "-sdl", "-spice-app"})
_PREFIX = re.compile(r"(?:\d{4}-\d\d-\d\dT[\d:.]+Z )?(?:qemu-system-[\w-]+|qemu-kvm): ")


@dataclass(frozen=True, slots=True)
class QemuCommand:
    """``program`` and its arguments, without those that decide how it starts (-S, -incoming, -daemonize)."""

    program: str
    arguments: tuple[str, ...]

    @staticmethod
    def parse(command: str | Sequence[str]) -> QemuCommand:
        """Parse a command line, one string or its words.  Raises ConfigurationError without a program."""
        words = shlex.split(command) if isinstance(command, str) else list(command)
        if not words or words[0].startswith("-"):
            raise ConfigurationError("a QEMU command line begins with a program, such as qemu-system-ppc64")
        return QemuCommand(words[0], tuple(_without_reserved(words[1:])))

    def argv(self, *, qmp: str, incoming: bool) -> list[str]:
        """Return the words to start it paused, with QMP on the socket ``qmp``; ``incoming``: for a stream.

        QMP is requested with ``-qmp``: 11.1 warns on stderr that ``-mon`` is deprecated.
        """
        waiting = ("-incoming", "defer") if incoming else ()
        return self.paused(*waiting, "-qmp", f"unix:{qmp.replace(',', ',,')}")

    def paused(self, *more: str) -> list[str]:
        """Return the words to start it paused and without a window, followed by ``more``."""
        display = () if _DISPLAYS & {_option(word) for word in self.arguments} else ("-display", "none")
        return [self.program, *self.arguments, *display, "-S", *more]

    def plain(self, line: str) -> str:
        """Return a line of stderr without QEMU's prefix, the name of the program."""
        own = f"{PurePath(self.program).name}: "
        if line.startswith(own):
            return line[len(own) :]
        found = _PREFIX.match(line)
        return line if found is None else line[found.end() :]


def _option(word: str) -> str:
    """Return the option in the form ``-option``; QEMU also accepts ``--option``."""
    return word[1:] if word.startswith("--") else word


def _without_reserved(words: Iterable[str]) -> Iterable[str]:
    skip = 0
    for word in words:
        if skip:
            skip -= 1
        elif _option(word) in _RESERVED:
            skip = _RESERVED[_option(word)]
        else:
            yield word
