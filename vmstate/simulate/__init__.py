"""A migration, run: a source that saves, a destination that loads, a verdict."""

from __future__ import annotations
