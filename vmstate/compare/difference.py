"""One difference between two streams."""

from __future__ import annotations

from vmstate.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """The place where two streams differ, and the content of each side there (None: nothing).

    ``left`` and ``right`` are text for people; ``left_value`` and ``right_value`` are the numbers of fields
    that hold one.
    Rules: ``diff.missing``, ``diff.extra``, ``diff.value``, ``diff.type``, ``diff.order``, ``diff.ram``.
    """

    rule: str
    path: str
    left: str | None = None
    right: str | None = None
    left_offset: int | None = None
    right_offset: int | None = None
    left_value: int | None = None
    right_value: int | None = None

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            side = "only left" if self.rule == "diff.missing" else "only right"
            text = self.left if self.left is not None else self.right
            return (
                f"{self.path}: {text}" if self.rule in ("diff.ram", "diff.value") else f"{self.path}: {side}"
            )
        return f"{self.path}: {self.left} | {self.right}"

    def as_json(self) -> dict[str, object]:
        """Return the difference as a JSON object, without absent members.

        ``left`` and ``right`` are numbers where the field holds one; ``left_text`` and ``right_text`` are
        then what people read: ``2048 (0x800)``.
        """
        found: dict[str, object] = {"rule": self.rule, "path": self.path}
        for side in ("left", "right"):
            text, value = getattr(self, side), getattr(self, f"{side}_value")
            if value is not None:
                found |= {side: value, f"{side}_text": text}
            elif text is not None:
                found[side] = text
            if getattr(self, f"{side}_offset") is not None:
                found[f"{side}_offset"] = getattr(self, f"{side}_offset")
        return found
