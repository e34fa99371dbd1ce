"""The model: descriptions by name, each with its wire layout and, where known, the facts of its C structs.

A schema says what its source can know (:class:`Knows`): a stream's vmdesc has only what was sent, and QEMU's
``-dump-vmstate`` has no types.  Something that a source does not know is never taken for a difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from vmstate.dataclass import dataclass, field

DEFAULT_PRIORITY = 0


#: A default that a machine type sets for a property of a device: driver, property, value (GlobalProperty).
CompatProperty = tuple[str, str, str]


class Origin(StrEnum):
    """The kind of source that a schema was read from."""

    BINARY = "binary"
    DUMP = "dump-vmstate"
    STREAM = "stream"
    RELEASE = "release"
    DECLARATIONS = "declarations"
    RECORD = "record"


class Knows(StrEnum):
    """One thing that a source may know about every description that it has.

    ``types``: the wire type of each field.  ``counts``: which arrays have a fixed length, and which are
    counted by a field.  ``conditions``: which fields and subsections are sent only under a condition.
    ``versions``: the versions of fields, and minimum versions.  ``unsent``: fields and subsections that one
    state does not send.  ``sections``: every section that the source can send, those written by hand too.
    ``memory``: offsets and sizes in the C structs.
    """

    TYPES = "types"
    COUNTS = "counts"
    CONDITIONS = "conditions"
    VERSIONS = "versions"
    UNSENT = "unsent"
    SECTIONS = "sections"
    MEMORY = "memory"


@dataclass(frozen=True)
class FieldFacts:
    """A VMStateField as it is in memory; sizes and offsets in bytes, None where not known.

    ``size``, ``num``, ``start``: the members of these names.  ``num_offset``, ``size_offset``: where the
    count and the size of a variable field are.  ``flags``: VMS_* bits as QEMU has them.  ``exists``,
    ``info``: the symbols behind ``field_exists`` and ``info``.
    """

    offset: int | None = None
    size: int | None = None
    num: int | None = None
    start: int | None = None
    num_offset: int | None = None
    size_offset: int | None = None
    flags: int | None = None
    exists: str | None = None
    info: str | None = None


@dataclass(frozen=True)
class DescriptionFacts:
    """A VMStateDescription as it is in memory.

    ``struct_size``: the bytes of the C struct, known from a field that embeds it.  ``symbol``: its name in
    the program.  ``hooks``: the symbols of its hooks, by the names of the members.
    """

    struct_size: int | None = None
    symbol: str | None = None
    hooks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class SchemaField:
    """One field as it is on the wire.

    ``kind``: the wire type by its name in a vmdesc (``uint32``, ``struct``, ``qtailq``), None if not known.
    ``count``: None for a single element, a number for an array, the name of the field that counts a variable
    one ("" if it is not known which).  ``size``: bytes of each element on the wire; the name of the field
    that gives them, or "" for one not known; None if only code knows (a hand-written type, a struct).
    ``multiply``: a factor on a count or size from a field.  ``start``: the first element that is sent.
    ``pointers``: elements may be null; ``marked``: each has a marker (VMS_ARRAY_OF_POINTER_AUTO_ALLOC).
    ``allocated``: the destination allocates it.  ``conditional``: it has a ``field_exists``; ``must_exist``:
    that is a check, and there are no bytes.  ``vmsd``, ``key``: what elements and keys of a tree consist of.
    """

    name: str
    kind: str | None
    version_id: int = 0
    size: int | str | None = None
    count: int | str | None = None
    multiply: int = 1
    start: int = 0
    pointers: bool = False
    marked: bool = False
    allocated: bool = False
    conditional: bool = False
    must_exist: bool = False
    struct_version: int | None = None
    vmsd: Description | None = None
    key: Description | None = None
    facts: FieldFacts | None = None


@dataclass(frozen=True)
class Description:
    """A VMStateDescription by value.

    ``minimum_version_id`` is None where the source does not know it.  ``conditional``: it has a ``needed``.
    ``hooks``: the names of the hooks that it has.  ``opaque``: a section that C code writes by hand; there
    are no fields to compare.
    """

    name: str
    version_id: int = 0
    minimum_version_id: int | None = None
    fields: tuple[SchemaField, ...] = ()
    subsections: tuple[Description, ...] = ()
    conditional: bool = False
    unmigratable: bool = False
    early_setup: bool = False
    priority: int = DEFAULT_PRIORITY
    hooks: tuple[str, ...] = ()
    opaque: bool = False
    facts: DescriptionFacts | None = None

    def inner(self) -> Iterator[Description]:
        """Yield the descriptions that fields and subsections name, directly."""
        for one in self.fields:
            yield from (vmsd for vmsd in (one.key, one.vmsd) if vmsd is not None)
        yield from self.subsections


@dataclass(frozen=True)
class Schema:
    """The descriptions of one source, by label.

    Labels are what the source calls them: sections of a stream, device types of ``-dump-vmstate``, names of
    descriptions elsewhere; a second one of the same name has ``#2`` behind it.  ``source``: words for people.
    ``qemu``, ``machine``, ``target``: the release, the machine type and the architecture, if known.
    ``notes``: what could not be read, one sentence each.  ``machines``: the compat
    properties (driver, property, value) of each machine type, newest type first.  ``capabilities``: the
    subsections that must be sent, one for each capability of the machine.
    """

    source: str
    origin: Origin
    descriptions: Mapping[str, Description] = field(default_factory=lambda: MappingProxyType({}))
    knows: frozenset[Knows] = frozenset()
    qemu: str | None = None
    machine: str | None = None
    target: str | None = None
    notes: tuple[str, ...] = ()
    machines: Mapping[str, tuple[CompatProperty, ...]] = field(default_factory=lambda: MappingProxyType({}))
    capabilities: tuple[str, ...] = ()

    @property
    def in_use(self) -> bool:
        """True if a machine has every section of the schema: it was sent."""
        return self.origin is Origin.STREAM


def labelled(descriptions: Iterator[Description]) -> dict[str, Description]:
    """Return descriptions by their names, and by ``NAME#2`` and so on where several have one."""
    found: dict[str, Description] = {}
    for one in descriptions:
        label, nth = one.name, 1
        while label in found:
            nth += 1
            label = f"{one.name}#{nth}"
        found[label] = one
    return found
