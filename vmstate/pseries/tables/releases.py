"""The QEMU releases that the simulator knows, each line by its newest stable release.

A command line names a stable release in full (``qemu-10.0.2``); ``qemu-10.0`` means the newest of that line
listed here.  A stable release newer than that is accepted: it has every known change of its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, DeclarationError, NotModelled

#: The newest stable release of every line, oldest line first.
NEWEST: tuple[str, ...] = (
    "2.9.1",
    "2.10.2",
    "2.11.2",
    "2.12.1",
    "3.0.1",
    "3.1.1.1",
    "4.0.1",
    "4.1.1",
    "4.2.1",
    "5.0.1",
    "5.1.0",
    "5.2.0",
    "6.0.1",
    "6.1.1",
    "6.2.0",
    "7.0.0",
    "7.1.0",
    "7.2.22",
    "8.0.5",
    "8.1.5",
    "8.2.10",
    "9.0.4",
    "9.1.3",
    "9.2.4",
    "10.0.13",
    "10.1.5",
    "10.2.2",
    "11.0.2",
    "11.1.3",
)


@cache
def parse_number(text: str) -> tuple[Release, bool]:
    """Return a release number, and True if it names a stable release: ``7.2`` does not, ``7.2.0`` does.

    Raises ConfigurationError for a text that is not ``major.minor[.micro[.nano]]``.
    """
    try:
        return Release.parse(text), text.count(".") >= 2
    except DeclarationError as error:
        raise ConfigurationError(str(error)) from None


def resolve(text: str, newest: Iterable[Release]) -> Release:
    """Return the release that ``text`` names; ``newest``: the newest release of each line.

    Raises ConfigurationError for an unknown line, naming the known ones.
    """
    number, exact = parse_number(text)
    known = {release.line: release for release in newest}
    if number.line not in known:
        lines = ", ".join(f"{major}.{minor}" for major, minor in sorted(known))
        raise NotModelled(f"QEMU {text} is not modelled; known lines: {lines}")
    return number if exact else known[number.line]
