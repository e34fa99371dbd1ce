"""The devices of pseries machines, by every name: section, subsection, driver, capability.

Only this module inspects device classes to describe their declarations.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache, cached_property

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, VMStateDescription
from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.board.driver import plug_nothing
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.changes import Hook, Redescribed, Subsection, hooked
from vmstate.pseries.declarations import device_classes
from vmstate.pseries.devices import drivers as all_drivers
from vmstate.pseries.devices.spapr.spapr import SPAPR, spapr_description
from vmstate.pseries.devices.virtio.virtio import VIRTIO_PCI
from vmstate.pseries.history import Row, rows
from vmstate.pseries.tables.capabilities import CAPABILITIES
from vmstate.similar_names import did_you_mean, similar

#: Fields that a function of QEMU's reads and writes by hand, and the description of their content.
_BY_HAND: dict[str, VMStateDescription] = {"virtqueue_extra_state": VIRTIO_PCI}
CAPABILITY = "spapr/cap/"
_ELSEWHERE = "the proposal or file that adds it"


def drivers() -> list[str]:
    """Return the names that ``-device`` accepts for devices that send a section."""
    found = (one for one in all_drivers().values() if one.user_creatable and one.plug is not plug_nothing)
    return [driver.name for driver in found if driver.bus]


@dataclass(frozen=True)
class KnownDevice:
    """A device by the name of its section.

    ``description`` is None for a section that is sent while the machine runs, by a protocol of its own.
    ``added``: the names of subsections that a proposal, or a file of --with, adds.
    """

    name: str
    kind: type[Device | LiveDevice]
    description: VMStateDescription | None
    added: frozenset[str] = frozenset()

    @cached_property
    def rows(self) -> list[Row]:
        """Every field and subsection that it ever had."""
        return [] if self.description is None else rows(self.description, inside)

    @property
    def about(self) -> str:
        """One line on the section's content, with QEMU's file."""
        return _first(inspect.getmodule(self.kind))

    @property
    def behaviour(self) -> str:
        """One line on the device's state after reset, or on the protocol of a section without description."""
        return _first(self.kind)

    @property
    def file(self) -> str:
        """The file of this package that declares it."""
        return _file(self.kind.__module__)

    def file_of(self, row: Row) -> str:
        """Return the file that declares a row: that of its description, else that of the section."""
        if not self.added.isdisjoint(one.name for one in row.chain):
            return _ELSEWHERE
        if row.name.startswith(CAPABILITY):
            return _file("vmstate.pseries.tables.capabilities")
        described = (_description(one) for one in reversed(row.chain))
        return next((file for one in described if one is not None and (file := _file_of(one))), self.file)


def inside(field: Field) -> VMStateDescription | None:
    """Return the description of the content of a field that has a wire type of its own, or None."""
    content = getattr(field.info, "content", None)
    if isinstance(content, VMStateDescription):
        return content
    return _BY_HAND.get(field.info.name) if field.info is not None else None


def _description(declared: VMStateDescription | Field) -> VMStateDescription | None:
    return declared if isinstance(declared, VMStateDescription) else declared.vmsd or inside(declared)


def known_devices(catalogue: Catalogue) -> list[KnownDevice]:
    """Return every device that sends a section, as the catalogue has it, by name."""
    merged = {capability.name for capability in CAPABILITIES}
    new = (one.subsection for one in catalogue.capabilities if one.name not in merged)
    added = frozenset(
        [*(one.description.name for one in catalogue.subsections), *(CAPABILITY + n for n in new)]
    )
    described = [
        KnownDevice(name, kinds[0], _changed(kinds[0].description, catalogue), added)
        for name, kinds in device_classes().items()
    ]
    live = [KnownDevice(kind.idstr, kind, None) for kind in _live_kinds(LiveDevice)]
    return sorted((*described, *live), key=lambda device: device.name.lower())


def check_descriptions(catalogue: Catalogue, declarations: Iterable[object]) -> None:
    """Raise DeclarationError if one of the declarations changes a description that no device has."""
    wanted = [(one.to, "to") for one in declarations if isinstance(one, Subsection)]
    wanted += [(one.description, "hook of") for one in declarations if isinstance(one, Hook)]
    wanted += [(one.description, "description") for one in declarations if isinstance(one, Redescribed)]
    if not wanted:
        return
    known: set[str] = set()
    for kinds in device_classes().values():
        known |= {name for kind in kinds for name in _names_in(_changed(kind.description, catalogue))}
    for name, what in wanted:
        if name not in known:
            hint = did_you_mean(name, sorted(known))
            raise DeclarationError(f"{what} {name!r}: no device has such a description{hint}")


