"""Explain one line: what is known of it, and of the errors chained in it."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.dataclass import dataclass
from vmstate.explain.decoding import decoded
from vmstate.explain.formats import Match
from vmstate.explain.peeling import Peeled, unwrap
from vmstate.explain.table import Explanation, Role, table

_CHAIN = 12  # so many prefixes before an error


@dataclass(frozen=True)
class Known:
    """One error of a line: its explanation, its text, and what its values mean."""

    explanation: Explanation
    text: str
    match: Match

    def carries(self) -> list[str]:
        """Return what the values of the line mean, in words."""
        return decoded(self.explanation, self.match)


@dataclass(frozen=True)
class Explained:
    """A line of a log, and what is known of it: the original error first, then those that wrap it."""

    line: str
    text: str
    known: tuple[Known, ...]

    @property
    def role(self) -> Role | None:
        """The role of the line in a log: a cause if any of its errors is one; None if nothing is known."""
        roles = {known.explanation.role for known in self.known}
        return next((role for role in Role if role in roles), None)


def explained(peeled: Peeled) -> Explained:
    """Explain one line, in the first of its forms that is known."""
    for text in peeled.texts:
        for words in dict.fromkeys((_bare(text), text)):
            known = tuple(_chain(words))
            if known:
                return Explained(peeled.line, text, tuple(reversed(known)))
    return Explained(peeled.line, peeled.texts[0] if peeled.texts else "", ())


def explain_line(line: str) -> list[Explanation]:
    """Return the explanations of a line of stderr; empty if it is unknown.

    Of a chained line of newer releases, the original error comes first.
    """
    return [known.explanation for known in explained_line(line)]


def explained_line(line: str) -> list[Known]:
    """Return what is known of a line of stderr: the original error first, then those that wrap it."""
    return [known for peeled in unwrap(line) for known in explained(peeled).known]


def _bare(text: str) -> str:
    """Return the text without `warning: ` and `info: `, which QEMU puts before some."""
    for word in ("warning: ", "Warning: ", "info: ", "Error: "):
        if text.startswith(word):
            return text[len(word) :]
    return text


def _chain(text: str) -> Iterator[Known]:
    for _ in range(_CHAIN):
        found = _first(text)
        if found is None:
            return
        yield found
        if not found.explanation.format.prefix or not found.match.rest:
            return
        text = found.match.rest


def _first(text: str) -> Known | None:
    for entry in table().candidates(text):
        match = entry.format.match(text)
        if match is not None:
            return Known(entry, text, match)
    return None
