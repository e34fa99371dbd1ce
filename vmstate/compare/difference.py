"""One difference between two streams."""

from __future__ import annotations

import dataclasses

from vmstate.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """The place where two streams differ, and the content of each side there (None: nothing).

    Rules: ``diff.missing``, ``diff.extra``, ``diff.value``, ``diff.type``, ``diff.order``, ``diff.ram``.
    """

    rule: str
    path: str
    left: str | None = None
    right: str | None = None
    left_offset: int | None = None
    right_offset: int | None = None

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            side = "only left" if self.rule == "diff.missing" else "only right"
            text = self.left if self.left is not None else self.right
            return (
                f"{self.path}: {text}" if self.rule in ("diff.ram", "diff.value") else f"{self.path}: {side}"
            )
        return f"{self.path}: {self.left} | {self.right}"

    def as_json(self) -> dict[str, object]:
        """Return the difference as a JSON object, without absent members."""
        members = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {name: value for name, value in members.items() if value is not None}
