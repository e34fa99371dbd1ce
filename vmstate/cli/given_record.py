"""A record of a QEMU as a destination: ``DIR`` or ``DIR:TYPE``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def given_record(text: str) -> tuple[str, str | None] | None:
    """Return the folder of a record and the machine type, if that is what a destination names."""
    folder, colon, machine = text.rpartition(":")
    if not _is_folder(text) and not (colon and _is_folder(folder)):
        return None
    from vmstate.records import is_record

    if is_record(text):
        return text, None
    return (folder, machine) if colon and is_record(folder) else None


def _is_folder(text: str) -> bool:
    with suppress(OSError):  # a command line may be longer than any path
        return Path(text).is_dir()
    return False
