"""Explain a log: the first failure leads, later lines are shown as its consequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from vmstate.dataclass import dataclass
from vmstate.explain.known_bugs import KnownBug, bugs_of_lines
from vmstate.explain.lines import Explained, explained
from vmstate.explain.peeling import Peeled, unwrap
from vmstate.explain.table import Role

#: A log is explained up to so many known lines; what follows is counted.
MOST = 1000


@dataclass(frozen=True)
class Log:
    """An explained log.

    ``lines``: the known ones, in order; ``lead``: the line that decides, None if nothing is known;
    ``unknown``: how many lines are not known; ``left_out``: how many known ones are not kept.
    """

    lines: tuple[Explained, ...]
    lead: Explained | None
    unknown: int
    bugs: tuple[KnownBug, ...]
    left_out: int = 0

    def consequences(self) -> Sequence[Explained]:
        """Return the lines after the lead that came of it."""
        if self.lead is None:
            return ()
        at = self.lines.index(self.lead)
        return [one for one in self.lines[at + 1 :] if one.role in {Role.CAUSE, Role.CONSEQUENCE, Role.HINT}]

    def others(self) -> Sequence[Explained]:
        """Return the other known lines: warnings, and hints before the lead."""
        later = self.consequences()
        return [one for one in self.lines if one is not self.lead and one not in later]


def explain_log(texts: Iterable[str]) -> Log:
    """Explain the lines of some texts, in order."""
    known: list[Explained] = []
    unknown = left_out = 0
    once = lru_cache(maxsize=4096)(explained)
    seen: set[str] = set()
    for text in texts:
        for peeled in unwrap(text):
            found = once(Peeled(peeled.line, peeled.texts))
            if not found.known:
                unknown += 1
            elif found.text in seen:
                continue
            elif len(known) < MOST:
                seen.add(found.text)
                known.append(found)
            else:
                left_out += 1
    texts = [text for one in known for text in (one.text, *(part.text for part in one.known))]
    bugs = tuple(bugs_of_lines(list(dict.fromkeys(texts))))
    return Log(tuple(known), _lead(known), unknown, bugs, left_out)


def _lead(known: Sequence[Explained]) -> Explained | None:
    """Return the first cause; without one, the first consequence, then any line."""
    for role in Role:
        for one in known:
            if one.role is role:
                return one
    return None
