"""Tables in the form of a mail (fixtures/tables)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

TABLES = Path(__file__).resolve().parents[2] / "fixtures" / "tables"


def lines(name: str) -> Iterator[list[str]]:
    """Yield the words of every line that is not prose; a part's heading is a line ``# RELEASE ...``."""
    for line in (TABLES / name).read_text().splitlines():
        words = line.split()
        if words and (words[0] != "#" or (len(words) > 1 and words[1][0].isdigit())):
            yield words


def parts(name: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the parts of a table under their headings."""
    heading: list[str] | None = None
    rows: list[list[str]] = []
    for words in lines(name):
        if words[0] == "#":
            if heading is not None:
                yield heading, rows
            heading, rows = words[1:], []
        else:
            rows.append(words)
    assert heading is not None
    yield heading, rows
