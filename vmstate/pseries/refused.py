"""How a QEMU that starts gives up."""

from __future__ import annotations


class Refused(Exception):
    """QEMU prints ``lines`` and exits; ``crashed`` if it does so by a failed assertion."""

    def __init__(self, *lines: str, crashed: bool = False) -> None:
        super().__init__(*lines)
        self.lines = lines
        self.crashed = crashed
