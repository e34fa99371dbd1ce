"""The page of two streams compared: what differs, by section, and where in the bytes of both."""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.compare.difference import Difference
from vmstate.front.stream_file import StreamFile
from vmstate.pages.rendering import render
from vmstate.pages.stream_page import labels

_LONGEST = 4000  # characters of a value


def diff_page(left: StreamFile, right: StreamFile, differences: Sequence[Difference]) -> str:
    """Return the page of the differences of two streams."""
    sides = [
        {"name": one.name, "machine": one.machine or "", "size": len(one.data), "parts": list(labels(one))}
        for one in (left, right)
    ]
    rows = [
        [
            one.rule,
            one.path,
            _short(one.left),
            _short(one.right),
            one.left_offset,
            one.right_offset,
        ]
        for one in differences
    ]
    return render(
        "diff",
        f"{left.name} and {right.name}",
        {"sides": sides, "rows": rows},
        left=left.name,
        right=right.name,
        count=len(rows),
    )


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
