"""The table of QEMU's lines: each format with its source, releases, layer, cause, advice.

``lines/*.toml`` has the causes and the formats of each; ``loader.toml`` has the causes of the loader's own
diagnostics, whose formats are theirs (``vmstate.describe.diagnostics``, ``vmstate.savevm.diagnostics``).
Everything is read when the first line is explained.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from typing import TypedDict

from vmstate.dataclass import dataclass, replace
from vmstate.describe import diagnostics as of_descriptions
from vmstate.describe.diagnostics import Diagnostic, Prepend, Printed
from vmstate.describe.history import ALWAYS, Points, Span
from vmstate.errors import DeclarationError
from vmstate.explain.formats import Format
from vmstate.savevm import diagnostics as of_savevm

_HEAD = 5  # so many first characters choose the formats that are tried
_WORD = re.compile(r"[A-Za-z]{4,}")  # and, of formats that begin with a placeholder, a word
_INNER_WORD = re.compile(r"(?<=[^A-Za-z])[A-Za-z]{4,}(?=[^A-Za-z])")


class Role(StrEnum):
    """The role of a line in a failure: cause, consequence of another line's, warning, hint, refusal."""

    CAUSE = "cause"
    CONSEQUENCE = "consequence"
    WARNING = "warning"
    HINT = "hint"


class _CauseRow(TypedDict, total=False):
    rule: str
    role: str
    meaning: str
    advice: str
    look_at: str
    kind: str
    place: str
    lines: str


@dataclass(frozen=True)
class Explanation:
    """One line of QEMU: its ``format``, the ``place`` that prints it, and what it means.

    ``layer``: the part of QEMU; ``meaning``: the cause; ``advice``: what to do; ``look_at``: what to look
    at next.
    """

    rule: str
    format: Format
    place: str
    meaning: str
    advice: str
    span: Span = ALWAYS
    layer: str = "loader"
    role: Role = Role.CAUSE
    look_at: str = ""
    program: str = ""  # that prints it, where it is not QEMU

    def releases(self) -> str:
        """Return the releases that print it, in words."""
        if self.program:
            return self.program
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
            "layer": self.layer,
            "role": str(self.role),
            "look_at": self.look_at,
            "format": self.format.text,
        }


def _newest(points: Points | None) -> str | None:
    if points is None or isinstance(points, str):
        return points
    *stable, mainline = points
    return f"{mainline} (and stable {', '.join(stable)})" if stable else mainline


@dataclass(frozen=True)
class Table:
    """All explanations: the most specific format is tried first, then the loader's own, then by file."""

    entries: tuple[Explanation, ...]

    @cached_property
    def _by_key(self) -> Mapping[str, list[int]]:
        """The entries by the beginning of their formats, or a whole word of theirs; by neither under ""."""
        found: dict[str, list[int]] = defaultdict(list)
        for at, entry in enumerate(self.entries):
            head, longest = entry.format.head, entry.format.longest
            words: list[str] = _INNER_WORD.findall(longest)
            found[head[:_HEAD] if len(head) >= _HEAD else max(words, key=len, default="")].append(at)
        return found

    def _rank(self, at: int) -> tuple[int, int]:
        return -self.entries[at].format.weight, at

    def candidates(self, text: str) -> Iterator[Explanation]:
        """Yield the explanations whose format could be that of the text, the most specific first."""
        keys = {"", text[:_HEAD], *_WORD.findall(text)}
        chosen = (at for key in keys for at in self._by_key.get(key, ()))
        yield from (self.entries[at] for at in sorted(chosen, key=self._rank))


@cache
def table() -> Table:
    """Return the table, read once."""
    folder = files("vmstate.explain").joinpath("lines")
    loader: list[Explanation] = []
    listed: list[Explanation] = []
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            data = tomllib.loads(file.read_text("utf-8"))
            if file.name == "loader.toml":
                loader += _loader(data)
            else:
                listed += _listed(data["layer"], data["cause"], data.get("program", ""))
    return Table((*loader, *listed))


