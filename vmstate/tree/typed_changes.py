"""Changes to a stream as typed on a command line: ``PATH=VALUE``, ``-PATH``, ``+PATH=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmstate.describe.words import Meanings
from vmstate.tree.changes import Changes
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import count_of
from vmstate.tree.paths import PathError
from vmstate.tree.values import bytes_of_text, every_element, hex_bytes, number_of

_EVERY = "[*]"
_OF_BYTES = re.compile(
    r"(?P<name>[^=@]+?)(?P<instance>\[\w+\])?@(?P<version>\w+)(?:=(?P<bytes>.*))?", re.DOTALL
)


def apply(changes: Changes, text: str) -> int:
    """Apply one change: ``PATH=VALUE`` sets, ``-PATH`` removes, ``+…`` adds; return the number of values set.

    ``PATH[*]=VALUE`` sets every element of an array.
    ``+PATH=VALUE`` adds a subsection by its declaration (``+cpu[0]/compat.compat_pvr=power8``),
    ``+NAME@VERSION=BYTES`` a subsection (``+cpu[0]/foo@1=0011``) or section (``+foo[0]@1=0011``) of bytes.
    Raises PathError for a path that leads nowhere, EncodeError for a value that does not fit.
    """
    if text.startswith("-"):
        changes.remove(text[1:])
    elif text.startswith("+"):
        _add(changes, text[1:])
        return int("=" in text)
    else:
        path, sign, value = _split(text)
        if not sign:
            raise PathError(f"{text!r}: write PATH=VALUE, -PATH or +PATH=VALUE")
        return _set(changes, path.strip(), value.strip())
    return 0


def _set(changes: Changes, path: str, value: str) -> int:
    """Set a field, or with ``[*]`` at the end every element of an array to the same value."""
    if path.endswith(_EVERY):
        place = changes.set(path.removesuffix(_EVERY), value, every_element)
    else:
        place = changes.set(path, value, bytes_of_text)
    return count_of(place.node) or 1


def _split(text: str) -> tuple[str, str, str]:
    """Split at the first ``=`` that is not in brackets, where keys have one: ``msi_devs[key=0x800]``."""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign == "[") - (sign == "]")
        if sign == "=" and depth == 0:
            return text[:at], sign, text[at + 1 :]
    return text.partition("=")


def _add(changes: Changes, text: str) -> None:
    of_bytes = _OF_BYTES.fullmatch(text)
    if of_bytes is not None:
        name, instance = of_bytes["name"].strip(), of_bytes["instance"]
        if instance:
            name += f"[{number_of(instance[1:-1], 'instance')}]"
        payload = hex_bytes(of_bytes["bytes"] or "", name)
        changes.add_bytes(name, number_of(of_bytes["version"], "version"), payload)
        return
    path, sign, value = text.partition("=")
    changes.add(path.strip(), value.strip() if sign else None, bytes_of_text)


def changed(contents: Contents, changes: Iterable[str], meanings: Meanings | None = None) -> bytes:
    """Return the whole stream after some changes, each as :func:`apply` takes it."""
    todo = Changes(contents, meanings)
    for change in changes:
        apply(todo, change)
    return b"".join(todo.chunks())
