"""The parser of command lines: ``p9-hv: qemu-7.2 -machine pseries-7.2,cap-htm=off -cpu power9``.

The release is in the program's name; a host before it (for KVM) ends with a colon.  ``qemu-4.2+NAME`` is that
release with the proposal of that name merged (vmstate.proposals).  An option that QEMU has but that is not
modelled raises a ConfigurationError naming it; one that QEMU does not have is refused by the simulated start,
in QEMU's words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.option_names import FLAGS, HARMLESS, MODELLED, UNMODELLED
from vmstate.pseries.tables.accelerators import Host

_PROGRAM = re.compile(r"(?:.*/)?qemu(?:-system-ppc64)?-(?P<release>[0-9][0-9.]*)(?:\+(?P<fork>[\w.-]+))?$")
_QUOTING = re.compile(r"['\"\\]")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name without dashes, its argument, and its text as written."""

    name: str
    value: str
    text: str


@dataclass(frozen=True)
class Configuration:
    """A command line of one release: options in order, the host if one is named, its catalogue."""

    release: Release
    options: tuple[Option, ...]
    host: Host | None = None
    catalogue: Catalogue = CATALOGUE

    @property
    def text(self) -> str:
        """The command line again, with the stable release in full."""
        host = f"{self.host.name}: " if self.host else ""
        fork = f"+{self.catalogue.fork_name}" if self.catalogue.fork_name else ""
        return f"{host}qemu-{self.release}{fork} " + " ".join(option.text for option in self.options)


def parse(text: str, catalogue: Catalogue = CATALOGUE) -> Configuration:
    """Parse a command line.

    Raises ConfigurationError for a program that is not ``qemu-RELEASE``, a release, proposal or host that is
    not in ``catalogue``, and for options that QEMU has but that are not modelled.
    """
    words = text.split() if not _QUOTING.search(text) else _shell_words(text)
    host: Host | None = None
    if words and words[0].endswith(":"):
        host = catalogue.host(words[0][:-1])
        words = words[1:]
    program = _PROGRAM.match(words[0]) if words else None
    if program is None:
        found = words[0] if words else "nothing"
        raise ConfigurationError(f"expected a program like qemu-7.2 or qemu-10.0.2, found {found!r}")
    release = catalogue.release(program["release"])
    if program["fork"]:
        catalogue = catalogue.fork(program["fork"])
    return configuration(release, words[1:], host, catalogue)


def configuration(
    release: Release | str,
    arguments: Sequence[str],
    host: Host | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> Configuration:
    """Return the Configuration of a release and a list of arguments.  Raises as :func:`parse` does."""
    known = catalogue.release(release) if isinstance(release, str) else release
    return Configuration(known, tuple(_options(arguments)), host, catalogue)


def _shell_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigurationError(f"cannot read the command line: {error}") from None


def _options(arguments: Sequence[str]) -> list[Option]:
    options: list[Option] = []
    place = 0
    while place < len(arguments):
        word = arguments[place]
        place += 1
        name = word[2:] if word.startswith("--") else word[1:]
        if not word.startswith("-") or word == "-":
            raise ConfigurationError(f"a disk image as a bare argument is not modelled: {word}")
        if name in FLAGS:
            options.append(Option(name, "", word))
        elif name in MODELLED or name in HARMLESS:
            if place >= len(arguments):
                options.append(Option("missing-argument", name, word))
                break
            options.append(Option(name, arguments[place], f"{word} {arguments[place]}"))
            place += 1
        elif name in UNMODELLED:
            raise ConfigurationError(f"option -{name} is not modelled")
        else:
            options.append(Option("invalid", name, word))
            break
    return options
