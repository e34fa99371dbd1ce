"""The configurations that a what-if tries: the values of each dimension, and how sides are paired.

A setting is a machine type, a platform (TCG with a processor, or a KVM host), an interrupt mode, a
compatibility mode, and further options of ``-machine``.  At most one of the last three differs from its
default, on every platform; a destination is like its source, or differs from it in one of these and has the
defaults of the others.  The machine type is the same on both sides: another is always rejected.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from vmstate.dataclass import dataclass, fields, replace
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import CATALOGUE, Binary, Catalogue
from vmstate.pseries.startup.machine_properties import PROPERTIES
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.pseries.tables.other_cpus import is_other_cpu
from vmstate.similar_names import did_you_mean

_OPTION_SPANS = {prop.name: prop.span for prop in PROPERTIES}
_RANGE = re.compile(r"(?P<first>\d+(?:\.\d+)*)(?:-|\.\.)(?P<last>\d+(?:\.\d+)*)")


class Setting(NamedTuple):
    """The setting of one side: the index of the value in each dimension, 0 for the default."""

    type: int
    platform: int
    ic_mode: int = 0
    compat: int = 0
    option: int = 0


Variation = tuple[int, int, int]  # interrupt mode, compatibility mode, option


class Platform(NamedTuple):
    """A KVM host, or, if ``host`` is empty, TCG with a processor (empty: that of the machine type)."""

    host: str
    cpu: str

    @property
    def words(self) -> str:
        """The name for people: ``p9-hv``, ``tcg``, ``tcg power9``."""
        return self.host or f"tcg {self.cpu}".strip()


@dataclass(frozen=True)
class ChosenSet:
    """The set to try.  An empty text is QEMU's default; without releases or types, all are tried.

    ``releases`` are lines (2.11: its newest), exact numbers, ranges (2.9-4.2, 2.9..4.2), or RELEASE+PROPOSAL.
    ``options`` are appended to ``-machine`` if the release has them; the levels of capabilities that a
    proposal adds are included automatically.  ``rest`` is the rest of every command line; ``guest`` boots on
    every source before it saves (``linux-6.1``).
    """

    releases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    cpus: tuple[str, ...] = ("", "power8", "power9")
    hosts: tuple[str, ...] = ("tcg", "p8-hv", "p8-pr", "p9-hv", "p10-hv")
    ic_modes: tuple[str, ...] = ("", "xics", "xive", "dual")
    compat_modes: tuple[str, ...] = ("", "power8", "power9")
    options: tuple[str, ...] = ("", "cap-htm=off")
    rest: str = "-nodefaults -m 256"
    guest: str = ""

    def check_names(self, catalogue: Catalogue) -> None:
        """Raise ConfigurationError for a name that no release and no proposal has, with similar ones."""
        binaries = [
            one.binary(release)
            for one in (catalogue, *(fork for _, fork in catalogue.forks))
            for release in one.newest
        ]
        for host in self.hosts:
            if host != "tcg":
                catalogue.host(host)
        types = {name for binary in binaries for name in binary.machine_types} | {"pseries"}
        types |= {one.name for package in catalogue.packages for one in package.types}
        _each_known("machine type", self.types, types)
        cpus = {
            name for binary in binaries for cpu in binary.cpus.values() for name in (cpu.name, *cpu.aliases)
        }
        asked = [cpu.partition(",")[0].lower() for cpu in self.cpus]
        others = {cpu for cpu in asked for binary in binaries if is_other_cpu(cpu, binary.release)}
        _each_known("processor", asked, cpus | others | {"", "max"})
        modes = {mode.name for mode in catalogue.compat_modes}
        _each_known("compatibility mode", self.compat_modes, modes | {""})
        _each_known("interrupt mode", self.ic_modes, {"", "xics", "xive", "dual"})
        options = {name for binary in binaries for name in binary.capability} | _OPTION_SPANS.keys()
        words = [word.partition("=")[0] for text in self.options if text for word in text.split(",")]
        _each_known("option of -machine", words, options)

    @cached_property
    def platforms(self) -> tuple[Platform, ...]:
        """TCG with each processor, then the hosts."""
        found: list[Platform] = []
        for host in self.hosts:
            found += [Platform("", cpu) for cpu in self.cpus] if host == "tcg" else [Platform(host, "")]
        return tuple(found)

    @cached_property
    def pairs_of_variations(self) -> tuple[tuple[Variation, Variation], ...]:
        """The variations of both sides on one platform."""
        sizes = (len(self.ic_modes), len(self.compat_modes), len(self.options))
        along = [[_only(place, value) for value in range(size)] for place, size in enumerate(sizes)]
        found = [(a, b) for line in along for a in line for b in line]
        return tuple(dict.fromkeys(found))

    def for_catalogues(self, before: Catalogue, after: Catalogue) -> ChosenSet:
        """Return the set with all machine types named, and with options for capabilities of only one side."""
        types = self.types
        if not types:
            named = dict.fromkeys(t.name for catalogue in (after, before) for t in catalogue.machine_types)
            types = ("pseries", *named)
        levels = [text for catalogue in (before, after) for text in _added_levels(catalogue)]
        return replace(self, types=types, options=tuple(dict.fromkeys((*self.options, *levels))))

    def pairs(self, source: Binaries, destination: Binaries, type_: int, platform: int) -> Iterator[Pair]:
        """Yield the settings of both sides for a machine type and the source's platform, each pair once.

        A side is the program before and after the proposal.
        """
        name = self.types[type_]
        if not (_offers(source, name) and _offers(destination, name)):
            return
        seen = set()
        wanted = [(platform, a, b) for a, b in self.pairs_of_variations]
        wanted += [(other, _DEFAULT, _DEFAULT) for other in range(len(self.platforms)) if other != platform]
        for other, a, b in wanted:
            pair = (
                self.available(source, Setting(type_, platform, *a)),
                self.available(destination, Setting(type_, other, *b)),
            )
            if pair not in seen:
                seen.add(pair)
                yield pair

    def available(self, side: Binaries, setting: Setting) -> Setting:
        """Return the setting without the options that neither of the two programs has."""
        _, _, ic_mode, compat, option = setting
        if ic_mode and not any(_has(binary, "ic-mode") for binary in side):
            setting = setting._replace(ic_mode=0)
        if compat and not any(_has(binary, "max-cpu-compat") for binary in side):
            setting = setting._replace(compat=0)
        if option:
            words = self.options[option].split(",")
            if not any(all(_has(binary, word) for word in words) for binary in side):
                setting = setting._replace(option=0)
        return setting

    def command_line(self, program: str, setting: Setting) -> str:
        """Return the command line of a program (``qemu-4.2.1+NAME``) with a setting."""
        platform = self.platforms[setting.platform]
        machine = [self.types[setting.type]]
        if platform.host:
            machine.append("accel=kvm")
        if setting.ic_mode:
            machine.append(f"ic-mode={self.ic_modes[setting.ic_mode]}")
        if setting.compat:
            machine.append(f"max-cpu-compat={self.compat_modes[setting.compat]}")
        if setting.option:
            machine.append(self.options[setting.option])
        words = [f"{platform.host}:"] if platform.host else []
        words += [program, "-machine", ",".join(machine)]
        words += ["-cpu", platform.cpu] if platform.cpu else []
        return " ".join([*words, self.rest]).strip()

    def program_names(self, catalogue: Catalogue) -> list[str]:
        """Return the programs other than the proposal's, oldest first, as ``4.2.1`` or ``4.2.1+NAME``.

        Raises ConfigurationError for an unknown release.
        """
        lines = sorted(catalogue.newest)
        if not self.releases:
            return [str(release) for release in lines]
        found: list[str] = []
        for text in self.releases:
            limits = _RANGE.fullmatch(text)
            if limits:
                first, last = (catalogue.release(limits[end]) for end in ("first", "last"))
                found += [str(release) for release in lines if first.line <= release.line <= last.line]
                continue
            number, plus, name = text.removeprefix("qemu-").partition("+")
            if plus:
                catalogue.fork(name)
            found.append(f"{catalogue.release(number)}{plus}{name}")
        return sorted(dict.fromkeys(found), key=lambda name: Release.parse(name.partition("+")[0]))


def _each_known(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"no release has the {kind} {name!r}{did_you_mean(name, sorted(known))}")


Pair = tuple[Setting, Setting]
Binaries = tuple[Binary, ...]
_DEFAULT: Variation = (0, 0, 0)


def _only(place: int, value: int) -> Variation:
    one = [0, 0, 0]
    one[place] = value
    return (one[0], one[1], one[2])


def _offers(side: Binaries, name: str) -> bool:
    return name == "pseries" or any(name in binary.machine_types for binary in side)


def _has(binary: Binary, text: str) -> bool:
    """Return True if the release has the option of ``-machine`` that ``text`` sets."""
    name = text.partition("=")[0]
    if name in binary.capability:
        return True
    span = _OPTION_SPANS.get(name)
    return span is not None and span.covers(binary.release)


def _added_levels(catalogue: Catalogue) -> Iterator[str]:
    """Yield an option for each level of each capability that the package does not declare."""
    known = {capability.name for capability in CATALOGUE.capabilities}
    newest = {
        c.name: c for release in sorted(catalogue.newest) for c in catalogue.binary(release).capabilities
    }
    for capability in newest.values():
        if capability.name not in known:
            yield from (f"{capability.property_name}={value}" for value in _values(capability))


def _values(capability: CapabilityAt) -> tuple[str, ...]:
    if capability.values:
        return capability.values
    return ("off", "on") if capability.kind.value == "bool" else ()


_ONE_TEXT = ("rest", "guest")
_KEYS = {field.name.replace("_", "-"): field.name for field in fields(ChosenSet)}


def chosen_from(declared: Mapping[str, Any]) -> ChosenSet:
    """Read a set as declared in TOML, with dashes in names.  Raises ConfigurationError for a wrong key."""
    values: dict[str, Any] = {}
    for key, value in declared.items():
        if key not in _KEYS:
            raise ConfigurationError(f"a set of configurations has no key {key!r}; it has {', '.join(_KEYS)}")
        if key in _ONE_TEXT:
            right = isinstance(value, str)
        else:
            right = isinstance(value, list) and all(isinstance(text, str) for text in value)
        if not right:
            raise ConfigurationError(
                f"{key} must be {'a string' if key in _ONE_TEXT else 'a list of strings'}"
            )
        values[_KEYS[key]] = value if key in _ONE_TEXT else tuple(value)
    return ChosenSet(**values)


def read_set(path: str | Path) -> ChosenSet:
    """Read a set from a TOML file.  Raises ConfigurationError for a malformed file, OSError."""
    try:
        return chosen_from(tomllib.loads(Path(path).read_text("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
