"""Recordings: what real QEMUs say of the devices that are not modelled (fixtures/devices).

A recording is made by ``vmstate record-device`` (vmstate/qemu/device_recorder.py).  Between two recorded
releases that agree, their recording holds; where they differ, nothing is known.  Users keep recordings of
their own in the folders that the environment variable VMSTATE_DEVICES names.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, DeclarationError, NotModelled
from vmstate.shipped import shipped

VARIABLE = "VMSTATE_DEVICES"
#: The addresses of the network cards that were recorded: QEMU's own first one, and another in every byte.
MAC, OTHER_MAC = bytes.fromhex("525400123456"), bytes.fromhex("9abcdef13579")

T = TypeVar("T")
Record = Mapping[str, Any]


@cache
def _releases() -> tuple[Release, ...]:
    """Return the releases that were recorded, oldest first."""
    return tuple(sorted(Release.parse(path.stem) for path in shipped("device-names").glob("*.json")))


@cache
def _names(release: Release) -> frozenset[str]:
    path = shipped("device-names") / f"{release}.json"
    return frozenset(json.loads(path.read_text(encoding="utf-8")))


@cache
def around(release: Release) -> tuple[Release, ...]:
    """Return the recorded release of the same line, else the next lower and higher one.

    Empty for a release older or newer than all.
    """
    same = tuple(one for one in _releases() if one.line == release.line)
    if same:
        return same[-1:]
    lower = [one for one in _releases() if one < release]
    higher = [one for one in _releases() if one > release]
    return (lower[-1], higher[0]) if lower and higher else ()


def is_listed(name: str, release: Release) -> bool | None:
    """Return True if QEMU lists the device, False if it does not; None if that was not recorded."""
    answers = {name in _names(one) for one in around(release)}
    return answers.pop() if len(answers) == 1 else None


@cache
def _files() -> Mapping[str, tuple[Path, ...]]:
    """Return the files of each device: the package's, then the user's."""
    folders = [shipped("devices"), *map(Path, filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))]
    found: dict[str, tuple[Path, ...]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            found[path.stem] = (*found.get(path.stem, ()), path)
    return found


def names() -> frozenset[str]:
    """Return the names of all recorded devices."""
    return frozenset(_files())


@cache
def _records(name: str) -> Mapping[Release, Record]:
    found: dict[Release, Record] = {}
    for path in _files().get(name, ()):
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
            found |= {Release.parse(release): record for release, record in read.items()}
        except (ValueError, AttributeError, DeclarationError) as error:
            raise ConfigurationError(f"{path}: not a recording of a device: {error}") from None
    return found


@dataclass(frozen=True)
class Section:
    """A section that the device adds.

    ``idstr`` has ``{path}`` for the device's place.  ``place``: its registration, counted from the device's
    first.  ``description``: its entry in the vmdesc.  ``varied``: its bytes with another MAC address, drive
    or serial number; empty if they are the same.
    """

    idstr: str
    instance_id: int
    version_id: int
    place: int
    description: str
    data: bytes
    varied: bytes

    @staticmethod
    def of(record: Record) -> Section:
        """Return the section of a recording."""
        description = record["description"]
        return Section(
            record["idstr"],
            record["instance_id"],
            record["version_id"],
            record["place"],
            unpacked(description).decode() if description else "",
            unpacked(record["bytes"]),
            unpacked(record["varied"]) if "varied" in record else b"",
        )


@dataclass(frozen=True)
class Added:
    """The additions of a device to a machine of one type.

    ``says``, ``says_on_load``: lines of the start, and of a load.  ``refused``: the lines if the start fails;
    ``blocked``: why the machine cannot be migrated.  ``touches``: the sections of other devices that change.
    ``registrations``: how many sections it registers, also those that are not sent.  ``blocks``: names and
    sizes of RAM blocks.  ``regions``: the number, size and kind (1: memory) of PCI regions.
    ``takes_varied``: it loads a section with another MAC address, drive or serial number.  ``takes_own``: it
    loads its own state.
    """

    says: tuple[str, ...] = ()
    says_on_load: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    blocked: str = ""
    touches: tuple[str, ...] = ()
    registrations: int = 0
    sections: tuple[Section, ...] = ()
    blocks: tuple[tuple[str, int], ...] = ()
    regions: tuple[tuple[int, int, int], ...] = ()
    takes_varied: bool = True
    takes_own: bool = True

    @staticmethod
    def of(record: Record) -> Added:
        """Return the additions of a recording."""
        return Added(
            tuple(record.get("says", ())),
            tuple(record.get("says_on_load", ())),
            tuple(record.get("refused", ())),
            record.get("blocked", ""),
            tuple(record.get("touches", ())),
            record.get("registrations", 0),
            tuple(Section.of(one) for one in record.get("sections", ())),
            tuple((name, size) for name, size in record.get("blocks", ())),
            tuple((number, size, kind) for number, size, kind in record.get("regions", ())),
            record.get("loads_varied", {}).get("verdict", "accept") == "accept",
            "loads" not in record,
        )


def packed(data: bytes) -> str:
    """Return bytes as a recording has them."""
    from base64 import b85encode

    return b85encode(zlib.compress(data, 9)).decode()


def unpacked(text: str) -> bytes:
    """Return the bytes that :func:`packed` was given."""
    from base64 import b85decode  # few machines have a device that is recorded

    return zlib.decompress(b85decode(text))


@dataclass(frozen=True)
class Recording:
    """A device in one release, by one recording, or by the two around it."""

    name: str
    release: Release
    records: tuple[Record, ...]

    def _agreed(self, what: str, read: Callable[[Record], T]) -> T:
        """Return what all recordings say.  Raises NotModelled if they differ."""
        first, *others = (read(record) for record in self.records)
        if any(other != first for other in others):
            low, high = around(self.release)
            raise NotModelled(
                f"-device {self.name}: {self.release} was not recorded, and {low} and {high} differ in {what}"
            )
        return first

    @property
    def bus(self) -> str:
        """The type of bus that it is plugged into; empty for none."""
        return self._agreed("its bus", lambda record: str(record["bus"]))

    @property
    def refused(self) -> tuple[str, ...] | None:
        """QEMU's lines if it refuses the bare device on a bare machine; None if it does not."""
        lines = self._agreed("the bare device", lambda record: record.get("refused"))
        return None if lines is None else tuple(lines)

    @property
    def needs(self) -> tuple[str, ...] | None:
        """The properties that must be given; None if it was never started."""
        needs = self._agreed("what it needs", lambda record: record.get("needs"))
        return None if needs is None else tuple(needs)

    @property
    def behind(self) -> tuple[str, ...]:
        """The types of the buses that it provides, each as often as it has one."""
        return tuple(self._agreed("its buses", lambda record: record.get("behind", ())))

    @property
    def properties(self) -> Mapping[str, tuple[str, str | None]]:
        """The properties that ``-device NAME,help`` lists: type and default by name."""
        return self._agreed("their properties", lambda record: record["properties"])

    @property
    def varies(self) -> bool:
        """True if the machine type changes what the device adds."""
        return any(len(record.get("plugged", ())) > 1 for record in self.records)

    def added(self, version: str) -> Added | None:
        """Return what the device adds to a machine type; None if it was not recorded there."""
        found = self._agreed(f"pseries-{version}", lambda record: _of_type(record, version))
        return None if found is None else _added(found)


def _of_type(record: Record, version: str) -> str | None:
    """Return what a device adds to a machine type, as text; to the newest for one that is newer than all."""
    plugged = record.get("plugged", ())
    newest = None
    for one in plugged:
        if version in one["types"]:
            return json.dumps({**one, "types": 0})
        newest = one
    known = [Release.parse(kind) for one in plugged for kind in one["types"]]
    if newest is not None and Release.parse(version) > max(known):
        return json.dumps({**newest, "types": 0})
    return None


@cache
def _added(text: str) -> Added:
    return Added.of(json.loads(text))


@cache
def recording(name: str, release: Release) -> Recording | None:
    """Return the recording of a device; None if ``release`` lacks it, or nothing is known."""
    found = _records(name)
    same = [one for one in found if one.line == release.line]
    if same:
        return Recording(name, release, (found[max(same)],))
    if is_listed(name, release) is not True or not found.keys() >= set(around(release)):
        return None
    return Recording(name, release, tuple(found[one] for one in around(release)))
