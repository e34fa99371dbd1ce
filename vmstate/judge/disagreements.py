"""Known differences between the simulator and real QEMUs, each with its reason, from a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vmstate.errors import ConfigurationError
from vmstate.judge.comparison import Comparison


@dataclass(frozen=True)
class Disagreement:
    """Where a line of real QEMU matches ``real`` (a regular expression), ``reason`` explains a difference.

    ``outcome``: whether it may be one of outcome, not only of lines.
    """

    name: str
    real: re.Pattern[str]
    reason: str
    outcome: bool = False

    def explains(self, compared: Comparison) -> bool:
        """Whether this is what a comparison differs by."""
        if not compared.same_outcome and not self.outcome:
            return False
        told = (*compared.real.source_messages, *compared.real.messages)
        return any(self.real.search(line) is not None for line in told)


def read_disagreements(path: str | PathLike[str]) -> list[Disagreement]:
    """The disagreements of a file.  Raises ConfigurationError for one that has not their form, OSError."""
    try:
        rows = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("disagreement", [])
        return [
            Disagreement(row["name"], re.compile(row["real"]), row["reason"], bool(row.get("outcome", False)))
            for row in rows
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, re.error) as error:
        raise ConfigurationError(f"{path}: not a list of disagreements: {error}") from None


def explaining(compared: Comparison, known: Iterable[Disagreement]) -> str | None:
    """The name of the first disagreement that explains a difference."""
    return next((one.name for one in known if one.explains(compared)), None)
