"""Policies: severities that a file changes, allowances with a reason and an end, and baselines.

A policy is a TOML file::

    [severity]
    "subsection.unknown" = "error"      # error, warning, info, or ignore

    [[allow]]
    rule = "version.too-new"            # * matches any text, here and in path
    path = "cpu/slb"                    # or a list
    direction = "backward"              # optional
    reason = "the subsection is sent only by processors that pseries does not have"
    owner = "ppc maintainers"
    expires = 2027-06-30

An allowance that has ended no longer applies, and is an issue itself; so is one that nothing needs.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vmstate.compatibility.issue import Direction, Issue
from vmstate.compatibility.rules import RULES
from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError, Severity

IGNORE = "ignore"
_BASELINE = "vmstate-baseline"
_KEYS = ("rule", "path", "reason", "owner", "expires")


@dataclass(frozen=True)
class Allowance:
    """A break that is accepted: which, why, by whom, and until when (that day included)."""

    rule: str
    paths: tuple[str, ...]
    reason: str
    owner: str
    expires: date
    direction: Direction | None = None

    def covers(self, issue: Issue) -> bool:
        """Return True if it allows an issue, in every direction that the issue concerns."""
        if not fnmatchcase(issue.rule, self.rule) or not self._at(issue.path):
            return False
        return self.direction is None or set(issue.directions) <= {self.direction}

    def _at(self, path: str) -> bool:
        return any(fnmatchcase(path, pattern) for pattern in self.paths)

    def __str__(self) -> str:
        way = f", {self.direction}" if self.direction else ""
        return f"{self.rule} at {', '.join(self.paths)}{way}"


@dataclass(frozen=True)
class Policy:
    """Severities by rule id (None: the rule is ignored), and allowances; ``source``: the file."""

    severities: Mapping[str, Severity | None] = field(default_factory=dict)
    allowances: tuple[Allowance, ...] = ()
    source: str = ""

    def severity(self, rule: str) -> Severity | None:
        """Return the severity of a rule; None if it is ignored."""
        return self.severities.get(rule, RULES[rule].severity)


@dataclass(frozen=True)
class Weighed:
    """An issue with its severity, and why it does not count: an allowance, or a baseline that has it."""

    issue: Issue
    severity: Severity
    allowed: Allowance | None = None
    known: bool = False

    @property
    def fails(self) -> bool:
        """True if it is an error that nobody has accepted."""
        return self.severity is Severity.ERROR and self.allowed is None and not self.known


@dataclass(frozen=True)
class Judged:
    """Issues judged by a policy, and what is wrong with its allowances."""

    weighed: tuple[Weighed, ...]
    ended: tuple[Allowance, ...] = ()
    unused: tuple[Allowance, ...] = ()

    @property
    def fails(self) -> bool:
        """True if some issue fails."""
        return any(one.fails for one in self.weighed)

    def count(self, severity: Severity) -> int:
        """Return the number of issues of a severity that count."""
        return sum(one.severity is severity and one.allowed is None and not one.known for one in self.weighed)


def judged(
    issues: Iterable[Issue], policy: Policy, today: date, baseline: frozenset[str] = frozenset()
) -> Judged:
    """Judge issues by a policy on a day; ``baseline``: fingerprints of those that were there before."""
    current = [one for one in policy.allowances if one.expires >= today]
    used: set[Allowance] = set()
    weighed = []
    for issue in issues:
        severity = policy.severity(issue.rule)
        if severity is None:
            continue
        allowed = next((one for one in current if one.covers(issue)), None)
        if allowed is not None:
            used.add(allowed)
        weighed.append(Weighed(issue, severity, allowed, issue.fingerprint in baseline))
    ended = tuple(one for one in policy.allowances if one.expires < today)
    return Judged(tuple(weighed), ended, tuple(one for one in current if one not in used))


def read_policy(path: str | Path) -> Policy:
    """Read a policy.  Raises ConfigurationError, naming the place, for one that is wrong; OSError."""
    try:
        document = tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as why:
        raise ConfigurationError(f"{path}: {why}") from None
    for key in document:
        if key not in ("severity", "allow"):
            raise ConfigurationError(f"{path}: unknown key {key!r}; a policy has [severity] and [[allow]]")
    severities = document.get("severity", {})
    allowed = document.get("allow", [])
    if not isinstance(severities, dict) or not isinstance(allowed, list):
        raise ConfigurationError(f"{path}: [severity] is a table, [[allow]] a list of tables")
    read = {rule: _severity(rule, value, path) for rule, value in severities.items()}
    return Policy(read, tuple(_allowance(one, i, path) for i, one in enumerate(allowed, 1)), str(path))


def _severity(rule: str, value: object, path: str | Path) -> Severity | None:
    if rule not in RULES:
        raise ConfigurationError(f"{path}: no such rule: {rule!r}")
    if value == IGNORE:
        return None
    if value not in list(Severity):
        known = ", ".join((*Severity, IGNORE))
        raise ConfigurationError(f"{path}: severity of {rule}: {value!r} is none of {known}")
    return Severity(str(value))


def _allowance(row: Any, number: int, path: str | Path) -> Allowance:
    where = f"{path}: [[allow]] number {number}"
    if not isinstance(row, dict):
        raise ConfigurationError(f"{where} is not a table")
    for key in _KEYS:
        if key not in row:
            raise ConfigurationError(f"{where}: {key!r} is missing")
    for key, value in row.items():
        if key not in (*_KEYS, "direction"):
            raise ConfigurationError(f"{where}: unknown key {key!r}")
        if key == "path" and isinstance(value, list) and value and all(isinstance(v, str) for v in value):
            continue
        if key != "expires" and (not isinstance(value, str) or not value.strip()):
            raise ConfigurationError(f"{where}: {key!r} is not text")
    if not any(fnmatchcase(rule, row["rule"]) for rule in RULES):
        raise ConfigurationError(f"{where}: no such rule: {row['rule']!r}")
    expires = row["expires"]
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise ConfigurationError(f"{where}: 'expires' is not a date such as 2027-06-30")
    way = row.get("direction")
    if way is not None and way not in list(Direction):
        raise ConfigurationError(f"{where}: 'direction' is forward or backward, not {way!r}")
    rule, reason, owner = (str(row[key]) for key in ("rule", "reason", "owner"))
    paths = tuple(row["path"]) if isinstance(row["path"], list) else (row["path"],)
    return Allowance(rule, paths, reason, owner, expires, Direction(way) if way else None)


def read_baseline(path: str | Path) -> frozenset[str]:
    """Read the fingerprints of a baseline.  Raises ConfigurationError if it is not one, OSError."""
    try:
        document = json.loads(Path(path).read_text())
        issues = document[_BASELINE]
        return frozenset(str(one["fingerprint"]) for one in issues)
    except (ValueError, TypeError, KeyError) as why:
        raise ConfigurationError(f"{path}: not a baseline: {why}") from None


def baseline_text(issues: Sequence[Issue]) -> str:
    """Return a baseline of issues, one on each line, in a fixed order."""
    rows = sorted(
        json.dumps({"fingerprint": one.fingerprint, "rule": one.rule, "path": one.path, "way": one.way})
        for one in issues
    )
    return f'{{"{_BASELINE}": [\n' + ",\n".join(rows) + "\n]}\n"
