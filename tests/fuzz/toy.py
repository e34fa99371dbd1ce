"""Any Python function as a destination: for defects planted on purpose."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.errors import VmstateError
from vmstate.fuzz.faults import Answer, escaped


class Toy:
    """``load(stream)``: an error of ours (:class:`VmstateError`) is a reject, any other one a finding."""

    def __init__(self, load: Callable[[memoryview], object], name: str = "toy") -> None:
        self.name = name
        self._load = load

    def run(self, stream: memoryview) -> Answer:
        """Call the function."""
        try:
            self._load(stream)
        except VmstateError as error:
            return Answer(self.name, "reject", (str(error),), rule=type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever gets out is what is looked for
            return Answer(self.name, "escaped", (repr(error),), (escaped(error),))
        return Answer(self.name, "accept")

    def close(self) -> None:
        """Nothing is held."""
