"""Colours for texts that may go to a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Paint: TypeAlias = Callable[[str, str], str]
"""Takes a colour and a text, and returns the coloured text."""


def plain(_colour: str, text: str) -> str:
    """Return the text without colour."""
    return text
