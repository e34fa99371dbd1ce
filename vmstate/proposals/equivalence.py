"""Machines that are built alike: they send the same and judge the same, whatever they were started from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vmstate.pseries.catalogue import World
from vmstate.pseries.startup.build import Start
from vmstate.pseries.startup.command_line import Configuration

#: Facts of a machine that its release and world decide, or that only its start or one process needs.
_DECIDED = frozenset(
    {
        *("release", "rules", "capabilities", "capability_table", "compat_table", "class_levels", "adapt"),
        *("chardevs", "drives", "entries", "console", "trace", "refused", "xive_connected", "nr_servers"),
    }
)


#: What decides nothing any more once a machine has started: it stands in the machine's own facts.
_ONLY_WHILE_STARTING: dict[str, Any] = {
    "newest": (), "machine_types": (), "default_type": None, "hosts": (), "forks": (), "fork_name": "",
}  # fmt: skip
_STARTING_RULES: dict[str, Any] = dict.fromkeys(
    ("default_levels", "given_levels", "effective_levels", "interrupt_mode")
)


class EquivalentMachines:
    """Gives the machines that are alike the same number."""

    def __init__(self) -> None:
        self._numbers: dict[object, int] = {}
        self._behaviours: dict[int, int] = {}
        self._running: list[World] = []

    def number(self, configuration: Configuration, start: Start) -> int:
        """The number of a machine that was started, or of a refusal with its lines."""
        key = (self._behaviour(configuration.world), *_facts(configuration, start))
        return self._numbers.setdefault(key, len(self._numbers))

    def forget(self) -> None:
        """Begin again; numbers that were given mean nothing any more."""
        self._numbers.clear()

    def _behaviour(self, world: World) -> int:
        """A number for how machines of a world behave once they are started; equal worlds have the same."""
        known = self._behaviours.get(id(world))
        if known is None:
            runs = replace(world, **_ONLY_WHILE_STARTING, rules=replace(world.rules, **_STARTING_RULES))
            if runs not in self._running:
                self._running.append(runs)
            known = self._behaviours[id(world)] = self._running.index(runs)
        return known


def _facts(configuration: Configuration, start: Start) -> tuple[object, ...]:
    """All that tells one machine from another of the same world: equal facts, equal behaviour."""
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
