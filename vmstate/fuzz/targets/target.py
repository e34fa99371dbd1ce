"""The interface of targets."""

from __future__ import annotations

from typing import Protocol

from vmstate.fuzz.faults import Run
from vmstate.simulate.reloading import Beginning


class Target(Protocol):
    """A reader of streams that never raises for a bad stream."""

    name: str

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Read the stream, which must not be kept, and return its answer and faults.

        ``begins``: how it begins, if that is known; the answer does not depend on it.
        """

    def close(self) -> None:
        """Release all resources."""
