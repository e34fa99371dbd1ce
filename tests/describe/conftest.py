"""Settings for busy machines: no deadlines, and no explanation phase, which may take minutes."""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile("unhurried", deadline=None, phases=set(Phase) - {Phase.explain})
settings.load_profile("unhurried")
