"""The ``vmstate_layout`` fixture: the wire layout of a description, compared with the recorded one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest

from vmstate.describe import VMStateDescription
from vmstate.plugin.golden import write
from vmstate.pseries.history import Row, rows


class Layouts:
    """The fixture.  Layouts are in ``layouts`` beside the test, one file for each description."""

    def __init__(self, folder: Path, *, update: bool) -> None:
        self._folder = folder / "layouts"
        self._update = update

    def __call__(self, description: VMStateDescription, name: str = "") -> Layout:
        """Return the layout of a description; ``name``: of its file, by default the description's."""
        file = (name or description.name).replace("/", "-")
        return Layout(description, self._folder / f"{file}.json", update=self._update)


class Layout:
    """The layout of one description: everything that decides which bytes it sends and takes."""

    def __init__(self, description: VMStateDescription, path: Path, *, update: bool) -> None:
        self._description = description
        self._path = path
        self._update = update

    def unchanged(self) -> None:
        """Fail if the layout is not the recorded one; with ``--update-layouts`` record it."""
        text = layout_text(self._description)
        if self._update and (not self._path.exists() or self._path.read_text("utf-8") != text):
            write(self._path, text.encode())
        if not self._path.exists():
            pytest.fail(f"{self._path}: no layout is recorded: --update-layouts records it", pytrace=False)
        recorded = self._path.read_text("utf-8")
        if recorded != text:
            pytest.fail("\n".join(self._changed(recorded, text)), pytrace=False)

    def _changed(self, recorded: str, text: str) -> Iterator[str]:
        yield f"{self._description.name}: the layout is not the recorded one, {self._path}"
        yield "A stream of the one may not load in the other, or load with another meaning."
        changes = unified_diff(recorded.splitlines(), text.splitlines(), "recorded", "now", lineterm="", n=1)
        yield from changes
        yield "If that is right (a new version, a new subsection with its `needed`): --update-layouts"


def layout_text(description: VMStateDescription) -> str:
    """Return a layout as JSON, a line for each field and subsection, in wire order."""
    lines = [json.dumps(_layout(row), ensure_ascii=False) for row in rows(description, lambda _: None)]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _layout(row: Row) -> dict[str, object]:
    """Return the parts of a row that say which releases have it, and in which form."""
    return {name: value for name, value in row.as_json().items() if value not in ((), [], "")}
