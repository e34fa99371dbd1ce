"""Simulated migrations: a source that saves, a destination that loads, and a verdict."""

from __future__ import annotations
