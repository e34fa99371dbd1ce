"""Named changes of a stream: small functions that a report can quote, with what they may vary declared."""

from __future__ import annotations

from vmstate.fuzz.mutations import sections as sections
from vmstate.fuzz.mutations.registry import MUTATIONS, Mutation, mutation

__all__ = ["MUTATIONS", "Mutation", "mutation"]
