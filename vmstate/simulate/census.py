"""A census of sections: the machine types, by release, that send a section or subsection.

A condition is evaluated on a machine at rest.  If it does not hold, every value of the guest's state that it
may depend on is tried; everything that the machine type decides is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from enum import StrEnum
from itertools import product
from types import FunctionType, MethodType
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import Field, Release, VMStateDescription
from vmstate.describe.history import at
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.history import Row
from vmstate.pseries.machine import Machine
from vmstate.pseries.summaries import oldest_first
from vmstate.simulate.default_machines import DefaultMachine, name_of, registered, start

_MOST_UNKNOWNS = 4  # the most attributes that a condition may depend on and still be tried with all values


class Sent(StrEnum):
    """The condition on which a default machine sends a section; ABSENT: it has no such device."""

    AT_REST = "at rest"
    CONDITIONAL = "on its condition"
    NEVER = "never"
    ABSENT = "not registered"


Census = Mapping[Release, Mapping[str, Mapping[str, Sent]]]
"""How each row is sent, by release, machine type and path."""


def census(
    catalogue: Catalogue, name: str, rows: Iterable[Row], releases: Iterable[Release], arguments: str = ""
) -> Census:
    """Find which machine types send the section ``name``, or ``rows`` of it: its subsections and itself."""
    parts = list(rows)
    found: dict[Release, dict[str, dict[str, Sent]]] = {}
    for release in releases:
        types = found[release] = {}
        for machine_type in catalogue.binary(release).machine_types:
            try:
                machine = start(catalogue, release, machine_type, arguments)
            except ConfigurationError:
                continue
            if machine.instance is not None:
                types[machine_type] = sent_by(machine, name, parts)
    return found


def sent_by(machine: DefaultMachine, name: str, parts: Sequence[Row]) -> dict[str, Sent]:
    """Return how a machine that has started sends each of ``parts`` of the section ``name``, by path."""
    assert machine.instance is not None
    devices = [device for _, device in registered(machine, name) if name_of(device) == name]
    if not parts:
        live = (device.active() for device in devices if isinstance(device, LiveDevice))
        return {name: _best(Sent.AT_REST if active else Sent.CONDITIONAL for active in live)}
    # An option may set every capability to another level than its default.
    given = copy(machine.instance.machine)
    given.given = (True,) * len(given.given)
    given.effective_levels = tuple(level + 1 for level in given.default_levels)
    return {row.path: _best(_sent(row, device, given) for device in devices) for row in parts}


def _best(answers: Iterable[Sent]) -> Sent:
    found = set(answers)
    return next((sent for sent in Sent if sent in found), Sent.ABSENT)


def _sent(row: Row, device: Device | LiveDevice, given: Any) -> Sent:
    """Return how a device sends a row: every condition on the way from the section to it must hold."""
    release = given.release
    if not row.exists(release):
        return Sent.NEVER
    state: Any = device
    answer = Sent.AT_REST
    for declared in row.chain:
        if isinstance(declared, Field):
            state = _inner(state, declared)
        needed = at(declared.needed, release) if isinstance(declared, VMStateDescription) else None
        if needed is None:
            continue
        if _holds(needed, state):
            continue
        if not _may_hold(needed, state, given):
            return Sent.NEVER
        answer = Sent.CONDITIONAL
    return answer


def _inner(state: Any, field: Field) -> Any:
    if field.attr in {None, ".", "virtio", "extra_state"} or state is None:
        return state
    inner = getattr(state, str(field.attr), None)
    return inner[0] if isinstance(inner, list | tuple) and inner else inner


def _holds(needed: Callable[[Any], bool], state: Any) -> bool:
    try:
        return bool(needed(state))
    except Exception:  # noqa: BLE001 - no such state at rest; the condition is tried below
        return False


def _may_hold(needed: Callable[[Any], bool], state: Any, given: Any) -> bool:
    """Return True if the guest's state, or a device property, can make the condition true.

    Everything that the machine type decides is kept.  A condition that cannot be tried is assumed possible.
    """
    seen: list[str] = []
    _try(needed, _UnknownState(state, given, {}, seen))
    names = list(dict.fromkeys(seen))
    if len(names) > _MOST_UNKNOWNS:
        return True
    assignments = (
        dict(zip(names, values, strict=True)) for values in product((True, False), repeat=len(names))
    )
    return any(_try(needed, _UnknownState(state, given, values, seen)) for values in assignments)


def _try(needed: Callable[[Any], bool], state: Any) -> bool:
    try:
        return bool(needed(state))
    except Exception:  # noqa: BLE001 - the condition needs more than truth values: assume that it may hold
        return True


class _UnknownState:
    """A device whose state is unknown: each attribute is true or false, as ``values`` say."""

    def __init__(self, device: object, machine: Machine, values: Mapping[str, bool], seen: list[str]) -> None:
        self.__dict__.update(_device=device, machine=machine, _values=values, _seen=seen)

    def __getattr__(self, name: str) -> Any:
        own = getattr(type(self._device), name, None)
        if isinstance(own, property) and own.fget is not None:
            return own.fget(self)
        if isinstance(own, FunctionType):
            return MethodType(own, self)
        self._seen.append(name)
        return _Truth(self._values.get(name, True))


class _Truth:
    """A value of which only its truth is known; every comparison gives that truth."""

    def __init__(self, true: bool) -> None:
        self._true = true

    def __bool__(self) -> bool:
        return self._true

    def _same(self, *_: object) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return not self._true

    def __ne__(self, other: object) -> bool:
        return self._true

    __hash__ = None  # type: ignore[assignment]
    __and__ = __rand__ = __or__ = __rshift__ = __getitem__ = __call__ = _same
    __lt__ = __le__ = __gt__ = __ge__ = _same


# ---- a summary of the census


@dataclass(frozen=True)
class SentRun:
    """A run of releases that agree; their machine types, oldest first, grouped by how they send it."""

    releases: tuple[str, ...]
    machine_types: Mapping[Sent, tuple[str, ...]]


def sent_runs(
    catalogue: Catalogue, taken: Census, path: str, exists: Callable[[Release], bool]
) -> list[SentRun]:
    """Summarize the census of one section or subsection: runs of releases that have it and agree."""
    order = oldest_first(machine_type.name for machine_type in catalogue.machine_types)
    found: list[SentRun] = []
    for releases, agreed in _agreeing(taken, path, exists):
        by_answer = {sent: tuple(name for name in order if agreed.get(name) == sent) for sent in Sent}
        lines = tuple(f"{release.major}.{release.minor}" for release in releases)
        found.append(SentRun(lines, {sent: names for sent, names in by_answer.items() if names}))
    return found


def _is_sent(answers: Mapping[str, Sent]) -> bool:
    return not {Sent.AT_REST, Sent.CONDITIONAL}.isdisjoint(answers.values())


def _agreeing(
    taken: Census, path: str, exists: Callable[[Release], bool]
) -> Iterator[tuple[Sequence[Release], Mapping[str, Sent]]]:
    releases: list[Release] = []
    agreed: dict[str, Sent] = {}
    for release in sorted(taken):
        if not exists(release):
            continue
        answers = {name: sent.get(path, Sent.NEVER) for name, sent in taken[release].items()}
        differing = any(agreed.get(name, answer) != answer for name, answer in answers.items())
        if releases and (differing or _is_sent(agreed) != _is_sent(answers)):
            yield releases, agreed
            releases, agreed = [], {}
        releases.append(release)
        agreed.update(answers)
    if releases:
        yield releases, agreed
