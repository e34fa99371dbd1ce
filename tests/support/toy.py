"""A Python function as a destination, for planted defects."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.errors import VmstateError
from vmstate.fuzz.faults import Run, escaped
from vmstate.judge.comparison import Answer
from vmstate.simulate.reloading import Beginning


class Toy:
    """``load(stream)``: a :class:`VmstateError` is a reject, any other exception a finding."""

    def __init__(self, load: Callable[[memoryview], object], name: str = "toy") -> None:
        self.name = name
        self._load = load

    def run(self, stream: memoryview, begins: Beginning | None = None) -> Run:
        """Call the function."""
        try:
            self._load(stream)
        except VmstateError as error:
            return Run(self.name, Answer("reject", (str(error),), rule=type(error).__name__))
        except Exception as error:  # noqa: BLE001 - the test looks for any exception that escapes
            return Run(self.name, Answer("escaped", (repr(error),)), (escaped(error),))
        return Run(self.name, Answer("accept"))

    def close(self) -> None:
        """Do nothing: there are no resources."""
