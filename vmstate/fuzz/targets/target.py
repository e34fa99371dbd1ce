"""What every target has."""

from __future__ import annotations

from typing import Protocol

from vmstate.fuzz.faults import Run


class Target(Protocol):
    """Takes a stream; never raises for what is wrong with it."""

    name: str

    def run(self, stream: memoryview) -> Run:
        """What it makes of the stream, which must not be kept."""

    def close(self) -> None:
        """Give back what it holds."""
