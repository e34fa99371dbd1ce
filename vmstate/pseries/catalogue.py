"""Everything that is declared about pseries: releases, machine types, capabilities, processors, hosts.

A :class:`Catalogue` never changes; :meth:`Catalogue.extended` returns a larger one, so a release that does
not exist yet can be tried without a patch.  A :class:`Binary` is one release's program.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import History, Release, at
from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.pseries.changes import (
    Change,
    Hook,
    Redescribed,
    Rule,
    Subsection,
    change_descriptions,
    checked_hook,
    with_rule,
)
from vmstate.pseries.machine import Machine, Rules
from vmstate.pseries.rules import QEMU_RULES
from vmstate.pseries.tables import machine_types, releases
from vmstate.pseries.tables.accelerators import Host, read_host, shipped_host, shipped_hosts
from vmstate.pseries.tables.capabilities import CAPABILITIES, Capability, CapabilityAt, capability_at
from vmstate.pseries.tables.compat import COMPAT_MODES, CompatMode, CompatTable, compat_table
from vmstate.pseries.tables.cpu_models import CPU_FAMILIES, CPU_MODELS
from vmstate.pseries.tables.cpus import CpuAt, CpuFamily, CpuModel, cpu_at
from vmstate.pseries.tables.lifecycle import Lifecycle
from vmstate.pseries.tables.machine_class import Difference, MachineClass, MachineType, machine_class
from vmstate.pseries.tables.packages import Package
from vmstate.pseries.tables.rhel import RHEL
from vmstate.pseries.tables.ubuntu import UBUNTU
from vmstate.similar_names import did_you_mean

Declaration = (
    str
    | Release
    | MachineType
    | Difference
    | Capability
    | CpuFamily
    | CpuModel
    | CompatMode
    | Host
    | Package
    | Subsection
    | Rule
    | Hook
    | Redescribed
)


class _HasName(Protocol):
    @property
    def name(self) -> object: ...


_Named = TypeVar("_Named", bound=_HasName)


@dataclass(frozen=True)
class Catalogue:
    """The declarations: releases (newest of each line), machine types (newest first), and the rest.

    Order matters where QEMU's does: capabilities by index, compatibility modes oldest first.  ``packages``:
    what vendors ship; ``package``: the one that this is, None for upstream.
    """

    newest: tuple[Release, ...]
    machine_types: tuple[MachineType, ...]
    capabilities: tuple[Capability, ...]
    cpu_families: tuple[CpuFamily, ...]
    cpu_models: tuple[CpuModel, ...]
    compat_modes: tuple[CompatMode, ...]
    default_type: History[str | None]
    hosts: tuple[Host, ...] = ()
    packages: tuple[Package, ...] = ()
    package: Package | None = None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    subsections: tuple[Subsection, ...] = ()
    rules: Rules = QEMU_RULES
    hooks: tuple[Change, ...] = ()
    forks: tuple[tuple[str, Catalogue], ...] = ()
    fork_name: str = ""
    _binaries: dict[Release, Binary] = field(default_factory=dict, compare=False, repr=False)
    _packages: dict[str, Catalogue] = field(default_factory=dict, compare=False, repr=False)

    def release(self, text: str) -> Release:
        """Return the release that ``text`` names: a line means its newest.  Raises ConfigurationError.

        A package has one release, whatever stable release of its line is named.
        """
        if self.package is None:
            return releases.resolve(text, self.newest)
        number, _ = releases.parse_number(text)
        if number.line != self.package.base.line:
            raise ConfigurationError(f"QEMU {text} is not {self.package.program}: {self.package.source}")
        return self.package.base

    def binary(self, release: Release) -> Binary:
        """Return the program of ``release``; it is made once."""
        known = self._binaries.get(release)
        if known is None:
            known = self._binaries[release] = Binary(self, release)
        return known

    def host(self, name: str) -> Host:
        """Return the KVM host of that name: declared here, shipped with the package, or a TOML file.

        Raises ConfigurationError, naming the known ones.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        if name.endswith(".toml"):
            return read_host(name)
        shipped = shipped_host(name)
        if shipped is None:
            known: list[str] = [*(host.name for host in self.hosts), *shipped_hosts()]
            hint = did_you_mean(name, known)
            raise ConfigurationError(
                f"no such host: {name!r}{hint or ';'} hosts: {', '.join(known)}, or the path of a .toml file"
            )
        return shipped

    def fork(self, name: str) -> Catalogue:
        """Return the catalogue where the proposal of that name is merged, or the vendor's package.

        Raises ConfigurationError for an unknown name.
        """
        for known, catalogue in self.forks:
            if known == name:
                return catalogue
        for package in self.packages:
            if package.name == name:
                return self._packaged(package)
        forks, packages = [known for known, _ in self.forks], [package.name for package in self.packages]
        hint = did_you_mean(name, [*forks, *packages])
        raise ConfigurationError(
            f"no such proposal or package: {name!r}{hint or ';'} proposals known here: "
            f"{', '.join(forks) or 'none'}; packages: {', '.join(packages) or 'none'}"
        )

    def _packaged(self, package: Package) -> Catalogue:
        """Return the catalogue of a package, made once."""
        if package.name not in self._packages:
            grown = self.extended(*package.types, *package.differences, *package.capabilities)
            self._packages[package.name] = replace(
                grown,
                newest=(package.base,),
                default_type=History(package.default_type),
                package=package,
                fork_name=package.name,
            )
        return self._packages[package.name]

    def with_fork(self, name: str, *declarations: Declaration, base: str = "") -> Catalogue:
        """Return this catalogue with a fork of that name, which has these declarations as well.

        The fork begins as this catalogue, or as the fork ``base``.  Raises ConfigurationError if there is no
        such fork.
        """
        start = self.fork(base) if base else self
        fork = replace(start.extended(*declarations), fork_name=name)
        others = tuple(one for one in self.forks if one[0] != name)
        return replace(self, forks=(*others, (name, fork)), _binaries=self._binaries)

    def extended(self, *declarations: Declaration) -> Catalogue:
        """Return a catalogue with these declarations added; one with a known name replaces the old one.

        A text or Release is a release; a machine type without a base becomes the newest type, on which the
        previous newest is based; a Difference adds to an existing machine type.  Raises DeclarationError for
        one that names what does not exist.
        """
        catalogue = replace(self, _binaries={}, _packages={})
        for declaration in declarations:
            catalogue = _add(catalogue, declaration)
        for declaration in declarations:
            _check_names(catalogue, declaration)
        return catalogue


