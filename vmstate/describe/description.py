"""A description of device state: declared once, with its whole history (VMStateDescription)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import takewhile
from types import SimpleNamespace
from typing import Any

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.fields import Field, shown
from vmstate.describe.history import ALWAYS, History, Release, Span
from vmstate.describe.history import at as value_at

PreHook = Callable[[Any], "int | None"]
PostLoad = Callable[[Any, int], "int | None"]
Needed = Callable[[Any], bool]
PreHooks = PreHook | History[PreHook | None] | None


# Before 3.1 a list of subsections ended, for both directions, at the first one without ``needed``.
ALWAYS_NEEDED = Span(since="3.1")


class Record(SimpleNamespace):
    """A state without behaviour; descriptions load into it if no device is given."""


class Priority(IntEnum):
    """Order of sections: higher ones come first (MigrationPriority)."""

    DEFAULT = 0
    IOMMU = 1
    PCI_BUS = 2
    VIRTIO_MEM = 3
    GICV3_ITS = 4
    GICV3 = 5


@dataclass(frozen=True, eq=False, repr=False)
class VMStateDescription:
    """Name, versions, fields, subsections and hooks, any of which may vary by release.

    ``needed(state)`` decides if a section or subsection is sent.  Hooks take the state object and return
    0, None or a negative errno; ``post_load`` also takes the incoming version.
    """

    name: str
    version_id: int | History[int] = 0
    minimum_version_id: int | History[int] = 0
    fields: Sequence[Field] = ()
    subsections: Sequence[VMStateDescription] = ()
    needed: Needed | History[Needed | None] | None = None
    pre_load: PreHooks = None
    post_load: PostLoad | History[PostLoad | None] | None = None
    pre_save: PreHooks = None
    post_save: PreHooks = None
    dev_unplug_pending: Needed | None = None
    priority: Priority = Priority.DEFAULT
    unmigratable: bool = False
    early_setup: bool = False
    span: Span = ALWAYS
    # The compiled plan, kept here so that it goes when the description goes (plan.py plan_of).
    plan: Any = field(default=None, repr=False, init=False)
    _resolved: dict[Release, VMStateDescription] = field(default_factory=dict, repr=False, init=False)

    __repr__ = shown

    def at(self, release: Release | str) -> VMStateDescription:
        """Return this description as of ``release``: no history remains, in nested descriptions either."""
        release = Release.parse(release)
        if release not in self._resolved:
            self._resolved[release] = self._resolve(release)
        return self._resolved[release]

    def _resolve(self, release: Release) -> VMStateDescription:
        fields = tuple(_field_at(f, release) for f in self.fields if f.span.covers(release))
        subsections = tuple(s.at(release) for s in self.subsections if s.span.covers(release))
        if not ALWAYS_NEEDED.covers(release):
            subsections = tuple(takewhile(lambda s: s.needed is not None, subsections))
        varying = (
            "version_id",
            "minimum_version_id",
            "needed",
            "pre_load",
            "post_load",
            "pre_save",
            "post_save",
        )
        changed = {k: v.at(release) for k in varying if isinstance(v := getattr(self, k), History)}
        if not changed and _same(fields, self.fields) and _same(subsections, self.subsections):
            return self
        return replace(self, fields=fields, subsections=subsections, **changed)


def _same(new: Sequence[object], old: Sequence[object]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))


def _field_at(one: Field, release: Release) -> Field:
    vmsd = one.vmsd.at(release) if one.vmsd else None
    key = one.key.at(release) if one.key else None
    version = value_at(one.version_id, release)
    allocated = value_at(one.allocated, release)
    if (vmsd, key, version, allocated) == (one.vmsd, one.key, one.version_id, one.allocated):
        return one
    return replace(one, vmsd=vmsd, key=key, version_id=version, allocated=allocated)
