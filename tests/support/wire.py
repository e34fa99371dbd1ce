"""Bytes in a readable form, ``wire("0a0b | 01")``, and helpers that check them."""

from __future__ import annotations

from vmstate.describe import Cursor, Record, encode, plan_of

END = b"~" * 300  # what follows a section; long enough for any name that is looked for


def wire(text):
    """Return bytes from hexadecimal digits; blanks and bars are ignored, ``'text'`` is itself."""
    parts = text.split("'")
    return b"".join(
        part.encode() if i % 2 else bytes.fromhex(part.replace("|", " ")) for i, part in enumerate(parts)
    )


def loaded(vmsd, data, state=None, version_id=None):
    """Return the state of a destination that has loaded all of ``data``."""
    state = Record() if state is None else state
    cur = Cursor(memoryview(data + END), judge=True)
    plan_of(vmsd).load(cur, state, vmsd.version_id if version_id is None else version_id)
    assert cur.pos == len(data)
    return state


def saved(vmsd, state):
    """Return the bytes that a source sends."""
    return encode(vmsd, state)
