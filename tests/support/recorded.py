"""Rows of the recorded verdicts, for tests."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

from vmstate.pseries.startup.command_line import Configuration, configuration

VERDICTS = Path(__file__).resolve().parents[2] / "fixtures" / "verdicts"
OUTCOMES = {"refused-to-start": "destination-refused"}


def rows(name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one recording, such as ``pairs``."""
    with (VERDICTS / f"{name}.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            yield json.loads(line)


@cache
def starts() -> dict[str, dict[tuple[str, ...], tuple[bool, list[str], bool]]]:
    """Return by release and arguments: True if it started, its messages, True if they are complete.

    A destination goes on to print messages about the stream, so only a refusal's are complete.
    """
    found: dict[str, dict[tuple[str, ...], tuple[bool, list[str], bool]]] = {}
    for row in rows("starts"):
        found.setdefault(row["release"], {})[tuple(row["args"])] = (row["ok"], row["stderr"], True)
    for name in ("pairs", "more-pairs", "random-pairs", "loads"):
        for row in rows(name):
            _add_pair(found, row)
    return found


def _add_pair(found: dict[str, Any], row: dict[str, Any]) -> None:
    if "save" in row:
        save, side = row["save"], row["source"]
        arguments = ("-nodefaults", *side["args"])
        found.setdefault(side["release"], {})[arguments] = (save["ok"], save["stderr"], True)
    if row.get("load"):
        load, side = row["load"], row["destination"]
        arguments = ("-nodefaults", *side["args"])
        refused = load["verdict"] == "refused-to-start"
        known = found.setdefault(side["release"], {})
        if refused or arguments not in known:
            known[arguments] = (not refused, load["stderr"], refused)


def side(recorded: dict[str, Any]) -> Configuration:
    """Return the command line of one side."""
    modules = recorded.get("modules", "")
    return configuration(recorded["release"], ["-nodefaults", *recorded["args"]], module_dir=modules)


def answer(recorded: dict[str, Any]) -> tuple[str, list[str]]:
    """Return outcome and lines; a crash is a reject: no destination runs afterwards."""
    verdict = recorded["verdict"]
    return ("reject" if verdict.startswith("crash") else OUTCOMES.get(verdict, verdict)), recorded["stderr"]
