"""The base classes of migratable devices: state objects that are registered under a name.

A device is the state object of its own description: fields are its attributes, and hooks take it.
``machine`` is the built machine (its release, flags, CPU, capabilities), or, when a stream is only
decoded, the few facts about one that the stream itself gives.
"""

from __future__ import annotations

from functools import cache
from typing import Self

from vmstate.describe import Plan, Release, VMStateDescription, plan_of
from vmstate.pseries.machine import Machine
from vmstate.savevm.entries import SaveVMHandlers


@cache
def _plan(description: VMStateDescription, release: Release) -> Plan:
    return plan_of(description.at(release))


class Device:
    """A registered section (SaveStateEntry, migration/savevm.c) and its state.

    Subclasses set ``description`` and, in ``__init__``, the state that a paused machine has after reset.
    """

    description: VMStateDescription
    idstr: str
    instance_id: int
    alias_id: int | None = None
    compat: tuple[str, int] | None = None  # the name and instance that releases before device paths used
    driver: str = ""  # the QOM type of a plugged device
    machine: Machine

    def __init__(self, machine: Machine, idstr: str | None = None, instance_id: int = 0) -> None:
        self.machine = machine
        self.idstr = idstr if idstr is not None else self.description.name
        self.instance_id = instance_id

    @classmethod
    def blank(cls, machine: Machine, idstr: str | None = None, instance_id: int = 0) -> Self:
        """Return a device without state, for decoding a stream; its conditions read ``machine``."""
        device = cls.__new__(cls)
        Device.__init__(device, machine, idstr, instance_id)
        return device

    def measure(self, payload: memoryview) -> None:
        """Derive state that a section lacks from its size; called before the section is decoded."""

    @property
    def plan(self) -> Plan:
        """The device's description at the machine's release, compiled."""
        return _plan(self.description, self.machine.release)

    @property
    def priority(self) -> int:
        """The priority: higher ones are sent and loaded first, even if registered later."""
        return self.description.priority

    @property
    def version_id(self) -> int:
        """The version that this device writes, and the newest that it loads."""
        return self.plan.version_id

    def needed(self) -> bool:
        """Return True if the section is sent."""
        needed = self.plan.needed
        return needed is None or needed(self)

    def say(self, line: str) -> None:
        """Print a line on the machine's stderr, as a hook's error_report does."""
        self.machine.say(line)

    def compared(self, rule: str, path: str, incoming: object, local: object, *, passed: bool) -> bool:
        """Record that a hook compared both sides' values, for verdict and trace; return ``passed``."""
        return self.machine.compared(self, rule, path, incoming, local, passed=passed)


class LiveDevice(SaveVMHandlers):
    """A section of a machine that has its own handlers instead of a description."""

    machine: Machine

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def say(self, line: str) -> None:
        """Print a line on the machine's stderr."""
        self.machine.say(line)
