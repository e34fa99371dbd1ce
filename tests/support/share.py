"""How much a run tries of long rows of like cases: a part of them, or all with ``VMSTATE_TESTS=all``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("VMSTATE_TESTS") == "all"


def some(rows: Iterable[T], every: int) -> list[T]:
    """Return one row in ``every``, from the first on."""
    return list(rows)[:: 1 if ALL else every]


def times(few: int, many: int) -> int:
    """Return the number of random trials."""
    return many if ALL else few
