"""Strategies for whole random descriptions."""

from __future__ import annotations

from vmstate.fuzz.strategies import descriptions
from vmstate.fuzz.strategies import releases as drawn_releases

releases = drawn_releases()

__all__ = ["descriptions", "releases"]
