"""A machine-type bump: find out if a release may ship, as far as migration with the old one goes.

``bump(old, new, question)`` compares the descriptions, replays streams of each machine type in both programs
and both directions, simulates what this machine lacks, and follows guests there and back.  Every result is an
issue with a rule, so that policies and baselines hold for it.
"""

from vmstate.bump.answer import Answer, bump
from vmstate.bump.question import Question
from vmstate.bump.sides import Side, side_of

__all__ = ["Answer", "Question", "Side", "bump", "side_of"]
