"""Summaries of the tables: everything that a release offers, and a machine type as a release has it.

They only use the tables of :mod:`vmstate.pseries.tables`; no machine is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vmstate.dataclass import dataclass, fields
from vmstate.describe import Release
from vmstate.describe.history import at, reached
from vmstate.pseries.catalogue import Binary, Catalogue
from vmstate.pseries.rules.capability_levels import is_sent
from vmstate.pseries.tables.capabilities import Capability, Kind, MigrateNeeded
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import (
    ClassFlags,
    GlobalProperty,
    MachineType,
    chain,
    has_version,
    version_of,
)

#: The files with the declarations, by topic.
FILES = {
    "releases": "vmstate/pseries/tables/releases.py",
    "machine types": "vmstate/pseries/tables/machine_types.py",
    "lifecycle": "vmstate/pseries/tables/lifecycle.py",
    "capabilities": "vmstate/pseries/tables/capabilities.py",
    "cpus": "vmstate/pseries/tables/cpu_models.py",
    "compat modes": "vmstate/pseries/tables/compat.py",
}
_PAGES = {12: "4 KiB", 16: "64 KiB", 24: "16 MiB", 34: "16 GiB"}
_LOWER_CASE_SINCE = "2.11"  # older releases require the old spelling of processors: POWER8_v2.0
_NEWEST = Release(1 << 31, 0)
_YEARS_AHEAD = 8  # QEMU has three releases a year, and a type lives for six years


def line(release: Release) -> str:
    """Return the stable line of a release: ``7.2``."""
    return f"{release.major}.{release.minor}"


def oldest_first(names: Iterable[str]) -> list[str]:
    """Sort names of machine types by their versions; a vendor's, which have none, come last, by name."""
    return sorted(names, key=lambda name: (version_of(name) if has_version(name) else _NEWEST, name))


def level_name(capability: Capability, level: int, release: Release) -> str:
    """Return a level in words: ``on``, ``workaround``, ``64 KiB``."""
    if capability.kind is Kind.BOOL:
        return "on" if level else "off"
    if capability.kind is Kind.PAGE_SIZE:
        return _PAGES.get(level, str(level)) if level else "as the host allows (TCG: 16 GiB)"
    values: tuple[str, ...] = at(capability.values, release)
    return values[level] if level < len(values) else str(level)


@dataclass(frozen=True)
class Levels:
    """A capability's default level for some machine types, oldest first."""

    level: int
    name: str
    machine_types: tuple[str, ...]


@dataclass(frozen=True)
class CapabilitySummary:
    """A capability as a release has it; ``defaults`` are the levels of its machine types."""

    name: str
    subsection: str
    since: tuple[str, ...]
    values: tuple[str, ...]
    help: str
    needs: str
    migrated: str
    defaults: tuple[Levels, ...]


def summarize_capability(
    catalogue: Catalogue, release: Release, capability: Capability, releases: Sequence[Release] = ()
) -> CapabilitySummary:
    """Return the summary of a capability that ``release`` knows, also with machine types of ``releases``."""
    binary = catalogue.binary(release)
    known = binary.capability[capability.property_name]
    levels: dict[str, int] = {}
    for one in (release, *releases):
        if capability.span.covers(one):
            other = catalogue.binary(one)
            levels.update(
                (t, other.machine_class(t).default_caps[capability.name]) for t in other.machine_types
            )
    grouped: dict[int, list[str]] = {}
    for name in oldest_first(levels):
        grouped.setdefault(levels[name], []).append(name)
    values = known.values or (("off", "on") if known.kind is Kind.BOOL else tuple(_PAGES.values()))
    return CapabilitySummary(
        known.property_name,
        known.subsection,
        points(capability.span.since),
        values,
        known.help,
        next((mode.name for mode in catalogue.compat_modes if mode.pvr == known.needs), ""),
        migrated_words(binary, capability),
        tuple(
            Levels(level, level_name(capability, level, release), tuple(names))
            for level, names in grouped.items()
        ),
    )


def migrated_words(binary: Binary, capability: Capability) -> str:
    """Describe when a stream of the release carries the capability."""
    release = binary.release
    if not capability.migrated.covers(release):
        return f"never before {' and '.join(points(capability.migrated.since))}"
    if binary.catalogue.rules.cap_needed is not is_sent:
        return "as decided by the rule that replaces QEMU's"
    condition = at(capability.migrate_needed, release)
    if condition is None:
        return "only if the command line sets it to another level than the default"
    sending = [name for name in oldest_first(binary.machine_types) if _meets(condition, binary, name)]
    return f"whatever its level, by {sending[0]} and later; never by older types" if sending else "never"