def _add(catalogue: Catalogue, thing: Declaration) -> Catalogue:
    match thing:
        case str() | Release():
            release = Release.parse(thing)
            others = tuple(r for r in catalogue.newest if r.line != release.line)
            return replace(catalogue, newest=(*others, release))
        case MachineType():
            return replace(catalogue, machine_types=_with_type(catalogue.machine_types, thing))
        case Difference():
            return replace(catalogue, machine_types=_differing(catalogue.machine_types, thing))
        case Rule():
            return replace(catalogue, rules=with_rule(catalogue.rules, thing))
        case Hook():
            return replace(catalogue, hooks=(*catalogue.hooks, checked_hook(thing)))
        case Redescribed():
            return replace(catalogue, hooks=(*catalogue.hooks, thing))
        case _:
            place = _PLACES[type(thing)]
            changed: dict[str, Any] = {place: _with(getattr(catalogue, place), thing)}
            return replace(catalogue, **changed)


def _check_names(catalogue: Catalogue, thing: Declaration) -> None:
    """Raise DeclarationError for a name in a declaration that nothing has, with similar names."""
    types = [t.name for t in catalogue.machine_types]
    if isinstance(thing, MachineType | Difference):
        capabilities = [c.name for c in catalogue.capabilities]
        for name in thing.caps:
            _known(f"{thing.name}: caps", "capability", name, capabilities)
    if isinstance(thing, MachineType) and thing.base is not None:
        _known(f"{thing.name}: base", "machine type", thing.base, types)
    if isinstance(thing, CpuModel):
        families = [family.name for family in catalogue.cpu_families]
        _known(f"{thing.name}: family", "family of processors", thing.family, families)


