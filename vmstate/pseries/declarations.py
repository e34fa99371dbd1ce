"""Our declarations of the devices of pseries machines, for reading streams that do not describe themselves.

A stream does not say which release wrote it: every description that a device has in a release with the
machine type is a candidate, newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, cached_property, lru_cache

from vmstate.describe.history import Release
from vmstate.pseries.board.device import Device
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.devices import modules
from vmstate.pseries.machine import Machine
from vmstate.tree.declarations import Declared, StreamFacts

#: The type that a stream without a configuration section is of, if it is a whole one: it has everything of
#: old types.  The state of devices alone (``xen-save-devices-state``) may be of any type.
OLDEST_TYPE = "pseries-2.1"


@cache
def device_classes() -> dict[str, list[type[Device]]]:
    """Return the classes of every declared device, by the name of its description."""
    for _ in modules():
        pass
    found: dict[str, list[type[Device]]] = {}
    todo: list[type[Device]] = [Device]
    while todo:
        kind = todo.pop(0)
        todo += kind.__subclasses__()
        if "description" in vars(kind):
            found.setdefault(kind.description.name, []).append(kind)
    return found


@lru_cache
def _names_of(idstr: str) -> tuple[str, ...]:
    """Return the descriptions' names that a section's name may stand for."""
    return tuple(name for name in device_classes() if idstr == name or idstr.endswith("/" + name))


class PseriesDeclarations:
    """The declarations of a catalogue's releases, by the names of sections."""

    def __init__(self, catalogue: Catalogue = CATALOGUE) -> None:
        self.catalogue = catalogue
        self._known: dict[tuple[str, str], list[Declared]] = {}
        self._machines: dict[tuple[str, Release], Machine] = {}

    def candidates(
        self, facts: StreamFacts, idstr: str, instance_id: int, version_id: int
    ) -> Iterable[Declared]:
        """Yield the descriptions that such a section may have, each with a new blank state."""
        if facts.machine is None and facts.idstrs and "spapr" not in facts.idstrs:
            return  # an old stream of some other machine
        for name in _names_of(idstr):
            for declared in self._of_types(facts.machine, name):
                state = type(declared.state).blank(declared.state.machine, idstr, instance_id)
                yield Declared(declared.description, state, declared.releases)

    def _of_types(self, machine: str | None, name: str) -> Iterator[Declared]:
        """Yield the descriptions for a machine type, or for any, each once."""
        if machine is not None:
            yield from self._descriptions(machine, name)
            return
        seen: set[int] = set()
        for one in (OLDEST_TYPE, *(one.name for one in self.catalogue.machine_types)):
            for declared in self._descriptions(one, name):
                if id(declared.description) not in seen:
                    seen.add(id(declared.description))
                    yield declared

    def _descriptions(self, machine: str, name: str) -> list[Declared]:
        """Return the distinct descriptions among releases; their states are patterns, never decoded into."""
        releases_of_type = self._releases.get(machine)
        if releases_of_type is None:
            return []  # another machine's, or a name that a stream makes up
        key = (machine, name)
        if key not in self._known:
            grouped: dict[int, Declared] = {}
            for release, device in self._devices(machine, name, releases_of_type):
                description = device.plan.vmsd
                before = grouped.get(id(description))
                others = before.releases if before else ()
                grouped[id(description)] = Declared(
                    description, before.state if before else device, (release, *others)
                )
            self._known[key] = list(grouped.values())
        return self._known[key]

    def _devices(
        self, machine: str, name: str, releases: Iterable[Release]
    ) -> Iterator[tuple[Release, Device]]:
        for release in releases:
            for kind in device_classes()[name]:
                if kind.description.span.covers(release):
                    yield release, kind.blank(self._machine(machine, release))

    def _machine(self, name: str, release: Release) -> Machine:
        """Return a machine of which only the type is known."""
        if (name, release) not in self._machines:
            binary = self.catalogue.binary(release)
            machine = binary.machine()
            machine.become(binary.machine_class(name))
            self._machines[name, release] = machine
        return self._machines[name, release]

    @cached_property
    def _releases(self) -> dict[str, list[Release]]:
        """Those that have a machine type, of the first and the newest release of each line, newest first."""
        lines = {release: Release(release.major, release.minor) for release in self.catalogue.newest}
        found: dict[str, list[Release]] = {}
        for release in sorted({*lines, *lines.values()}, reverse=True):
            for name in self.catalogue.binary(release).machine_types:
                found.setdefault(name, []).append(release)
        return found


@cache
def pseries_declarations() -> PseriesDeclarations:
    """Return the declarations of the shipped catalogue; they keep what they have compiled."""
    return PseriesDeclarations()
