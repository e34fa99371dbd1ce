"""Equivalent machines: built the same, they send and accept the same, whatever their command lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vmstate.dataclass import replace
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.startup.build import Start
from vmstate.pseries.startup.command_line import Configuration

#: Fields of a machine that its release and catalogue determine, or that only its start or a process needs.
_DECIDED = frozenset(
    {
        *("release", "rules", "capabilities", "capability_table", "compat_table", "class_levels", "adapt"),
        *("chardevs", "drives", "entries", "diagnostics", "trace", "xive_connected", "nr_servers"),
    }
)


#: Parts of a catalogue that matter only while a machine starts; their effects are in the machine's own facts.
_ONLY_WHILE_STARTING: dict[str, Any] = {
    "newest": (), "machine_types": (), "default_type": None, "hosts": (), "packages": (), "package": None,
    "forks": (), "fork_name": "",
}  # fmt: skip
_STARTING_RULES: dict[str, Any] = dict.fromkeys(
    ("default_levels", "given_levels", "effective_levels", "interrupt_mode")
)


class EquivalentMachines:
    """Numbers for machines; equivalent machines have the same number."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._behaviours: dict[int, int] = {}
        self._running: list[Catalogue] = []

    def number(self, configuration: Configuration, start: Start) -> int:
        """Return the number of a started machine, or of a refusal with its lines."""
        key = (self._behaviour(configuration.catalogue), *_facts(configuration, start))
        return self._numbers.setdefault(key, len(self._numbers))

    def forget(self) -> None:
        """Forget all numbers given so far."""
        self._numbers.clear()

    def _behaviour(self, catalogue: Catalogue) -> int:
        """Return a number for the behaviour of started machines; equal catalogues have the same one."""
        known = self._behaviours.get(id(catalogue))
        if known is None:
            runs = replace(
                catalogue, **_ONLY_WHILE_STARTING, rules=replace(catalogue.rules, **_STARTING_RULES)
            )
            if runs not in self._running:
                self._running.append(runs)
            known = self._behaviours[id(catalogue)] = self._running.index(runs)
        return known


def _facts(configuration: Configuration, start: Start) -> tuple[object, ...]:
    """Return the facts that distinguish machines of one catalogue: equal facts mean equal behaviour."""
    if start.machine is None:
        return (configuration.release, start.messages)
    facts: Mapping[str, Any] = vars(start.machine)
    return (
        configuration.release,
        start.messages,
        *(_hashable(value) for name, value in facts.items() if name not in _DECIDED),
    )


def _hashable(value: Any) -> object:
    return value if value.__hash__ is not None else repr(value)
