"""Schemas opened by what the user gives: a file of any kind, or the name of a release.

    schema_of("qemu-7.2.json")      # the output of -dump-vmstate, a vmdesc, a schema of ours
    schema_of("qemu-system-ppc64")  # a program
    schema_of("guest.mig")          # a stream
    schema_of("records/7.2")        # a record
    schema_of("pseries@7.2")        # our own declarations at a release
    schema_of("devices.py@7.2")     # a file with declarations

:data:`READERS` has one entry for each kind of source; the first that takes a source reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Release, VMStateDescription
from vmstate.errors import ConfigurationError, StreamError
from vmstate.schema.as_json import is_schema, schema_from_json
from vmstate.schema.declaration import as_description
from vmstate.schema.from_dump import is_dump, schema_of_dump
from vmstate.schema.model import Knows, Origin, Schema, labelled
from vmstate.users_code import run_file

_HEAD = 16
_LARGEST_JSON = 1 << 28


@dataclass(frozen=True)
class Given:
    """A source as the user names it; the file is read when a reader first looks at it."""

    text: str

    @property
    def path(self) -> Path:
        """The path, if it names a file."""
        return Path(self.text)

    @cached_property
    def head(self) -> bytes:
        """The first bytes of the file; empty if there is no file."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            return file.read(_HEAD)

    @cached_property
    def json(self) -> object:
        """The JSON document in the file; None if it holds none."""
        if self.head.lstrip()[:1] != b"{" or self.path.stat().st_size > _LARGEST_JSON:
            return None
        try:
            return json.loads(self.path.read_bytes())
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of source: ``takes`` looks, ``read`` reads; ``kind`` is for messages."""

    kind: str
    takes: Callable[[Given], bool]
    read: Callable[[Given], Schema]


def schema_of(text: str, readers: Iterable[Reader] | None = None) -> Schema:
    """Return the schema of a source.  Raises ConfigurationError if it is not one that is known, OSError."""
    given = Given(text)
    readers = READERS if readers is None else tuple(readers)
    for reader in readers:
        if reader.takes(given):
            return reader.read(given)
    if not given.path.exists():
        raise ConfigurationError(f"{text}: no such file, and not a release such as pseries@7.2")
    kinds = ", ".join(reader.kind for reader in readers)
    raise ConfigurationError(f"{text}: none of these: {kinds}")


def _release(given: Given) -> Schema:
    from vmstate.pseries.catalogue import CATALOGUE
    from vmstate.pseries.schema import schema_of_release

    name, _, release = given.text.partition("@")
    machine = None if name == "pseries" else name
    number = CATALOGUE.release(release)
    if machine is not None and machine not in CATALOGUE.binary(number).machine_types:
        raise ConfigurationError(f"{given.text}: QEMU {number} has no machine type {machine}")
    return schema_of_release(number, machine=machine)


def _is_release(given: Given) -> bool:
    return given.text.startswith("pseries") and "@" in given.text and not given.path.exists()


def _is_python(given: Given) -> bool:
    return given.text.partition("@")[0].endswith(".py")


def _python(given: Given) -> Schema:
    """Run a file, and return its descriptions: those that no other of them contains."""
    file, _, release = given.text.partition("@")
    made = run_file(file)
    found = list(dict.fromkeys(one for one in made.values() if isinstance(one, VMStateDescription)))
    if not found:
        raise ConfigurationError(f"{file}: it makes no VMStateDescription")
    if release:
        found = [one.at(Release.parse(release)) for one in found if one.span.covers(Release.parse(release))]
    inner = {id(part) for one in found for part in _parts(one)}
    described = map(as_description, (one for one in found if id(one) not in inner))
    knows = frozenset(Knows) - {Knows.MEMORY, Knows.SECTIONS}
    return Schema(given.text, Origin.DECLARATIONS, labelled(described), knows, release or None)


def _parts(one: VMStateDescription) -> Iterable[VMStateDescription]:
    yield from one.subsections
    for field in one.fields:
        yield from (vmsd for vmsd in (field.vmsd, field.key) if vmsd is not None)


def _binary(given: Given) -> Schema:
    from vmstate.binaries import schema_of_binary

    return schema_of_binary(given.path)[0]


def _is_record(given: Given) -> bool:
    from vmstate.records.record import is_record

    return is_record(given.path)


def _record(given: Given) -> Schema:
    from vmstate.records.record import read_record

    schema = read_record(given.path).schema
    if schema is None:
        raise ConfigurationError(f"{given.text}: the record has no descriptions")
    return replace(schema, source=given.text)


def _schema_json(given: Given) -> Schema:
    return schema_from_json(given.path.read_bytes())


def _dump(given: Given) -> Schema:
    return schema_of_dump(given.path.read_bytes(), given.text)


def _is_vmdesc(given: Given) -> bool:
    from vmstate.schema.from_stream import is_vmdesc

    return is_vmdesc(given.json)


def _vmdesc(given: Given) -> Schema:
    from vmstate.schema.from_stream import schema_of_vmdesc

    return schema_of_vmdesc(given.path.read_bytes(), given.text)


def _stream(given: Given) -> Schema:
    from vmstate.front.opening import open_stream_file
    from vmstate.schema.from_stream import schema_of_stream

    try:
        with open_stream_file(given.text) as opened:
            return schema_of_stream(opened.stream, given.text)
    except StreamError as why:
        raise ConfigurationError(f"{given.text}: {why}") from None


#: The known kinds of sources; a stream is the last resort, as it may be in any container.
READERS: tuple[Reader, ...] = (
    Reader("a release (pseries@7.2)", _is_release, _release),
    Reader("a Python file of declarations", _is_python, _python),
    Reader("a qemu-system program", lambda given: given.head.startswith(b"\x7fELF"), _binary),
    Reader("a record", _is_record, _record),
    Reader("a schema in JSON", lambda given: is_schema(given.json), _schema_json),
    Reader("a vmdesc", _is_vmdesc, _vmdesc),
    Reader("the output of -dump-vmstate", lambda given: is_dump(given.json), _dump),
    Reader("a stream", lambda given: given.path.is_file(), _stream),
)
