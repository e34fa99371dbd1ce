"""Explanations of the lines that QEMU prints: the check, its releases, the meaning, and advice.

The loader's own lines come from its diagnostics; those of machines, capabilities and devices, and all
meanings, are in ``explanations.toml``.  A pattern must match the whole line after the program's name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from vmstate.describe import diagnostics as of_descriptions
from vmstate.describe.diagnostics import CHAINED, Diagnostic, Printed
from vmstate.describe.history import ALWAYS, Points, Span
from vmstate.savevm import diagnostics as of_savevm

_PREFIX = re.compile(r"^(?:\S*qemu\S*: )?(.*)$", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{(\w+)(?::[^}]*)?\}")
_NAMES = frozenset({"vmsd", "field", "subsection", "idstr", "name"})
_WORDS = {"what": "too (?:new|old)", "vmsd": r"[\w/ .-]+?"}
_NUMBER = "-?(?:0x)?[0-9a-f]+"


@dataclass(frozen=True)
class Explanation:
    """One kind of line: ``pattern`` (a regular expression), the check, its place in QEMU, meaning, advice."""

    rule: str
    pattern: str
    place: str
    meaning: str
    advice: str
    span: Span = ALWAYS

    def releases(self) -> str:
        """Return the releases that print it, in words."""
        since, until = _newest(self.span.since), _newest(self.span.until)
        if since and until:
            return f"QEMU {since} up to, not including, {until}"
        if since:
            return f"QEMU {since} and later"
        return f"QEMU before {until}" if until else "every release covered here (2.9 to 11.1)"

    def as_json(self) -> dict[str, str]:
        """Return the explanation as a JSON object."""
        return {
            "rule": self.rule,
            "place": self.place,
            "meaning": self.meaning,
            "advice": self.advice,
            "releases": self.releases(),
        }


def _newest(points: Points | None) -> str | None:
    if points is None or isinstance(points, str):
        return points
    *stable, mainline = points
    return f"{mainline} (and stable {', '.join(stable)})" if stable else mainline


def explain_line(line: str) -> list[Explanation]:
    """Return the explanations of a line of stderr, most specific first; empty if it is unknown.

    Of a chained line of newer releases, the last known part is explained: it is the original error.
    """
    match = _PREFIX.match(line.strip())
    text = match[1] if match else line
    found = [e for e in explanations() if re.fullmatch(e.pattern, text, re.DOTALL)]
    if found:
        return found
    parts = text.split(": ")
    tails = (": ".join(parts[k:]) for k in range(len(parts) - 1, 0, -1))
    return next((f for t in tails if (f := [e for e in explanations() if re.fullmatch(e.pattern, t)])), [])


@cache
def explanations() -> tuple[Explanation, ...]:
    """Return every kind of line that is explained: the listed ones, then the loader's."""
    data = tomllib.loads(files("vmstate.simulate").joinpath("explanations.toml").read_text("utf-8"))
    return (*_listed(data), *_loader(data["loader"]), *_computed(data))


def _listed(data: dict[str, Any]) -> Iterator[Explanation]:
    for row in data["line"]:
        since = row.pop("since", None)
        yield Explanation(**row, span=Span(tuple(since)) if since else ALWAYS)


def _computed(data: dict[str, Any]) -> Iterator[Explanation]:
    for row in data["computed"]:
        texts = data["loader"][row["kind"]]
        place = "migration/vmstate.c"
        yield Explanation(
            _rule_id(row["kind"]), row["pattern"], place, texts["meaning"], texts["advice"], Span(CHAINED)
        )


def _loader(texts: dict[str, dict[str, str]]) -> Iterator[Explanation]:
    for kind in _kinds():
        history = kind.says
        meaning, advice = texts[kind.__name__]["meaning"], texts[kind.__name__]["advice"]
        steps = [(None, history.first), *history.changes]
        for (since, saying), following in zip(steps, [*steps[1:], (None, None)], strict=True):
            if saying is None or not _PLACEHOLDER.sub("", saying.text):
                continue  # no text, or one that is built elsewhere
            span = Span(since, following[0])
            yield Explanation(kind.rule(), _pattern(saying.text), _place(kind), meaning, advice, span)


def _kinds() -> Iterator[type[Diagnostic]]:
    """Yield every diagnostic for which some release has a text."""
    for module in (of_descriptions, of_savevm):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Diagnostic) and kind.__module__ == module.__name__:
                if kind is not Printed and (kind.says.first is not None or kind.says.changes):
                    yield kind


def _rule_id(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


def _place(kind: type[Diagnostic]) -> str:
    return "migration/savevm.c" if kind.__module__ == of_savevm.__name__ else "migration/vmstate.c"


def _pattern(text: str) -> str:
    parts = _PLACEHOLDER.split(text.strip())
    # Every other part is a placeholder's name.
    return "".join(re.escape(p) if k % 2 == 0 else _stands_for(p) for k, p in enumerate(parts))


def _stands_for(placeholder: str) -> str:
    return _WORDS.get(placeholder) or (".*?" if placeholder in _NAMES else _NUMBER)
