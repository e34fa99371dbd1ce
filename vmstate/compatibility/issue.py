"""One result of a comparison or of linting."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from vmstate.dataclass import dataclass


class Direction(StrEnum):
    """The direction of a migration between two schemas."""

    FORWARD = "forward"
    BACKWARD = "backward"

    @property
    def words(self) -> str:
        """The direction for people."""
        return "old to new" if self is Direction.FORWARD else "new to old"


@dataclass(frozen=True)
class Issue:
    """A rule that applies at a path.

    ``path``: description names and fields, the innermost description first: ``PCIDevice.config``.
    ``old``, ``new``: what each side has there, in words; None for nothing.  ``directions``: those concerned;
    none for linting.  ``within``: labels of the sections that contain the place.
    """

    rule: str
    path: str
    message: str
    old: str | None = None
    new: str | None = None
    directions: tuple[Direction, ...] = ()
    within: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A stable name: the same issue in the next run has it too, wherever else the place is contained."""
        parts = (self.rule, self.path, self.old or "", self.new or "", *self.directions)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def way(self) -> str:
        """The directions for people; empty for linting."""
        if not self.directions:
            return ""
        return self.directions[0].words if len(self.directions) == 1 else "both ways"


def subsection_path(owner: str, name: str) -> str:
    """Return the path of a subsection: its name, which begins with that of its owner as a rule."""
    return name if name.startswith(owner) else f"{owner}/{name}"
