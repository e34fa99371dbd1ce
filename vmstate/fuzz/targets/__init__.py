"""The targets of a campaign: the programs that read its streams."""

from __future__ import annotations

from vmstate.fuzz.targets.reader import Reader
from vmstate.fuzz.targets.real import Real
from vmstate.fuzz.targets.simulated import Simulated
from vmstate.fuzz.targets.target import Target

__all__ = ["Reader", "Real", "Simulated", "Target"]
