"""JSON as a stream may have it: halves of surrogate pairs are no text, and nothing could print them."""

from __future__ import annotations

import re

_WHOLE = rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\xed[\xa0-\xbf][\x80-\xbf]"
_EITHER = re.compile(b"(" + _WHOLE + b")|" + _HALF)


def whole_characters(text: bytes) -> bytes:
    """The text with a question mark for each half of a surrogate pair, escaped or encoded."""
    if b"\\u" not in text and b"\xed" not in text:
        return text
    return _EITHER.sub(lambda found: found[1] or b"?", text)
