"""docs/properties.md, made from the drivers; ``python -m`` with this module writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vmstate.describe.history import History, Span
from vmstate.pseries.board.bus_properties import OF_BUS
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property
from vmstate.pseries.devices import drivers
from vmstate.pseries.devices.virtio import virtio_pci

PAGE = Path(__file__).parents[2] / "docs" / "properties.md"
BUSES = {"PCI": "Every PCI device", "usb-bus": "Every USB device", "spapr-vio-bus": "Every VIO device"}


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Properties of devices"
    yield ""
    yield "<!-- Generated from the drivers by `python -m tests.support.properties_page`. -->"
    yield ""
    yield "A property is *modelled* (it decides what is sent or accepted, and is simulated), *harmless* (it"
    yield "changes neither), or *not modelled*: then it is accepted only with its default, and another value"
    yield "is an error of this tool (exit status 2) that names it.  Any other name gets QEMU's own error."
    counts = Counter(one.effect for driver in drivers().values() for one in _names(driver))
    yield ""
    summary = ", ".join(f"{counts[effect]} {effect.value}" for effect in Effect)
    yield f"By driver and name, {sum(counts.values())} properties: {summary}."
    for bus, title in BUSES.items():
        yield from _table(title, OF_BUS[bus])
    yield from _table("Every virtio device on PCI", virtio_pci.PROPERTIES)
    for name, driver in sorted(drivers().items()):
        own = tuple(one for one in driver.properties if one not in virtio_pci.PROPERTIES)
        yield from _table(f"`{name}`", own)


def _names(driver: Driver) -> Iterator[Property]:
    """Yield a property for each name that is listed: of several, the one with the longest span."""
    for several in driver.all_properties.values():
        if several[0].listed:
            yield several[0]


def _table(title: str, properties: tuple[Property, ...]) -> Iterator[str]:
    if not properties:
        return
    yield from ("", f"## {title}", "")
    yield "| property | type | default | releases | effect |"
    yield "|---|---|---|---|---|"
    for one in sorted(properties, key=lambda one: (one.name, one.span.until is None)):
        effect = f"harmless: {one.why}" if one.why else one.effect.value
        cells = (f"`{one.name}`", _history(one.kind), _default(one), _span(one.span), effect)
        yield f"| {' | '.join(cells)} |"


def _default(one: Property) -> str:
    if callable(one.default):
        return "by machine type"
    return _history(one.default) if one.default else ""


def _history(value: str | History[str]) -> str:
    if not isinstance(value, History):
        return value.replace("|", "\\|")
    return ", ".join([value.first, *(f"{later} from {_point(points)} on" for points, later in value.changes)])


def _span(span: Span) -> str:
    since = "" if span.since is None else f"from {_point(span.since)} on"
    until = "" if span.until is None else f"until {_point(span.until)}"
    return ", ".join(filter(None, (since, until))) or "all"


def _point(points: object) -> str:
    return str(points[-1] if isinstance(points, tuple) else points)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
