"""The machine that runs these laws may be busy: no deadlines, and no explanations that take minutes."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("unhurried", deadline=None, phases=set(Phase) - {Phase.explain})
settings.load_profile("unhurried")
