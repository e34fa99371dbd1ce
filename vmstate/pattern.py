"""The standard library's ``re.compile``, except that a pattern is compiled when it is first used.

A command imports some fifty patterns and uses a few; compiling them took a twentieth of the time to start.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs more than this module

if TYPE_CHECKING:
    from re import compile as pattern  # for type checkers it is the standard one
else:

    class pattern:  # noqa: N801 - used as a function
        """A regular expression; has the methods of ``re.Pattern``."""

        def __init__(self, source: str | bytes, flags: int = 0) -> None:
            self._source = source
            self._flags = flags

        def __getattr__(self, name: str) -> object:
            found = getattr(re.compile(self._source, self._flags), name)
            setattr(self, name, found)  # the next use finds it without this function
            return found


__all__ = ["pattern"]
