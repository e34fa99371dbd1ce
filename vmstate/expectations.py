"""Expectations of a migration or a load, and how the result differs from them.

An expectation is a text or a JSON value.  A text is a word, ``reject``; with a part of a line that must be
printed, ``reject: cap-htm higher level``; or with all lines of the destination, in order, on lines of their
own.  JSON is such a text, or an object::

    {"outcome": "reject", "prints": ["cap-htm"], "messages": [...], "source_messages": [...]}

Beside a stream ``guest.mig.zst`` it is in ``guest.mig.zst.expect``; for the entries of a folder, by name, in
``expect.json``.  What is not named is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError
from vmstate.savevm.verdict import Outcome, Verdict

SUFFIX = ".expect"  # of the file beside a stream
RECORD = "expect.json"  # of a folder
REFUSED = "refused"  # by either side
CRASH = "crash"
NOT_MODELLED = "not-modelled"

#: The outcomes that each word stands for.
WORDS: dict[str, frozenset[str]] = {
    "accept": frozenset({Outcome.ACCEPT}),
    "reject": frozenset({Outcome.REJECT}),
    REFUSED: frozenset({Outcome.SOURCE_REFUSED, Outcome.DESTINATION_REFUSED}),
    "source-refused": frozenset({Outcome.SOURCE_REFUSED}),
    "destination-refused": frozenset({Outcome.DESTINATION_REFUSED}),
    "stalled": frozenset({Outcome.STALLED, "hang"}),
    CRASH: frozenset({CRASH}),
    NOT_MODELLED: frozenset({Outcome.NOT_MODELLED}),
}


@dataclass(frozen=True)
class Ended:
    """A result: the outcome, in words of a verdict or of a real QEMU, and the lines of each side."""

    outcome: str
    messages: tuple[str, ...] = ()
    source_messages: tuple[str, ...] = ()

    @staticmethod
    def of(verdict: Verdict) -> Ended:
        """Return the end that is predicted; a QEMU that ends by itself, instead of rejecting, crashes."""
        outcome = CRASH if verdict.aborted else str(verdict.outcome)
        return Ended(outcome, tuple(verdict.messages), tuple(verdict.source_messages))


@dataclass(frozen=True)
class Expectation:
    """The result that is expected.

    ``outcome`` is one of WORDS, or empty if any will do.  ``prints``: parts of lines, of either side.
    ``messages`` and ``source_messages``: all lines of a side, in order; None if they do not matter.
    """

    outcome: str = ""
    prints: tuple[str, ...] = ()
    messages: tuple[str, ...] | None = None
    source_messages: tuple[str, ...] | None = None

    def differences(self, ended: Ended) -> Iterator[str]:
        """Yield what is not as expected, in words; nothing if all is."""
        if self.outcome and ended.outcome not in WORDS[self.outcome]:
            yield f"expected {self.outcome}, found {ended.outcome.replace(' ', '-')}"
        for part in self.prints:
            if not any(part in line for line in (*ended.source_messages, *ended.messages)):
                yield f"expected a line with {part!r}, found none"
        yield from _line_differences("source", self.source_messages, ended.source_messages)
        yield from _line_differences("destination", self.messages, ended.messages)

    def as_json(self) -> dict[str, object]:
        """Return the expectation as a JSON object, without what is not compared."""
        found: dict[str, object] = {}
        if self.outcome:
            found["outcome"] = self.outcome
        if self.prints:
            found["prints"] = list(self.prints)
        for name in ("messages", "source_messages"):
            lines = getattr(self, name)
            if lines is not None:
                found[name] = list(lines)
        return found

    def __str__(self) -> str:
        return ": ".join([self.outcome or "any outcome", *self.prints])


def _line_differences(side: str, wanted: Sequence[str] | None, found: Sequence[str]) -> Iterator[str]:
    if wanted is None or tuple(wanted) == tuple(found):
        return
    from difflib import ndiff

    changes = [line.rstrip() for line in ndiff(list(wanted), list(found)) if line[0] in "+-"]
    yield f"other lines of the {side}: {'; '.join(changes)}"


def read(text: str) -> Expectation:
    """Read an expectation: a word, a word and a part of a line, a word and lines, or JSON.

    Raises ConfigurationError for anything else.
    """
    text = text.strip("\n")
    if text.lstrip().startswith(("{", '"')):
        try:
            return from_json(json.loads(text))
        except ValueError as error:
            raise ConfigurationError(f"an expectation that is no JSON: {error}") from None
    first, *lines = text.split("\n")
    word, colon, part = first.partition(":")
    prints = (part.strip(),) if colon and part.strip() else ()
    return Expectation(_word(word.strip()), prints, tuple(lines) if lines else None)


def from_json(value: Any) -> Expectation:
    """Return the expectation of a JSON value: a text, or an object.  Raises ConfigurationError."""
    if isinstance(value, str):
        return read(value) if not value.lstrip().startswith(("{", '"')) else _wrong(value)
    if not isinstance(value, dict):
        return _wrong(value)
    unknown = value.keys() - {"outcome", "prints", "messages", "source_messages"}
    if unknown:
        raise ConfigurationError(f"an expectation has no {', '.join(sorted(unknown))}")
    outcome = value.get("outcome", "")
    prints = value.get("prints", ())
    prints = (prints,) if isinstance(prints, str) else _texts(prints) or ()
    messages, source_messages = (_texts(value.get(name)) for name in ("messages", "source_messages"))
    if not isinstance(outcome, str):
        return _wrong(outcome)
    return Expectation(_word(outcome) if outcome else "", prints, messages, source_messages)


def _word(text: str) -> str:
    if text not in WORDS:
        raise ConfigurationError(f"expected one of {', '.join(WORDS)}; found {text!r}")
    return text


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(line, str) for line in value):
        raise ConfigurationError(f"lines are a list of texts, found {value!r}")
    return tuple(value)


def _wrong(value: object) -> Expectation:
    raise ConfigurationError(f"an expectation is a word or an object, found {value!r}")


def beside(stream: Path) -> Expectation | None:
    """Return the expectation in the file beside a stream, if there is one.  Raises ConfigurationError."""
    path = stream.with_name(stream.name + SUFFIX)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    try:
        return read(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def recorded(folder: Path) -> dict[str, Expectation]:
    """Return the expectations that ``expect.json`` has for the entries of a folder, by name.

    Raises ConfigurationError for a malformed file.
    """
    path = folder / RECORD
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}: expected an object with the name of each entry")
    try:
        return {name: from_json(one) for name, one in value.items()}
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


@dataclass
class Tally:
    """How many results were as expected, were not, and of how many nothing was expected."""

    expected: int = 0
    unexpected: int = 0
    open: int = 0

    def count(self, differences: Iterable[str] | None) -> None:
        """Count a result by its differences; None: nothing was expected of it."""
        if differences is None:
            self.open += 1
        elif any(differences):
            self.unexpected += 1
        else:
            self.expected += 1

    def __str__(self) -> str:
        parts = [f"{self.expected} as expected"]
        if self.unexpected:
            parts.append(f"{self.unexpected} not as expected")
        if self.open:
            parts.append(f"{self.open} without an expectation")
        return ", ".join(parts)
