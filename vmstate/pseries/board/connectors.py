"""Dynamic reconfiguration connectors (DRC), the slots of hotplug: kinds, indexes, counts."""

from __future__ import annotations

from enum import IntEnum

from vmstate.dataclass import dataclass

#: The first release that registers connectors ("spapr_drc" sections).
SINCE = "2.10"
TYPE_SHIFT = 28


class DrcType(IntEnum):
    """The kind of device on a connector: the upper bits of the connector's index (SpaprDrcTypeShift)."""

    CPU = 1
    PHB = 2
    PCI = 4
    LMB = 8
    PMEM = 9

    @property
    def physical(self) -> bool:
        """True for PCI slots: they have an indicator light, and a second registration for it."""
        return self is DrcType.PCI

    def index(self, number: int) -> int:
        """Return the connector's index (spapr_drc_index), which is its instance."""
        return self << TYPE_SHIFT | number


@dataclass(frozen=True, slots=True)
class Connectors:
    """``count`` connectors of a kind with consecutive numbers; ``section_id``: the first one's."""

    kind: DrcType
    first: int
    count: int
    section_id: int = 0

    @property
    def registrations(self) -> int:
        """The number of section ids that they take: two for each with an indicator."""
        return self.count * self._each

    @property
    def _each(self) -> int:
        return 2 if self.kind.physical else 1

    def section_id_of(self, number: int, *, indicator: bool = False) -> int:
        """Return the section id of a connector, or of its indicator, which is registered after it."""
        return self.section_id + (number - self.first) * self._each + indicator

    def number(self, instance_id: int) -> int | None:
        """Return the number of the connector with this instance; None if it is not one of these."""
        number = instance_id - self.kind.index(0)
        return number if self.first <= number < self.first + self.count else None
