"""A whole stream as one tree: sections decoded, framing named, a path to every field."""

from __future__ import annotations

from vmstate.tree.contents import Contents, facts_of
from vmstate.tree.declarations import Declarations, Declared, StreamFacts
from vmstate.tree.decoded import By, Decoded, replayed

__all__ = [
    "By",
    "Contents",
    "Declarations",
    "Declared",
    "Decoded",
    "StreamFacts",
    "facts_of",
    "replayed",
]
