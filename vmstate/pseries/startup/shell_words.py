"""The words of a command line in a shell's quoting, as ``shlex.split`` finds them.

That looks at one character after another, which takes longer than all else that is done to parse a line.
"""

from __future__ import annotations

import re
import shlex

from vmstate.pattern import pattern

_QUOTED = r"""'([^']*+)'|"((?:[^"\\]++|\\.)*+)"|\\(.)"""
_PART = pattern(_QUOTED, re.DOTALL)
_WORD = pattern(rf"""[ \t\r\n]*+((?:[^ \t\r\n'"\\]++|{_QUOTED})++)""", re.DOTALL)
#: What makes a word more than its characters.
QUOTING = pattern(r"['\"\\]")
_ESCAPE = pattern(r'\\([\\"])')


def shell_words(text: str) -> list[str]:
    """Return the words of a line.  Raises ValueError for a quotation or an escape that does not end."""
    words: list[str] = []
    place = 0
    while found := _WORD.match(text, place):
        word = found[1]
        words.append(_PART.sub(_unquoted, word) if QUOTING.search(word) else word)
        place = found.end()
    return shlex.split(text) if text[place:].strip(" \t\r\n") else words


def _unquoted(part: re.Match[str]) -> str:
    single, double, escaped = part.groups()
    if single is not None:
        return single
    return escaped if double is None else _ESCAPE.sub(r"\1", double)