def _known(where: str, kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        bare = name.removeprefix("cap-")
        hint = f"; did you mean {bare}?" if bare in known else did_you_mean(name, known)
        raise DeclarationError(f"{where}: no such {kind}: {name!r}{hint}")


#: The lists for the other declarations, which are distinguished by their names.
_PLACES: dict[type, str] = {
    Capability: "capabilities",
    CpuFamily: "cpu_families",
    CpuModel: "cpu_models",
    CompatMode: "compat_modes",
    Host: "hosts",
    Package: "packages",
    Subsection: "subsections",
}


def _differing(types: tuple[MachineType, ...], difference: Difference) -> tuple[MachineType, ...]:
    if all(t.name != difference.name for t in types):
        names = [t.name for t in types]
        hint = did_you_mean(difference.name, names)
        raise DeclarationError(f"no such machine type: {difference.name!r}{hint}")
    return tuple(t.differing(difference) if t.name == difference.name else t for t in types)


def _with(things: tuple[_Named, ...], thing: _Named) -> tuple[_Named, ...]:
    if any(other.name == thing.name for other in things):
        return tuple(thing if other.name == thing.name else other for other in things)
    place = len(things)
    if isinstance(thing, Capability) and thing.after:
        names = [other.name for other in things]
        if thing.after not in names:
            hint = did_you_mean(thing.after, map(str, names))
            raise DeclarationError(f"{thing.name}: no such capability to follow: {thing.after!r}{hint}")
        place = names.index(thing.after) + 1
    return (*things[:place], thing, *things[place:])


def _with_type(types: tuple[MachineType, ...], new: MachineType) -> tuple[MachineType, ...]:
    if new.base is not None or any(old.name == new.name for old in types):
        return _with(types, new)
    rebased = (replace(old, base=new.name) if old.base is None else old for old in types)
    return (new, *rebased)


def _upstream(known: tuple[Capability, ...], table: tuple[Capability, ...]) -> tuple[Capability, ...]:
    """Return the whole table if it begins with ``known`` (one description serves all), else ``known``."""
    return table if table[: len(known)] == known else known


class Binary:
    """One release's program: its tables, with every history resolved, each made once."""

    def __init__(self, catalogue: Catalogue, release: Release) -> None:
        self.catalogue = catalogue
        self.release = release
        known = [c for c in catalogue.capabilities if c.span.covers(release)]
        self.capability_table: tuple[Capability, ...] = _upstream(tuple(known), catalogue.capabilities)
        self.capabilities: tuple[CapabilityAt, ...] = tuple(
            capability_at(c, index, release) for index, c in enumerate(known)
        )
        self.capability: dict[str, CapabilityAt] = {c.property_name: c for c in self.capabilities}
        self.compat: CompatTable = compat_table(catalogue.compat_modes, release)
        self.cpus: dict[str, CpuAt] = self._cpus()
        self.machine_types: dict[str, MachineType] = {
            t.name: t for t in catalogue.machine_types if self._offers(t)
        }
        self.default_type: str = catalogue.default_type.at(release) or next(iter(self.machine_types))
        self._all_types = {t.name: t for t in catalogue.machine_types}
        self._defaults = {c.name: at(c.default, release) for c in known}
        self._classes: dict[str, MachineClass] = {}

    def _offers(self, machine_type: MachineType) -> bool:
        package = self.catalogue.package
        if package is not None and not package.offers(machine_type.name):
            return False
        return self.catalogue.lifecycle.offers(machine_type, self.release)

    def _cpus(self) -> dict[str, CpuAt]:
        families = {family.name: family for family in self.catalogue.cpu_families}
        kept = self.catalogue.package.cpus if self.catalogue.package is not None else None
        models = (
            m
            for m in self.catalogue.cpu_models
            if m.span.covers(self.release) and (kept is None or m.name in kept)
        )
        cpus = [cpu_at(model, families[model.family], self.release) for model in models]
        return {cpu.name: cpu for cpu in cpus}

    def machine(self) -> Machine:
        """Return a new machine of this program, with nothing decided yet."""
        machine = Machine(
            self.release, self.catalogue.rules, self.capabilities, self.capability_table, self.compat
        )
        if self.catalogue.subsections or self.catalogue.hooks:
            machine.adapt = partial(change_descriptions, self.catalogue.subsections, self.catalogue.hooks)
        return machine

    def machine_class(self, name: str) -> MachineClass:
        """Return the class of a machine type that this release offers; it is made once."""
        known = self._classes.get(name)
        if known is None:
            known = machine_class(self._all_types, name, self._defaults, self.release)
            self._classes[name] = known
        return known


CATALOGUE = Catalogue(
    newest=tuple(Release.parse(text) for text in releases.NEWEST),
    machine_types=machine_types.MACHINE_TYPES,
    capabilities=CAPABILITIES,
    cpu_families=CPU_FAMILIES,
    cpu_models=CPU_MODELS,
    compat_modes=COMPAT_MODES,
    default_type=machine_types.DEFAULT_TYPE,
    packages=(*UBUNTU, *RHEL),
)
