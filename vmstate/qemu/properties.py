"""The properties of a device, as a real QEMU lists them: ``-device NAME,help``."""

from __future__ import annotations

import re
import subprocess

from vmstate.qemu.binary import Binary

_LINE = re.compile(r"  (?P<name>[\w.-]+)=<(?P<kind>.*?)>(?:\s+- (?P<about>.*))?")
_DEFAULT = re.compile(r"\(default: \"?(.*?)\"?\)$")
_SECONDS = 20.0


def properties_of(binary: Binary, driver: str) -> dict[str, tuple[str, str | None]]:
    """Return the type and the default (None if it has none) of each property, by name.

    No property is found for a driver that the program does not have.
    """
    command = [binary.path, "-machine", "pseries", "-device", f"{driver},help"]
    answer = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    return parse_help(answer.stdout)


def parse_help(text: str) -> dict[str, tuple[str, str | None]]:
    """Parse the output of ``-device NAME,help``."""
    found: dict[str, tuple[str, str | None]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.rstrip())
        if match is not None:
            default = _DEFAULT.search(match["about"] or "")
            found[match["name"]] = (match["kind"], None if default is None else default[1])
    return found