def _listed(layer: str, causes: list[_CauseRow], program: str) -> Iterator[Explanation]:
    for cause in causes:
        place = ""
        for row in cause["lines"].splitlines():
            if row.startswith("@ "):
                place = row[2:]
            elif row.strip():
                yield replace(_listed_line(layer, cause, place, row), program=program)


def _listed_line(layer: str, cause: _CauseRow, place: str, row: str) -> Explanation:
    try:
        releases, kind, text = row.split("|", 2)
    except ValueError:
        raise DeclarationError(f"{cause['rule']}: not RELEASES|KIND|TEXT: {row!r}") from None
    kinds = kind.split()
    since, _, until = releases.strip().partition("..")
    role = next((Role(k) for k in kinds if k in set(Role)), Role(cause.get("role", "cause")))
    return Explanation(
        cause["rule"],
        Format(f"{text.rstrip()} " if "prefix" in kinds else text, "prefix" in kinds, "errno" in kinds),
        place,
        cause["meaning"],
        cause["advice"],
        Span(_points(since), _points(until)),
        layer,
        role,
        cause.get("look_at", ""),
    )


def _points(text: str) -> Points | None:
    parts = tuple(part for part in text.split(",") if part)
    return None if not parts else parts[0] if len(parts) == 1 else parts


# ---- the loader's own lines


def _loader(data: Mapping[str, object]) -> Iterator[Explanation]:
    kinds: dict[str, _CauseRow] = data["kinds"]  # type: ignore[assignment]
    computed: list[_CauseRow] = data["computed"]  # type: ignore[assignment]
    for row in computed:
        cause = kinds[row["kind"]]
        entry = _listed_line("loader", {**cause, "rule": _rule_id(row["kind"])}, row["place"], row["lines"])
        yield entry
    for kind in loader_kinds():
        yield from _of_kind(kind, kinds[kind.__name__])


def _of_kind(kind: type[Diagnostic], cause: _CauseRow) -> Iterator[Explanation]:
    steps = [(None, kind.says.first), *kind.says.changes]
    place = "migration/savevm.c" if kind.__module__ == of_savevm.__name__ else "migration/vmstate.c"
    for (since, saying), following in zip(steps, [*steps[1:], (None, None)], strict=True):
        text = "" if saying is None else _with_types(saying.text)
        if saying is None or not re.sub(r"\{[^}]*\}", "", text):
            continue  # no text, or one that is built elsewhere
        yield Explanation(
            kind.rule(),
            Format(text, prefix=isinstance(saying, Prepend)),
            cause.get("place", place),
            cause["meaning"],
            cause["advice"],
            Span(since, following[0]),
            "loader",
            Role(cause.get("role", "cause")),
            cause.get("look_at", ""),
        )


#: The diagnostics' placeholders that stand for text; the others are numbers.
_TEXTS = frozenset({"vmsd", "field", "subsection", "idstr", "name"})
_PLACEHOLDER = re.compile(r"\{(\w+)(?::[^}]*)?\}")


def _with_types(text: str) -> str:
    """Return a diagnostic's text as a format: its placeholders typed."""

    def typed(found: re.Match[str]) -> str:
        name = found[1]
        kind = "text" if name in _TEXTS else "age" if name == "what" else "number"
        return f"{{{name}:{kind}}}"

    # "{vmsd} too new" alone has no other words: the name must not have blanks.
    whole = _PLACEHOLDER.sub(typed, text)
    return whole.replace(":text}", ":name}") if "{what:age}" in whole else whole


def loader_kinds() -> Iterator[type[Diagnostic]]:
    """Yield every diagnostic for which some release has a text."""
    for module in (of_descriptions, of_savevm):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Diagnostic) and kind.__module__ == module.__name__:
                if kind is not Printed and (kind.says.first is not None or kind.says.changes):
                    yield kind


def _rule_id(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
