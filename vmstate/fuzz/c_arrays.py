"""Arrays as C has them: as long as the struct says, and with nothing before the first element."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

from vmstate.describe import WireArray

_DEEPEST = 8  # structs in structs


class InC(list[Any]):
    """An array as C has it: an index that is negative is outside, not counted from the end."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_in_c(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_in_c(index), value)


class BytesInC(bytearray):
    """A buffer as C has it."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_in_c(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_in_c(index), value)


def _in_c(index: Any) -> Any:
    if isinstance(index, int) and index < 0:
        raise IndexError(f"index {index} of an array")
    return index


def as_in_c(state: Any, reset: Any, depth: int = _DEEPEST) -> None:
    """Arrays keep their length in C: what did not come stays as it was after ``reset``."""
    if depth == 0 or not hasattr(state, "__dict__"):
        return
    for name, old in vars(reset).items():
        new = getattr(state, name, None)
        if isinstance(old, bytes | bytearray | memoryview) and isinstance(new, Sized):
            setattr(state, name, BytesInC([*new, *old[len(new) :]]))  # type: ignore[misc]
        elif isinstance(old, list | WireArray) and isinstance(new, Sequence | WireArray):
            for one, before in zip(new, old, strict=False):
                as_in_c(one, before, depth - 1)
            setattr(state, name, InC([*new, *old[len(new) :]]))
        elif hasattr(old, "__dict__"):
            as_in_c(new, old, depth - 1)
