"""Our own declarations at a release as a schema."""

from __future__ import annotations

from vmstate.describe import Release, VMStateDescription
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.known_devices import KnownDevice, known_devices
from vmstate.schema.declaration import as_description
from vmstate.schema.model import Description, Knows, Origin, Schema

_KNOWS = frozenset({Knows.TYPES, Knows.COUNTS, Knows.CONDITIONS, Knows.VERSIONS, Knows.UNSENT})


def schema_of_release(
    release: Release, catalogue: Catalogue = CATALOGUE, machine: str | None = None
) -> Schema:
    """Return every section that pseries machines of a release send, by the name of its description."""
    found: dict[str, Description] = {}
    for device in known_devices(catalogue):
        declared = device.description
        if declared is None:
            found[device.name] = _by_hand(device)
        elif declared.span.covers(release):
            found[device.name] = _described(declared, release)
    name = f"pseries@{release}" if machine is None else f"{machine}@{release}"
    binary = catalogue.binary(release)
    return Schema(
        name,
        Origin.RELEASE,
        found,
        _KNOWS,
        str(release),
        machine,
        "ppc64",
        machines={kind: binary.machine_class(kind).compat for kind in binary.machine_types},
        capabilities=tuple(one.subsection for one in binary.capabilities),
    )


def _described(declared: VMStateDescription, release: Release) -> Description:
    return as_description(declared.at(release))


def _by_hand(device: KnownDevice) -> Description:
    version = getattr(device.kind, "version_id", 0)
    return Description(device.name, version if isinstance(version, int) else 0, opaque=True)
