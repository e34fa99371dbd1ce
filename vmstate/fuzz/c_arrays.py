"""Arrays as in C: of the length that the struct declares, and with nothing before the first element."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

from vmstate.describe import WireArray

_DEEPEST = 8  # structs in structs


class CArray(list[Any]):
    """An array as in C: a negative index is out of bounds, not counted from the end."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_checked_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_checked_index(index), value)


class CBytes(bytearray):
    """A buffer as in C."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_checked_index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_checked_index(index), value)


def _checked_index(index: Any) -> Any:
    if isinstance(index, int) and index < 0:
        raise IndexError(f"index {index} of an array")
    return index


def with_c_arrays(state: Any, reset: Any, depth: int = _DEEPEST) -> None:
    """Give the arrays of ``state`` their length in C; elements that were not loaded are from ``reset``."""
    if depth == 0 or not hasattr(state, "__dict__"):
        return
    for name, old in vars(reset).items():
        new = getattr(state, name, None)
        if isinstance(old, bytes | bytearray | memoryview) and isinstance(new, Sized):
            setattr(state, name, CBytes([*new, *old[len(new) :]]))  # type: ignore[misc]
        elif isinstance(old, list | WireArray) and isinstance(new, Sequence | WireArray):
            for one, before in zip(new, old, strict=False):
                with_c_arrays(one, before, depth - 1)
            setattr(state, name, CArray([*new, *old[len(new) :]]))
        elif hasattr(old, "__dict__"):
            with_c_arrays(new, old, depth - 1)
