"""The interface of targets."""

from __future__ import annotations

from typing import Protocol

from vmstate.fuzz.faults import Run


class Target(Protocol):
    """A reader of streams that never raises for a bad stream."""

    name: str

    def run(self, stream: memoryview) -> Run:
        """Read the stream, which must not be kept, and return its answer and faults."""

    def close(self) -> None:
        """Release all resources."""
