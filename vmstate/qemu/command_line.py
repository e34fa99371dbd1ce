"""A person's QEMU command line, made fit for being driven: started paused, in no window, by QMP."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from vmstate.errors import ConfigurationError

# Ours to say: whether it waits for a stream, starts stopped, goes to the background, or has a display.
_OURS = {"-incoming": 1, "-S": 0, "-daemonize": 0, "-preconfig": 0}
_DISPLAYS = frozenset({"-display", "-nographic", "-vnc", "-spice", "-curses", "-sdl", "-spice-app"})
_PREFIX = re.compile(r"(?:\d{4}-\d\d-\d\dT[\d:.]+Z )?(?:qemu-system-[\w-]+|qemu-kvm): ")


@dataclass(frozen=True, slots=True)
class QemuCommand:
    """``program`` and its arguments, without those that say how it starts (-S, -incoming, -daemonize)."""

    program: str
    arguments: tuple[str, ...]

    @staticmethod
    def parse(command: str | Sequence[str]) -> QemuCommand:
        """Read a command line, one string or its words.  Raises ConfigurationError if there is no program."""
        words = shlex.split(command) if isinstance(command, str) else list(command)
        if not words or words[0].startswith("-"):
            raise ConfigurationError("a QEMU command line begins with its program, such as qemu-system-ppc64")
        return QemuCommand(words[0], tuple(_without_ours(words[1:])))

    def argv(self, *, qmp: str, incoming: bool) -> list[str]:
        """The words to start: paused, speaking QMP at the socket ``qmp``, and waiting for a stream or not.

        QMP is asked for by ``-qmp``: 11.1 warns on stderr that ``-mon`` is deprecated.
        """
        waiting = ("-incoming", "defer") if incoming else ()
        return self.paused(*waiting, "-qmp", f"unix:{qmp.replace(',', ',,')}")

    def paused(self, *more: str) -> list[str]:
        """The words to start it paused and without a window, with ``more`` behind them."""
        display = () if _DISPLAYS & {_option(word) for word in self.arguments} else ("-display", "none")
        return [self.program, *self.arguments, *display, "-S", *more]

    def plain(self, line: str) -> str:
        """A line of stderr without the program's name that QEMU puts before it."""
        own = f"{PurePath(self.program).name}: "
        if line.startswith(own):
            return line[len(own) :]
        found = _PREFIX.match(line)
        return line if found is None else line[found.end() :]


def _option(word: str) -> str:
    """QEMU takes ``--option`` for ``-option``."""
    return word[1:] if word.startswith("--") else word


def _without_ours(words: Iterable[str]) -> Iterable[str]:
    skip = 0
    for word in words:
        if skip:
            skip -= 1
        elif _option(word) in _OURS:
            skip = _OURS[_option(word)]
        else:
            yield word
