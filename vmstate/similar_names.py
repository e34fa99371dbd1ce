"""Names that resemble a wrong one, for error messages."""

from __future__ import annotations

from collections.abc import Iterable


def similar(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known names that resemble ``name``, the nearest first, and none that is much less near."""
    from difflib import SequenceMatcher, get_close_matches  # only where something is wrong

    near = get_close_matches(name, list(dict.fromkeys(known)), most, 0.6)
    ratios = [SequenceMatcher(None, one, name).ratio() for one in near]
    return [one for one, ratio in zip(near, ratios, strict=True) if ratio > ratios[0] - 0.1]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with similar names, to be put after an error; nothing if there are none."""
    near = similar(name, known)
    return f"; did you mean {' or '.join(near)}?" if near else ""
