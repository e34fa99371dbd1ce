"""The lines that QEMU prints on stderr for the diagnostics of a load, by release."""

from __future__ import annotations

import os
from collections.abc import Iterable

from vmstate.describe.diagnostics import (
    TYPES_CHAINED,
    Aborted,
    Diagnostic,
    Exited,
    FieldFailed,
    NotEqual,
    Prepend,
    Print,
    Printed,
    Stalled,
)
from vmstate.describe.history import Release, reached

_OTHER_BREAKS = "\r\v\f\x1c\x1d\x1e"  # where str.splitlines splits ASCII, besides newlines


def lines(diagnostics: Iterable[Diagnostic], ret: int, release: Release) -> list[str]:
    """Return the stderr lines, without the program's name, of a load that returned ``ret``.

    ``ret``: 0 or a negative errno.
    """
    printed: list[str] = []
    error = ""
    for diagnostic in diagnostics:
        if type(diagnostic) is Printed:  # most are
            printed.append(diagnostic.line)
            continue
        if isinstance(diagnostic, Aborted | Exited):
            return [*_split(printed), *([diagnostic.line] if diagnostic.line else [])]
        if isinstance(diagnostic, Stalled):
            return _split(printed)
        saying = diagnostic.says.at(release)
        if saying is None:
            continue
        text = saying.text.format_map(diagnostic.values(release))
        if isinstance(saying, Print):
            printed.append(text)
            if isinstance(diagnostic, NotEqual) and diagnostic.hint is not None:
                printed.append(diagnostic.hint)
        elif isinstance(saying, Prepend):
            error = text + error
        elif _flushes(diagnostic, release) and error:
            printed.append(error)  # an element's own error is printed before the field's is set
            error = text
        elif text and not error:
            error = text
    if ret < 0:
        last = f"load of migration failed: {os.strerror(-ret)}"
        printed.append(f"{last}: {error}" if error else last)
    return _split(printed)


def _split(printed: list[str]) -> list[str]:
    """Split texts into lines, of which a damaged name may have several."""
    whole = "\n".join((*printed, ""))
    plain = whole.isascii() and not any(mark in whole for mark in _OTHER_BREAKS)
    return printed if plain and whole.count("\n") == len(printed) else whole.splitlines()


def _flushes(diagnostic: Diagnostic, release: Release) -> bool:
    if not isinstance(diagnostic, FieldFailed):
        return False
    composite = diagnostic.type in {"tmp", "qtailq", "qlist", "gtree"}
    # Types that QEMU reads by hand: the descriptions inside them report their own errors.
    by_hand = diagnostic.type in {"virtio", "virtqueue_extra_state", "virtio-gpu"}
    return by_hand or (composite and not reached(TYPES_CHAINED, release))
