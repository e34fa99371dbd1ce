"""Files of recipes: one a line, or findings of a campaign, which have theirs inside."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from vmstate.errors import ConfigurationError
from vmstate.fuzz.recipe import Recipe

_HEAD = re.compile(r'\s*\{\s*"campaign"\s*:')


def recipe_of(line: str) -> Recipe:
    """The recipe of a line of JSON, or the one in a finding.  Raises ConfigurationError if it is none."""
    try:
        told = json.loads(line)
    except ValueError as error:
        raise ConfigurationError(f"not a recipe: {error}") from None
    if not isinstance(told, dict):
        raise ConfigurationError("a recipe is a JSON object")
    return Recipe.from_json(told.get("recipe", told))


def read_recipes(path: str) -> list[Recipe]:
    """The recipes of a file; "-" is the standard input.  Raises ConfigurationError, OSError.

    A line that tells of the campaign that found them (``{"campaign": …}``) is passed over.
    """
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    return [recipe_of(line) for line in text.splitlines() if line.strip() and not _HEAD.match(line)]
