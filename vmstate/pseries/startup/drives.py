"""Drives as their devices see them: a medium, whether it may write, whether writes wait (blockdev.c)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vmstate.errors import NotModelled
from vmstate.pseries.machine import Drive
from vmstate.pseries.options import Opt, is_on, value_of

#: The parts of a -drive that do not make it a drive with a medium.
_OF_AN_EMPTY_DRIVE = frozenset({"id", "if", "media", "file", "readonly", "read-only", "index", "unit", "bus"})
_READ_ONLY = ("readonly", "read-only")
#: Modes of ``cache=`` in which a write is complete only when it is stored.
_WRITE_THROUGH = frozenset({"writethrough", "directsync"})
#: Formats and protocols that cannot be written, or only if something else allows it.
_PERHAPS_READ_ONLY = frozenset(
    {"bochs", "cloop", "dmg", "ftp", "ftps", "http", "https", "json", "snapshot-access", "vvfat", "fat"}
)


def of_drive(text: str, given: Mapping[str, str]) -> Drive:
    """Return a ``-drive`` (drive_new): a CD is read-only; details of the cache precede its mode."""
    null = given.get("driver", "").startswith("null-")
    medium = null or bool(given.get("file")) or any(one.startswith("file.") for one in given)
    if not medium and given.keys() - _OF_AN_EMPTY_DRIVE:
        raise NotModelled(f"{text}: these parts without a file are not modelled")
    cache = given.get("cache.writeback")
    return Drive(
        medium,
        driver=_protocol(given) or given.get("driver") or "",
        read_only=given.get("media") == "cdrom" or any(is_on(given.get(key, "off")) for key in _READ_ONLY),
        write_cache=given.get("cache") not in _WRITE_THROUGH if cache is None else is_on(cache),
        writable=not {given.get("format"), given.get("driver"), _protocol(given)} & _PERHAPS_READ_ONLY,
    )


def of_node(driver: str, parts: Iterable[Opt]) -> Drive:
    """Return a ``-blockdev``, which has a cache for a device that is given the node (blk_new)."""
    read_only = is_on(value_of(parts, "read-only") or "off")
    return Drive(node=True, driver=driver, read_only=read_only, writable=driver not in _PERHAPS_READ_ONLY)


def _protocol(given: Mapping[str, str]) -> str:
    before, colon, _ = given.get("file", "").partition(":")
    return before if colon else given.get("file.driver", "")
