"""docs/devices.md, made from QEMU's own lists of devices; ``python -m`` with this module writes it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vmstate.describe.history import Release
from vmstate.pseries.board.recordings import recording
from vmstate.pseries.devices import drivers, real_name
from vmstate.pseries.startup.cpu_cores import is_core
from vmstate.shipped import shipped

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"
MODELLED, RECORDED, REFUSED, NAMED, ABSENT = "modelled", "recorded", "refused", "named only", "–"
KINDS = (MODELLED, RECORDED, REFUSED, NAMED)

ABOUT = f"""\
Every device that `-device help` of these QEMUs lists for a ppc64 machine is known in one of four ways:

- *{MODELLED}*: declared in this package, with every property and every check of its state;
- *{RECORDED}*: what it adds to a stream was recorded from that QEMU (recorded-devices.md).  It is judged by
  its place, version, layout, bytes and RAM blocks; anything else is not judged (exit status 2);
- *{REFUSED}*: that QEMU does not plug it into a bare pseries machine; its lines were recorded;
- *{NAMED}*: QEMU has it, and nothing else is known: a command line with it is not simulated (exit status 2).

A name that a QEMU does not list gets QEMU's own error.  10.2.0 was built with pseries as its only machine,
so it lacks devices of other boards; 5.2.0, 10.0.13 and 11.1.3 were recorded without their modules."""


def listed() -> dict[Release, list[str]]:
    """Return the devices that each recorded QEMU lists."""
    files = shipped("device-names").glob("*.json")
    found = {Release.parse(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in files}
    return dict(sorted(found.items()))


def known_as(name: str, release: Release) -> str:
    """Return how the simulator knows a device that the QEMU of this release lists."""
    driver = drivers().get(real_name(name, release))
    if (driver is not None and driver.span.covers(release)) or is_core(name):
        return MODELLED
    found = recording(name, release)
    if found is None:
        return NAMED
    if found.needs is not None:
        return RECORDED
    return REFUSED if found.refused is not None else NAMED


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    releases = listed()
    yield "# Devices"
    yield ""
    yield "<!-- Generated from QEMU's own lists by `python -m tests.support.devices_page`. -->"
    yield ""
    yield from ABOUT.splitlines()
    yield ""
    yield "| release | " + " | ".join(KINDS) + " |"
    yield "|---" * (1 + len(KINDS)) + "|"
    for release, names in releases.items():
        counts = Counter(known_as(name, release) for name in names)
        yield f"| {release} | " + " | ".join(str(counts[kind]) for kind in KINDS) + " |"
    yield ""
    yield "| device | " + " | ".join(map(str, releases)) + " |"
    yield "|---" * (1 + len(releases)) + "|"
    for name in sorted({name for names in releases.values() for name in names}):
        if is_core(name):
            continue
        ways = (known_as(name, one) if name in releases[one] else ABSENT for one in releases)
        yield f"| `{name}` | " + " | ".join(ways) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
