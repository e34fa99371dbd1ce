"""Changes to a stream as typed on a command line: ``PATH=VALUE``, ``-PATH``, ``+PATH=VALUE``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmstate.tree.changes import Changes
from vmstate.tree.contents import Contents
from vmstate.tree.meanings import Meanings
from vmstate.tree.paths import PathError
from vmstate.tree.values import bytes_of_text, hex_bytes, number_of

_OF_BYTES = re.compile(
    r"(?P<name>[^=@]+?)(?P<instance>\[\w+\])?@(?P<version>\w+)(?:=(?P<bytes>.*))?", re.DOTALL
)


def apply(changes: Changes, text: str) -> None:
    """Apply one change: ``PATH=VALUE`` sets, ``-PATH`` removes, ``+…`` adds.

    ``+PATH=VALUE`` adds a subsection by its declaration (``+cpu[0]/compat.compat_pvr=power8``),
    ``+NAME@VERSION=BYTES`` a subsection (``+cpu[0]/foo@1=0011``) or section (``+foo[0]@1=0011``) of bytes.
    Raises PathError for a path that leads nowhere, EncodeError for a value that does not fit.
    """
    if text.startswith("-"):
        changes.remove(text[1:])
    elif text.startswith("+"):
        _add(changes, text[1:])
    else:
        path, sign, value = text.partition("=")
        if not sign:
            raise PathError(f"{text!r}: write PATH=VALUE, -PATH or +PATH=VALUE")
        changes.set(path.strip(), value.strip(), bytes_of_text)


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
