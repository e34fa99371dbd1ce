"""Known differences between the simulator and real QEMUs, each with its reason, from a TOML file."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError
from vmstate.judge.comparison import Comparison


@dataclass(frozen=True)
class Disagreement:
    """A known difference, with its ``reason``: one in which a line of the real QEMU matches ``real``.

    ``outcome``: it may be a difference of outcomes, not only of lines.
    """

    name: str
    real: re.Pattern[str]
    reason: str
    outcome: bool = False

    def explains(self, compared: Comparison) -> bool:
        """Return True if this explains the difference of a comparison."""
        if not compared.same_outcome and not self.outcome:
            return False
        lines = (*compared.real.source_messages, *compared.real.messages)
        return any(self.real.search(line) is not None for line in lines)


def read_disagreements(path: str | PathLike[str]) -> list[Disagreement]:
    """Read the disagreements of a file.  Raises ConfigurationError for a malformed file, OSError."""
    try:
        rows = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("disagreement", [])
        return [
            Disagreement(row["name"], re.compile(row["real"]), row["reason"], bool(row.get("outcome", False)))
            for row in rows
        ]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, re.error) as error:
        raise ConfigurationError(f"{path}: not a list of disagreements: {error}") from None


def explaining(compared: Comparison, known: Iterable[Disagreement]) -> str | None:
    """Return the name of the first disagreement that explains a difference, if any."""
    return next((one.name for one in known if one.explains(compared)), None)
