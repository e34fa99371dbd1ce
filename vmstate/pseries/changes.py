"""What a world changes in devices: subsections that it adds, hooks that it replaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from vmstate.describe import VMStateDescription
from vmstate.pseries.rules.replaceable import Change, hooked


@dataclass(frozen=True, eq=False)
class Subsection:
    """One more subsection, the last of those of the description named ``to`` (``cpu``, ``spapr``, …).

    ``reset``: the attributes that it adds to the device's state, as they are after reset.  In which
    releases there is such a subsection its own span says (``Since("11.2", …)``).
    """

    to: str
    description: VMStateDescription
    reset: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tells it from others: where it is, and its name on the wire."""
        return f"{self.to}: {self.description.name}"


@cache
def _extended(description: VMStateDescription, more: tuple[VMStateDescription, ...]) -> VMStateDescription:
    return replace(description, subsections=[*description.subsections, *more])


def add_subsections(devices: Iterable[Any], subsections: Sequence[Subsection]) -> None:
    """Give every device the subsections that are added to it, and their state."""
    for device in devices:
        description = getattr(device, "description", None)
        if description is None:
            continue
        added = [one for one in subsections if one.to == description.name]
        if added:
            device.description = _extended(description, tuple(one.description for one in added))
            for one in added:
                vars(device).update(one.reset)


def replace_hooks(devices: Iterable[Any], hooks: tuple[Change, ...]) -> None:
    """Give every device the description, and the hooks, that are in the place of its own."""
    for device in devices:
        description = getattr(device, "description", None)
        if description is not None:
            device.description = hooked(description, hooks)
