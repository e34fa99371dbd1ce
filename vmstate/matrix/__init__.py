"""Matrices: every release against every release, for many machines."""

from __future__ import annotations
