"""The lifecycle of machine types: the releases that offer one, and those that warn of its removal.

include/hw/boards.h (``MACHINE_VER_DEPRECATION``, ``MACHINE_VER_DELETION``) and, before that policy,
``deprecation_reason`` in hw/ppc/spapr.c.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release, reached
from vmstate.pseries.tables.machine_class import MachineType


@dataclass(frozen=True)
class Lifecycle:
    """QEMU's lifecycle of versioned types: deprecated, then deleted, some major releases after their own.

    ``old_reason``: the reason that releases from ``old_since`` on give for types up to ``old_up_to``.
    """

    deprecated_after: int = 3
    deprecation_since: str = "9.1"
    deleted_after: int = 6
    deletion_since: str = "10.1"
    old_reason: str = "old and not maintained - use a 2.12+ version"
    old_up_to: str = "2.11"
    old_since: str = "9.0"

    def offers(self, machine_type: MachineType, release: Release) -> bool:
        """Return True if the program of ``release`` has the type."""
        if not machine_type.span.covers(release):
            return False
        deletes = reached(self.deletion_since, release)
        return not (deletes and _expired(machine_type.version, release, self.deleted_after))

    def deprecation(self, version: Release, release: Release) -> str | None:
        """Return the reason why ``release`` deprecates the type of that version; None if it does not."""
        if reached(self.deprecation_since, release) and _expired(version, release, self.deprecated_after):
            years = f"machines more than {self.deprecated_after} years old"
            return f"{years} are subject to deletion after {self.deleted_after} years"
        if reached(self.old_since, release) and version <= Release.parse(self.old_up_to):
            return self.old_reason
        return None


def _expired(version: Release, release: Release, years: int) -> bool:
    """Return True from the same minor number ``years`` majors later on: 5.2 reaches 6 years with 11.2."""
    return (release.major - version.major, release.minor) >= (years, version.minor)
