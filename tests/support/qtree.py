"""``info qtree`` as devices with their properties, each with the bus and the devices around it.

``ALONE`` lists the properties that no stream says: test_qtree.py compares the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import zstandard

from tests.support.handwritten import FIXTURES, recordings

ALONE = FIXTURES / "guests" / "only-in-qtree.txt"
_DEVICE = re.compile(r'dev: (?P<driver>[^,]+), id "(?P<id>[^"]*)"')
_PROPERTY = re.compile(r"(?P<name>[\w.-]+(?:\[\d+\])?) = (?P<value>.*)")
_NUMBER = re.compile(r"(-?\d+) \([^)]*\)")


@dataclass
class QDevice:
    """A device; ``lines``: what is no property: its class and address, its BARs, its memory."""

    driver: str
    id: str
    parent: QDevice | None
    properties: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def number(self, name: str) -> int:
        return int(self.properties[name].partition(" ")[0], 0)

    def text(self, name: str) -> str:
        return self.properties[name].strip('"')

    def around(self) -> Iterator[QDevice]:
        """Yield this device and those that it is behind, the innermost first."""
        at: QDevice | None = self
        while at is not None:
            yield at
            at = at.parent


def qtree(name: str) -> list[QDevice]:
    """Return the devices of one of ``fixtures/guests``."""
    packed = (FIXTURES / "guests" / f"{name}.qtree.zst").read_bytes()
    found: list[QDevice] = []
    open_ones: list[tuple[int, QDevice]] = []
    for line in zstandard.ZstdDecompressor().decompress(packed).decode().splitlines():
        indent, text = len(line) - len(line.lstrip()), line.strip()
        while open_ones and open_ones[-1][0] >= indent:
            open_ones.pop()
        if device := _DEVICE.match(text):
            found.append(QDevice(device["driver"], device["id"], open_ones[-1][1] if open_ones else None))
            open_ones.append((indent, found[-1]))
        elif open_ones and not text.startswith(("bus: ", "type ", "gpio-")):
            device_of = open_ones[-1][1]
            if pair := _PROPERTY.fullmatch(text):
                device_of.properties[pair["name"]] = pair["value"]
            else:
                device_of.lines.append(text)
    return found


def properties() -> dict[str, set[str]]:
    """Return the drivers that have a property, by its name, in all recordings."""
    found: dict[str, set[str]] = {}
    for name in recordings("guests"):
        for device in qtree(name):
            for one in device.properties:
                found.setdefault(one, set()).add(device.driver)
    return found


def alone(compared: set[tuple[str, str]]) -> list[str]:
    """Return the properties that are not among those compared: by name, or by driver and name."""
    found = []
    for name, drivers in sorted(properties().items()):
        others = {driver for driver in drivers if (driver, name) not in compared}
        found += [name] if others == drivers else [f"{driver}.{name}" for driver in sorted(others)]
    return found
