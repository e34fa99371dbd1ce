"""Compatibility of descriptions: two schemas compared by their wire layouts, and one schema linted.

``compare(old, new)`` asks, in both directions, if a destination with one reads what a source with the other
sends.  Every answer is an :class:`Issue` with a rule of :data:`RULES`; what could not be compared is one too.
"""

from vmstate.compatibility.comparing import Comparison, compare
from vmstate.compatibility.issue import Direction, Issue
from vmstate.compatibility.linting import lint
from vmstate.compatibility.policy import Allowance, Judged, Policy, Weighed, judged, read_policy
from vmstate.compatibility.rules import RULES, Category, Rule

__all__ = [
    "RULES",
    "Allowance",
    "Category",
    "Comparison",
    "Direction",
    "Issue",
    "Judged",
    "Policy",
    "Rule",
    "Weighed",
    "compare",
    "judged",
    "lint",
    "read_policy",
]