def _meets(condition: MigrateNeeded, binary: Binary, name: str) -> bool:
    """Return True if the condition holds for a machine type; it depends on the class's flags only."""
    machine = binary.machine()
    machine.become(binary.machine_class(name))
    return condition(machine)


class Pvr(int):
    """A processor version: a number that is shown as QEMU writes it."""

    def __str__(self) -> str:
        return f"{int(self):#010x}"


@dataclass(frozen=True)
class CompatMode:
    """A compatibility mode and its logical PVR."""

    name: str
    pvr: Pvr


@dataclass(frozen=True)
class CpuSummary:
    """A processor model as a release has it; ``modes`` are the compat modes that it can run."""

    name: str
    pvr: Pvr
    family: str
    aliases: tuple[str, ...]
    deprecated: str
    modes: tuple[str, ...]


def summarize_cpu(binary: Binary, cpu: CpuAt) -> CpuSummary:
    """Return the summary of a processor model."""
    modes = tuple(mode.name for mode in binary.compat.modes if binary.compat.check(cpu, mode.pvr))
    name, aliases = cpu.name, cpu.aliases
    if not reached(_LOWER_CASE_SINCE, binary.release):
        name = cpu.old_name
        aliases = tuple(_in_capitals(alias) for alias in aliases)
    return CpuSummary(name, Pvr(cpu.pvr), cpu.family.name, aliases, cpu.deprecated, modes)


def _in_capitals(alias: str) -> str:
    return alias.upper().replace("GS", "gs") if alias.startswith("power") else alias


def _default_cpu(binary: Binary, name: str) -> CpuSummary | None:
    cpu = binary.cpus.get(name)
    return None if cpu is None else summarize_cpu(binary, cpu)


@dataclass(frozen=True)
class TypeInRelease:
    """A machine type in the list of a release."""

    name: str
    default: bool
    deprecated: str | None
    default_cpu: str


@dataclass(frozen=True)
class ReleaseSummary:
    """Everything that one release's program knows.  Machine types are newest first.

    ``package``: the vendor's source package, for a vendor's program; else empty.
    """

    release: str
    line: str
    default_type: str
    machine_types: tuple[TypeInRelease, ...]
    capabilities: tuple[CapabilitySummary, ...]
    cpus: tuple[CpuSummary, ...]
    compat_modes: tuple[CompatMode, ...]
    package: str = ""


def summarize_release(catalogue: Catalogue, release: Release) -> ReleaseSummary:
    """Return everything that the tables have about a release."""
    binary = catalogue.binary(release)
    types = tuple(
        TypeInRelease(
            name,
            name == binary.default_type,
            catalogue.lifecycle.deprecation(binary.machine_types[name].version, release),
            _cpu_name(binary, name),
        )
        for name in binary.machine_types
    )
    known = (c for c in catalogue.capabilities if c.span.covers(release))
    return ReleaseSummary(
        str(release),
        line(release),
        binary.default_type,
        types,
        tuple(summarize_capability(catalogue, release, capability) for capability in known),
        tuple(summarize_cpu(binary, cpu) for cpu in binary.cpus.values()),
        tuple(CompatMode(mode.name, Pvr(mode.pvr)) for mode in binary.compat.modes),
        "" if catalogue.package is None else catalogue.package.source,
    )


def _cpu_name(binary: Binary, machine_type: str) -> str:
    name = binary.machine_class(machine_type).flags.default_cpu
    cpu = _default_cpu(binary, name)
    return name if cpu is None else cpu.name


@dataclass(frozen=True)
class Lifespan:
    """The releases that offer a machine type.

    ``deprecated_since`` and ``removed_in`` may be future releases, by QEMU's policy; None if never.
    """

    offered_by: tuple[str, ...]
    since: tuple[str, ...]
    deprecated_since: str | None
    removed_in: str | None


