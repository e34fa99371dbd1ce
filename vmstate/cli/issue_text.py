"""Issues of ``compare``, ``lint`` and ``bump`` for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from vmstate import __version__
from vmstate.cli.terminal import Style
from vmstate.compatibility import RULES, Judged, Weighed
from vmstate.errors import Severity, quantity

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SHOWN = 3  # sections that a line names


def text_lines(judged: Judged, style: Style, *, everything: bool = False) -> Iterator[str]:
    """Yield issues by rule: the rule once, with why it matters and what to do, then each place."""
    counting = [one for one in judged.weighed if everything or _counts(one)]
    rules = list(RULES)
    counting.sort(key=lambda one: (list(Severity).index(one.severity), rules.index(one.issue.rule)))
    for (severity, name), group in groupby(counting, key=lambda one: (one.severity, one.issue.rule)):
        rule = RULES[name]
        word = style.paint(_COLOURS[severity], str(severity))
        yield f"{word} {style.paint('bold', name)} ({rule.category}): {rule.why}"
        if rule.remedy:
            yield f"    {rule.remedy}"
        yield from (f"  - {place(one)}" for one in group)
    for allowance in judged.ended:
        yield f"{style.paint('yellow', 'warning')} the allowance of {allowance} ended on {allowance.expires}"
    for allowance in judged.unused:
        yield f"{style.paint('yellow', 'warning')} nothing needs the allowance of {allowance}"


def _counts(one: Weighed) -> bool:
    return one.severity is not Severity.INFO and one.allowed is None and not one.known


def place(one: Weighed) -> str:
    """Return an issue in one line: path, direction, both sides, and why it does not count."""
    issue = one.issue
    text = issue.path
    if issue.way:
        text += f" ({issue.way})"
    text += f": {issue.message}"
    if issue.old is not None or issue.new is not None:
        joint = "; " if not issue.directions else " → "
        text += f": {issue.old or 'nothing'}{joint}{issue.new or 'nothing'}"
    if issue.within:
        more = len(issue.within) - _SHOWN
        text += f"; in {', '.join(issue.within[:_SHOWN])}" + (f" and {more} more" if more > 0 else "")
    if one.allowed is not None:
        text += f" [allowed until {one.allowed.expires}: {one.allowed.reason}; {one.allowed.owner}]"
    return text + (" [in the baseline]" if one.known else "")


def summary(judged: Judged) -> str:
    """Return the numbers of issues in one line."""
    parts = [quantity(judged.count(severity), noun) for severity, noun in _NOUNS]
    allowed = sum(one.allowed is not None for one in judged.weighed)
    known = sum(one.known and one.allowed is None for one in judged.weighed)
    parts += [f"{allowed} allowed"] if allowed else []
    parts += [f"{known} in the baseline"] if known else []
    return ", ".join(parts)


_NOUNS = ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note"))


def as_json(judged: Judged) -> list[dict[str, Any]]:
    """Return issues as JSON objects."""
    rows = []
    for one in judged.weighed:
        issue, rule = one.issue, RULES[one.issue.rule]
        row: dict[str, Any] = {
            "rule": issue.rule,
            "category": str(rule.category),
            "severity": str(one.severity),
            "path": issue.path,
            "message": issue.message,
            "directions": [str(direction) for direction in issue.directions],
            "old": issue.old,
            "new": issue.new,
            "within": list(issue.within),
            "why": rule.why,
            "remedy": rule.remedy or None,
            "fingerprint": issue.fingerprint,
        }
        if one.allowed is not None:
            row["allowed"] = {
                "reason": one.allowed.reason,
                "owner": one.allowed.owner,
                "expires": one.allowed.expires.isoformat(),
            }
        row["baseline"] = one.known or None
        rows.append({key: value for key, value in row.items() if value not in (None, [])})
    return rows


def junit(suite: str, judged: Judged, unit: str = "vmstate") -> bytes:
    """Return JUnit XML: a test case for each issue above a note, and one that passes if there is none."""
    counting = [one for one in judged.weighed if one.severity is not Severity.INFO]
    failures = sum(one.fails for one in counting)
    numbers = {"tests": str(max(1, len(counting))), "failures": str(failures), "errors": "0"}
    root = ET.Element("testsuite", {"name": suite, **numbers})
    for one in counting:
        issue = one.issue
        case = ET.SubElement(
            root,
            "testcase",
            {"classname": f"{unit}.{issue.rule}", "name": _xml(f"{issue.path} {issue.way}".strip())},
        )
        text = _xml(f"{place(one)}\n{RULES[issue.rule].why}\n{RULES[issue.rule].remedy}")
        if one.fails:
            ET.SubElement(case, "failure", {"message": _xml(issue.message), "type": issue.rule}).text = text
        else:
            ET.SubElement(case, "system-out").text = text
    if not counting:
        ET.SubElement(root, "testcase", {"classname": unit, "name": "no issues"})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _xml(text: str) -> str:
    """Return text without the characters that XML cannot hold."""
    return "".join(
        c if c in "\t\n" or 0x20 <= ord(c) < 0xD800 or ord(c) >= 0xE000 else "\ufffd" for c in text
    )


def sarif(judged: Judged, artifact: str) -> str:
    """Return SARIF 2.1.0; ``artifact``: the file that issues are shown at."""
    used = list(dict.fromkeys(one.issue.rule for one in judged.weighed))
    driver = {
        "name": "vmstate",
        "version": __version__,
        "rules": [
            {
                "id": name,
                "shortDescription": {"text": RULES[name].why},
                "help": {"text": RULES[name].remedy or RULES[name].why},
                "properties": {"category": str(RULES[name].category)},
                "defaultConfiguration": {"level": _LEVELS[RULES[name].severity]},
            }
            for name in used
        ],
    }
    results = [_sarif_result(one, used.index(one.issue.rule), artifact) for one in judged.weighed]
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _sarif_result(one: Weighed, index: int, artifact: str) -> dict[str, Any]:
    issue = one.issue
    suppressed = []
    if one.allowed is not None:
        suppressed = [{"kind": "external", "justification": f"{one.allowed.reason} ({one.allowed.owner})"}]
    elif one.known:
        suppressed = [{"kind": "external", "justification": "in the baseline"}]
    where: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": artifact}, "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": issue.path, "kind": "member"}],
    }
    return {
        "ruleId": issue.rule,
        "ruleIndex": index,
        "level": _LEVELS[one.severity],
        "message": {"text": place(one)},
        "locations": [where],
        "partialFingerprints": {"vmstate/v1": issue.fingerprint},
        **({"suppressions": suppressed} if suppressed else {}),
    }


def github_lines(weighed: Sequence[Weighed]) -> Iterator[str]:
    """Yield workflow commands that GitHub shows as annotations."""
    for one in weighed:
        if one.severity is Severity.INFO or one.allowed is not None or one.known:
            continue
        title = _property(f"{one.issue.rule} ({RULES[one.issue.rule].category})")
        yield f"::{_GITHUB[one.severity]} title={title}::{_data(place(one))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