def _names_in(description: VMStateDescription) -> Iterator[str]:
    yield description.name
    for part in description.subsections:
        yield from _names_in(part)


def _changed(description: VMStateDescription, catalogue: Catalogue) -> VMStateDescription:
    """Return the description with everything that a catalogue adds to it and replaces in it."""
    if description is SPAPR:
        description = spapr_description(catalogue.capabilities)
    added = [one.description for one in catalogue.subsections if one.to == description.name]
    if added:
        description = replace(description, subsections=[*description.subsections, *added])
    return hooked(description, catalogue.hooks)


def _live_kinds(kind: type[LiveDevice]) -> Iterator[type[LiveDevice]]:
    for below in kind.__subclasses__():
        if "idstr" in vars(below):
            yield below
        yield from _live_kinds(below)


@dataclass(frozen=True)
class Found:
    """A device, and those of its rows that have the requested name; none if that means the whole device.

    ``others`` are the other devices that have such a subsection.
    """

    device: KnownDevice
    named: tuple[Row, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def rows(self) -> list[Row]:
        """The requested rows, and everything in them."""
        return [
            row for row in self.device.rows if not self.named or any(row.is_in(one) for one in self.named)
        ]

    @property
    def parts(self) -> list[Row]:
        """The section and subsections among the rows; for a field, the one that contains it."""
        parts = [row for row in self.device.rows if row.kind in {"section", "subsection"}]
        rows = self.rows
        inner = [part for part in parts if part in rows]
        return inner or [next(part for part in reversed(parts) if row.is_in(part)) for row in rows[:1]]


def find_device(catalogue: Catalogue, name: str, section_of_driver: dict[str, str]) -> Found:
    """Find the device or subsection of that name.  Raises ConfigurationError with similar names.

    ``name`` may be a section (``cpu``, also with a path; ``vscsi`` is spapr_vscsi), a driver
    (``virtio-net-pci``), a subsection, a struct, a capability (``cap-fwnmi``) or a field
    (``cpu/compat.compat_pvr``).
    """
    devices = known_devices(catalogue)
    by_name = {device.name: device for device in devices}
    wanted = section_of_driver.get(name, name)
    for capability in catalogue.capabilities:
        if name in (capability.property_name, capability.name):
            wanted = CAPABILITY + capability.subsection
    if wanted in by_name:
        return Found(by_name[wanted])
    found = {device.name: named for device in devices if (named := _named(device, wanted))}
    if found:
        first, *others = found
        return Found(by_name[first], found[first], tuple(others))
    for known, device in by_name.items():
        if wanted.endswith(f"/{known}") or known == f"spapr_{wanted.replace('-', '')}":
            return Found(device)
    names = {*by_name, *section_of_driver, *(n for d in devices for r in d.rows for n in _names(r))}
    near = similar(name, sorted(names), 5)
    hint = f"; similar names: {', '.join(near)}" if near else "; vmstate device lists all"
    raise ConfigurationError(f"no device, section or subsection is called {name!r}{hint}")


def _named(device: KnownDevice, name: str) -> tuple[Row, ...]:
    return tuple(row for row in device.rows if name in _names(row))


def _names(row: Row) -> tuple[str, ...]:
    if row.description is not None:
        return row.name, row.path
    declared = row.declared
    struct = declared.vmsd.name if isinstance(declared, Field) and declared.vmsd is not None else row.path
    owner = next((one.name for one in reversed(row.chain[:-1]) if isinstance(one, VMStateDescription)), "")
    return row.path, struct, f"{owner}.{row.name}"


def _first(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "")


def _file(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


@cache
def _declarations() -> dict[int, str]:
    """Return the module of each description that a loaded module of devices declares, by identity."""
    return {
        id(value): module
        for module, loaded in sorted(sys.modules.items())
        if module.startswith("vmstate.pseries.devices.")
        for value in vars(loaded).values()
        if isinstance(value, VMStateDescription) and _made_in(value, module)
    }


def _made_in(description: VMStateDescription, module: str) -> bool:
    """Return True if the module's source names the description, and does not import it."""
    source = inspect.getsource(sys.modules[module])
    return f'"{description.name}"' in source


def _file_of(description: VMStateDescription) -> str | None:
    module = _declarations().get(id(description))
    return None if module is None else _file(module)