def lifespan(catalogue: Catalogue, machine_type: MachineType) -> Lifespan:
    """Find the releases that introduce, deprecate and remove a machine type."""
    known = sorted(catalogue.newest)
    last = known[-1]
    ahead = [
        Release(major, minor) for major in range(last.major, last.major + _YEARS_AHEAD) for minor in range(3)
    ]
    lines = [*known, *(release for release in ahead if release.line > last.line)]
    offering = [release for release in known if catalogue.lifecycle.offers(machine_type, release)]
    after = [release for release in lines if offering and release > offering[-1]]
    gone = next((r for r in after if not catalogue.lifecycle.offers(machine_type, r)), None)
    warned = (r for r in lines if offering and r >= offering[0] and (gone is None or r < gone))
    deprecated = next((r for r in warned if catalogue.lifecycle.deprecation(machine_type.version, r)), None)
    return Lifespan(
        tuple(line(release) for release in offering),
        points(machine_type.span.since),
        None if deprecated is None else line(deprecated),
        None if gone is None else line(gone),
    )


@dataclass(frozen=True)
class Link:
    """The declared differences of one machine type from the next newer one."""

    name: str
    flags: dict[str, Any]
    caps: dict[str, int]
    compat: tuple[GlobalProperty, ...]


@dataclass(frozen=True)
class MachineSummary:
    """A machine type as one release has it.

    ``flags`` are all class flags, ``different`` those whose value the newest type of the release does not
    share, with both values.  ``levels``: the default level of each capability, and the one with the default
    processor.  ``links``: the differences that make the type, from the newest type on.
    """

    name: str
    release: str
    default: bool
    deprecated: str | None
    default_cpu: str
    cpu: CpuSummary | None
    newest_type: str
    flags: dict[str, Any]
    different: dict[str, tuple[Any, Any]]
    levels: dict[str, tuple[str, str]]
    compat: tuple[GlobalProperty, ...]
    links: tuple[Link, ...]


def summarize_machine(catalogue: Catalogue, name: str, release: Release) -> MachineSummary:
    """Return the summary of the machine type ``name`` in ``release``, which must offer it."""
    binary = catalogue.binary(release)
    made = binary.machine_class(name)
    newest = next(iter(binary.machine_types))
    newest_flags = binary.machine_class(newest).flags
    flags = {f.name: getattr(made.flags, f.name) for f in fields(ClassFlags)}
    cpu = binary.cpus.get(made.flags.default_cpu)
    types = {t.name: t for t in catalogue.machine_types}
    return MachineSummary(
        name,
        str(release),
        name == binary.default_type,
        catalogue.lifecycle.deprecation(made.version, release),
        _cpu_name(binary, name),
        _default_cpu(binary, made.flags.default_cpu),
        newest,
        flags,
        {n: (v, other) for n, v in flags.items() if v != (other := getattr(newest_flags, n))},
        _levels(catalogue, binary, made.default_caps, cpu),
        made.compat,
        tuple(_link(one, release) for one in chain(types, name)),
    )


def _levels(
    catalogue: Catalogue, binary: Binary, levels: Any, cpu: CpuAt | None
) -> dict[str, tuple[str, str]]:
    found = {}
    for capability in catalogue.capabilities:
        known = binary.capability.get(capability.property_name)
        if known is None:
            continue
        level = levels[capability.name]
        runs = not known.needs or cpu is None or binary.compat.check(cpu, known.needs)
        names = [level_name(capability, one, binary.release) for one in (level, level if runs else 0)]
        found[known.property_name] = (names[0], names[1])
    return found


def _link(machine_type: MachineType, release: Release) -> Link:
    flags = {name: at(value, release) for name, value in machine_type.flags.items()}
    return Link(machine_type.name, flags, dict(machine_type.caps), machine_type.compat)


def changes_among(
    catalogue: Catalogue, name: str, releases: Sequence[Release]
) -> list[tuple[Release, dict[str, Any]]]:
    """List the changes of a machine type from release to release, oldest first; the first has all values."""
    before: dict[str, Any] = {}
    found: list[tuple[Release, dict[str, Any]]] = []
    for release in releases:
        summary = summarize_machine(catalogue, name, release)
        now = {
            "default type": "yes" if summary.default else "no",
            "deprecated": summary.deprecated or "no",
            **{f"flag {flag}": value for flag, value in summary.flags.items()},
            **{cap: levels[1] for cap, levels in summary.levels.items()},
            "PVR of the default CPU": summary.cpu.pvr if summary.cpu is not None else "unknown",
        }
        found.append((release, {key: value for key, value in now.items() if before.get(key) != value}))
        before = now
    return found


def points(since: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return points of a history as a tuple; empty for None."""
    return () if since is None else (since,) if isinstance(since, str) else since
