"""The parser of command lines: ``p9-hv: qemu-7.2 -machine pseries-7.2,cap-htm=off -cpu power9``.

The release is in the program's name, or given with it; a host before it (for KVM) ends with a colon.
``qemu-4.2+NAME`` is that release with the proposal of that name merged (vmstate.proposals), or a vendor's
package of it (vmstate.pseries.tables.packages).  Of assignments to the environment before the program, only
that of QEMU_MODULE_DIR counts; a backslash joins lines, as in a shell.  An option that QEMU has but that is
not modelled raises a ConfigurationError naming it; one that QEMU does not have is refused by the simulated
start, in QEMU's words.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.errors import NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.startup.option_table import ASK_QEMU, Treatment, options_of
from vmstate.pseries.startup.shell_words import QUOTING, shell_words
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.builds import MODULE_DIR

_PROGRAM = pattern(r"(?:.*/)?qemu(?:-system-ppc64)?-(?P<release>[0-9][0-9.]*)(?:\+(?P<fork>[\w.-]+))?$")
_UNNAMED = pattern(r"(?:.*/)?(?:qemu-system-ppc64|qemu-kvm|kvm)$")
_OTHER_PROGRAM = pattern(r"(?:.*/)?qemu-system-(?!ppc64(?:-[0-9]|$))\w+(?:-[0-9.]+)?$")
_ASSIGNMENT = pattern(r"[A-Za-z_]\w*=")


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name without dashes, its argument, and its text as written."""

    name: str
    value: str
    text: str

    @property
    def quoted(self) -> str:
        """The text as a shell needs it."""
        return self.text.removesuffix(self.value) + shlex.quote(self.value) if self.value else self.text


@dataclass(frozen=True)
class Configuration:
    """A command line of one release: options in order, the host if one is named, its catalogue.

    ``module_dir``: the folder of modules that the environment names.
    """

    release: Release
    options: tuple[Option, ...]
    host: Host | None = None
    catalogue: Catalogue = CATALOGUE
    module_dir: str = ""

    @property
    def text(self) -> str:
        """The command line again, with the stable release in full."""
        host = f"{self.host.name}: " if self.host else ""
        fork = f"+{self.catalogue.fork_name}" if self.catalogue.fork_name else ""
        environment = f"{MODULE_DIR}={shlex.quote(self.module_dir)} " if self.module_dir else ""
        return f"{host}{environment}qemu-{self.release}{fork} " + " ".join(
            option.quoted for option in self.options
        )


def parse(text: str, catalogue: Catalogue = CATALOGUE, release: str | None = None) -> Configuration:
    """Parse a command line.

    ``release``: that of a program whose name does not have it, such as ``/usr/bin/qemu-system-ppc64``; a
    proposal or package may follow (``4.2+ubuntu-focal``).

    Raises NotModelled for a program of unknown release or another target, a release, proposal or host
    that is not in ``catalogue``, and for options that QEMU has but that are not modelled.
    """
    words = text.split() if not QUOTING.search(text) else _shell_words(text.replace("\\\n", " "))
    host: Host | None = None
    if words and words[0].endswith(":"):
        host = catalogue.host(words[0][:-1])
        words = words[1:]
    module_dir = ""
    while words and _ASSIGNMENT.match(words[0]):
        name, _, value = words[0].partition("=")
        module_dir = value if name == MODULE_DIR else module_dir
        words = words[1:]
    program = _PROGRAM.match(words[0]) if words else None
    if program is None:
        number, _, fork = _release_of(words, release).partition("+")
    else:
        number, fork = program["release"], program["fork"]
    known = catalogue.fork(fork) if fork else catalogue
    return configuration(number, words[1:], host, known, module_dir)


def _release_of(words: Sequence[str], release: str | None) -> str:
    """Return the release that is given for a program without one in its name."""
    found = words[0] if words else "nothing"
    if _OTHER_PROGRAM.match(found):
        raise NotModelled(f"program {found} is not modelled: {ASK_QEMU}")
    if not _UNNAMED.match(found):
        raise NotModelled(f"expected a program like qemu-7.2 or qemu-10.0.2, found {found!r}")
    if release is None:
        raise NotModelled(f"the release of {found} is not known: give --release, or a program like qemu-7.2")
    return release


def configuration(
    release: Release | str,
    arguments: Sequence[str],
    host: Host | None = None,
    catalogue: Catalogue = CATALOGUE,
    module_dir: str = "",
) -> Configuration:
    """Return the Configuration of a release and a list of arguments.  Raises as :func:`parse` does."""
    known = catalogue.release(release) if isinstance(release, str) else release
    return Configuration(known, tuple(_options(arguments, known)), host, catalogue, module_dir)


def _shell_words(text: str) -> list[str]:
    try:
        return shell_words(text)
    except ValueError as error:
        raise NotModelled(f"cannot read the command line: {error}") from None


def _options(arguments: Sequence[str], release: Release) -> list[Option]:
    options: list[Option] = []
    table = options_of(release)
    place = 0
    while place < len(arguments):
        word = arguments[place]
        place += 1
        name = word[2:] if word.startswith("--") else word[1:]
        if not word.startswith("-") or word == "-":
            raise NotModelled(f"a disk image as a bare argument is not modelled: {word}")
        known = table.get(name)
        if known is None:
            options.append(Option("invalid", name, word))
            break
        if known.treatment is Treatment.NOT_MODELLED:
            raise NotModelled(f"option -{name} is not modelled: it {known.why}")
        if not known.arguments:
            options.append(Option(name, "", word))
        elif place >= len(arguments):
            options.append(Option("missing-argument", name, word))
            break
        else:
            options.append(Option(name, arguments[place], f"{word} {arguments[place]}"))
            place += 1
    return options
