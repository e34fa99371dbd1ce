"""The two sides of a bump: a program, a record of one, or a release that is not built yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from vmstate.bump.creatable import creatable
from vmstate.bump.question import DEVICES
from vmstate.dataclass import dataclass, replace
from vmstate.errors import ConfigurationError
from vmstate.front.schemas import schema_of
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.schema import schema_of_release
from vmstate.qemu.binary import Binary, identify
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QmpRefused
from vmstate.qemu.session import Session
from vmstate.records.record import Record, is_record, read_record
from vmstate.schema import Schema

_VERSIONED = re.compile(r"(.+)-(\d+)\.(\d+)((?:-\w+)?)\Z")
_TARGET = re.compile(r"qemu-system-([\w]+)")
_ELF = b"\x7fELF"


@dataclass(frozen=True)
class Side:
    """One QEMU.

    ``release``: its number, as the simulator names it; "" if it is not known.  ``machines``: its machine
    types with a version, newest first.  ``devices``: those of DEVICES that it has, None if not known.
    ``creatable``: names of descriptions of the devices that a user can add, None if not known.
    ``program``: None if it cannot be run.  ``streams``: recorded streams by
    machine type, and ``arguments``: the options that they were recorded with.
    """

    source: str
    schema: Schema
    release: str
    target: str
    machines: tuple[str, ...]
    devices: frozenset[str] | None = None
    creatable: frozenset[str] | None = None
    program: Binary | None = None
    streams: dict[str, bytes] | None = None
    arguments: tuple[str, ...] = ()
    record: Record | None = None
    catalogue: Catalogue = CATALOGUE

    @property
    def name(self) -> str:
        """The name for people."""
        return f"qemu-{self.release}" if self.release else self.source

    @cached_property
    def is_pseries(self) -> bool:
        """True if the simulator knows its machines."""
        return self.target in ("ppc64", "") and any(m.startswith("pseries-") for m in self.machines)

    def command(self, machine: str, *arguments: str) -> QemuCommand:
        """Return a command line of the program."""
        assert self.program is not None
        return QemuCommand.parse([self.program.path, "-machine", machine, *arguments])


def side_of(source: str, schema_source: str = "") -> Side:
    """Return the side of a program, of a record, or of a release as we declare it (``pseries@7.2``).

    ``schema_source``: where the descriptions of a program are, if not in its file.  Raises ConfigurationError
    if the source is neither, or its descriptions cannot be read; QemuNotFound.
    """
    path = Path(source)
    if source.startswith("pseries@") and not path.exists():
        return declared_side(source.partition("@")[2])
    if is_record(path):
        return recorded_side(source)
    if not path.is_file():
        raise ConfigurationError(f"{source}: no such program")
    program = identify(source)
    schema = schema_of(schema_source or _described_by(path))
    target = _TARGET.search(path.name)
    machines, compat, devices = _asked(program)
    if compat and not schema.machines:
        schema = replace(schema, machines=compat)
    return Side(
        source,
        schema,
        str(program.release),
        target[1] if target else (schema.target or ""),
        machines,
        devices,
        creatable(program.path, machines[0]) if machines else None,
        program,
    )


def declared_side(release: str, catalogue: Catalogue = CATALOGUE, source: str = "") -> Side:
    """Return the side of a release as we declare it; it is simulated, and never run."""
    number = catalogue.release(release)
    names = (name for name in catalogue.binary(number).machine_types if _VERSIONED.match(name))
    machines = tuple(sorted(names, key=version_key))
    schema = schema_of_release(number, catalogue)
    return Side(source or f"pseries@{release}", schema, str(number), "ppc64", machines, catalogue=catalogue)


def recorded_side(folder: str) -> Side:
    """Return the side of a record: its streams are replayed, and it is never run."""
    record = read_record(folder)
    if record.schema is None:
        raise ConfigurationError(f"{folder}: the record has no descriptions")
    names = sorted((name for name in record.machines if _VERSIONED.match(name)), key=version_key)
    streams = {name: stream for name in names if (stream := record.machines[name].stream) is not None}
    schema = replace(record.schema, machines=record.schema.machines or _compat(record))
    given = tuple(map(str, record.head.get("arguments", ())))
    target = record.schema.target or str(record.head.get("target", ""))
    return Side(
        folder, schema, record.release, target, tuple(names), streams=streams, arguments=given, record=record
    )


def _compat(record: Record) -> Compat:
    found: Compat = {}
    for name, one in record.machines.items():
        listed = one.about.get("compat", one.about.get("compat-props"))
        if isinstance(listed, list) and all(isinstance(row, list) and len(row) == 3 for row in listed):
            found[name] = tuple((str(a), str(b), str(c)) for a, b, c in listed)
    return found


def _described_by(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(len(_ELF)) == _ELF:
            return str(path)
    raise ConfigurationError(
        f"{path} is a script: say where the descriptions are (--old-schema, --new-schema): the program "
        "itself, or the output of -dump-vmstate"
    )


Compat = dict[str, tuple[tuple[str, str, str], ...]]


def _asked(program: Binary) -> tuple[tuple[str, ...], Compat, frozenset[str]]:
    """Ask a program for its machine types, their compat properties (from 9.1 on), and its device types."""
    with Session(QemuCommand.parse([program.path, "-machine", "none", "-nodefaults"])) as qemu:
        try:
            machines = qemu.execute("query-machines", **{"compat-props": True})
        except QmpRefused:
            machines = qemu.execute("query-machines")
        devices = frozenset(name for name in _named(DEVICES) if _has(qemu, name))
        qemu.finish()
    names = [one["name"] for one in machines if _VERSIONED.match(one["name"])]
    names.sort(key=version_key)
    compat: Compat = {}
    for one in machines:
        if "compat-props" in one:
            rows = ((p["qom-type"], p["property"], p["value"]) for p in one["compat-props"])
            compat[one["name"]] = tuple(rows)
    return tuple(names), {name: compat[name] for name in names if name in compat}, devices


def _named(devices: Iterable[str]) -> Iterator[str]:
    return (text.partition(",")[0] for text in devices)


def _has(qemu: Session, device: str) -> bool:
    try:
        qemu.execute("device-list-properties", typename=device)
    except QmpRefused:
        return False
    return True


def version_key(machine: str) -> tuple[str, int, int, str]:
    """Return a key that sorts machine types by kind, newest first."""
    found = _VERSIONED.match(machine)
    assert found is not None
    return (found[1], -int(found[2]), -int(found[3]), found[4])
