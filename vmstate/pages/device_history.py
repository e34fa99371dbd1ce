"""The wire history of devices: which releases have each field, subsection and version."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from vmstate.describe.history import Release
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.history import Row, in_force
from vmstate.pseries.known_devices import known_devices
from vmstate.simulate.default_machines import name_of, registered, start


def device_histories(catalogue: Catalogue, releases: Sequence[Release]) -> list[list[Any]]:
    """Return the devices of these releases' default machines: name, what it is, rows that change.

    A row is its path, kind and type, and the runs of releases that have it: first and last place, version.
    Rows that all these releases have in the same way are only counted.
    """
    names: set[str] = set()
    for release in dict.fromkeys(releases):
        machine = start(catalogue, release, catalogue.binary(release).default_type)
        names |= {name_of(device) for _, device in registered(machine)}
    found = []
    for device in known_devices(catalogue):
        if device.name not in names or not device.rows:
            continue
        rows = [(row, _runs(row, releases)) for row in device.rows]
        there = [(row, runs) for row, runs in rows if runs]
        shown = [
            [row.path, row.kind, row.type, runs]
            for row, runs in there
            if row.kind == "section" or len(runs) > 1 or runs[0][:2] != [0, len(releases) - 1]
        ]
        found.append([device.name, device.about, len(there) - len(shown), shown])
    return found


def _runs(row: Row, releases: Sequence[Release]) -> list[list[Any]]:
    """Return the runs of releases that have a row in one version: first place, last place, version."""
    states = [
        (_version(row, release) if row.description is not None else "") if row.exists(release) else None
        for release in releases
    ]
    runs = []
    for state, places in groupby(range(len(states)), key=lambda place: states[place]):
        if state is not None:
            run = list(places)
            runs.append([run[0], run[-1], state])
    return runs


def _version(row: Row, release: Release) -> str:
    version = in_force(row.versions, release)
    return "" if version is None else str(version)
