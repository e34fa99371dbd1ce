"""``schema_of_binary``: the descriptions in a program and its modules as a schema."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from vmstate.binaries import field_layout as vms
from vmstate.binaries.description_layout import NEEDED, DescriptionLayout, find_descriptions
from vmstate.binaries.elf import WORD, Elf
from vmstate.binaries.field_layout import FieldLayout, find_layout, stride_and_info
from vmstate.binaries.image import Image
from vmstate.binaries.infos import Infos, find_infos
from vmstate.dataclass import dataclass
from vmstate.describe import Priority
from vmstate.describe.infos import SCALARS
from vmstate.schema import Description, DescriptionFacts, FieldFacts, Knows, Origin, Schema, SchemaField
from vmstate.schema.fitting import NAMED_LATER
from vmstate.schema.model import labelled

_KNOWS = frozenset({Knows.TYPES, Knows.COUNTS, Knows.CONDITIONS, Knows.VERSIONS, Knows.UNSENT, Knows.MEMORY})
_DEPTH = 64
_VERSION = b"QEMU emulator version "
_WIDTHS = {name: info.width for name, info in SCALARS.items()} | {"nullptr": 1, "ptr-marker": 1}
_BUFFERS = {"buffer", "unused_buffer"}
_BY_SIZE_OFFSET = _BUFFERS | {"bitmap"}
_COUNT_BYTES = ((vms.VARRAY_UINT8, 1), (vms.VARRAY_UINT16, 2), (vms.VARRAY_UINT32, 4), (vms.VARRAY_INT32, 4))


@dataclass(frozen=True)
class Layouts:
    """How a program lays out the structs, as far as it was found out (``vmstate describe`` shows it)."""

    host: str
    field: FieldLayout
    description: DescriptionLayout


def schema_of_binary(
    path: str | os.PathLike[str], modules: Sequence[str | os.PathLike[str]] = ()
) -> tuple[Schema, Layouts]:
    """Read the descriptions of a program, and of modules that it can load.

    Raises ConfigurationError if a file is not a program for a host that is known, or not understood.
    """
    image = Image([Elf(each) for each in (path, *modules)])
    infos = find_infos(image)
    stride, info, starts = stride_and_info(image, infos)
    fields, pointer = find_layout(image, infos, stride, info, starts)
    descriptions, places = find_descriptions(image, infos, fields, pointer)
    reader = _Reader(image, infos, fields, descriptions)
    found = reader.all(places.tolist())
    name = os.path.basename(path)  # noqa: PTH119 - a path or a string
    schema = Schema(
        name,
        Origin.BINARY,
        MappingProxyType(labelled(iter(found))),
        _KNOWS,
        qemu=_release(image.elfs[0]),
        target=name.removeprefix("qemu-system-") if name.startswith("qemu-system-") else None,
        notes=tuple(reader.notes),
    )
    return schema, Layouts(image.elfs[0].host, fields, descriptions)


def _release(elf: Elf) -> str | None:
    """Return the release that a program says it is of, with ``-version``."""
    at = elf.contents.find(_VERSION, 0)
    if at < 0:
        return None
    text = elf.contents[at + len(_VERSION) : at + len(_VERSION) + 32].split()
    number = text[0].decode("ascii", "replace") if text else ""
    return number if number and all(part.isdigit() for part in number.split(".")) else None


@dataclass(frozen=True)
class _Row:
    """A VMStateField as its members are."""

    place: int
    name: str
    offset: int
    size: int
    num: int
    flags: int
    kind: str
    vmsd: int
    exists: int
    version_id: int

    def has(self, flags: int) -> bool:
        return bool(self.flags & flags)

    @property
    def embeds(self) -> bool:
        """True if ``size`` is that of a struct, and never that of a pointer to one."""
        pointer = self.has(vms.ARRAY_OF_POINTER) or (self.has(vms.POINTER) and not self.has(vms.VARRAY))
        return self.has(vms.STRUCT | vms.VSTRUCT) and not pointer


class _Reader:
    """Reads descriptions by their places."""

    def __init__(
        self, image: Image, infos: Infos, fields: FieldLayout, descriptions: DescriptionLayout
    ) -> None:
        self.image, self.infos = image, infos
        self.layout, self.outer = fields, descriptions
        self.notes: list[str] = []
        self._rows: dict[int, list[_Row]] = {}
        self._read: dict[tuple[int, int], Description] = {}
        self._reading: set[int] = set()
        self._sizes: dict[int, int] = {}
        for unknown in fields.unknown:
            self.notes.append(f"4 bytes of each VMStateField, from byte {unknown} on, are not understood")

    def all(self, places: list[int]) -> list[Description]:
        """Return all descriptions but those that are subsections only, in an order free of addresses."""
        inner: set[int] = set()
        nested: set[int] = set()
        queue, known = list(places), set(places)
        while queue:
            place = queue.pop()
            subsections = self._subsections(place)
            inner.update(subsections)
            structs = [row.vmsd for row in self.rows(place) if row.vmsd]
            for row in self.rows(place):
                if row.vmsd and row.embeds:
                    self._sizes[row.vmsd] = max(self._sizes.get(row.vmsd, 0), row.size)
            nested.update(structs)
            fresh = [one for one in (*subsections, *structs) if one not in known]
            known.update(fresh)
            queue += fresh
        sections = [place for place in known if place not in inner or place in nested]
        distinct: dict[tuple[str, tuple[object, ...]], Description] = {}
        for place in sorted(sections):
            one = self.description(place)
            distinct.setdefault((one.name, _content(one)), one)
        return [distinct[key] for key in sorted(distinct)]

    def description(self, place: int, parent: int = 0, depth: int = _DEPTH) -> Description:
        """Return the description at a place; ``parent``: the one of which it is a subsection."""
        key = (place, parent)
        if key not in self._read:
            if place in self._reading or not depth:
                name = self._text(place)
                self.notes.append(f"{name} contains itself; it is read without fields there")
                return Description(name, opaque=True)
            self._reading.add(place)
            self._read[key] = self._description(place, parent, depth)
            self._reading.discard(place)
        return self._read[key]

    def _description(self, place: int, parent: int, depth: int) -> Description:
        image, outer = self.image, self.outer
        scope = [*self.rows(place), *(self.rows(parent) if parent else ())]
        hooks = [
            (name, int(image.points[place + word])) for name, word in outer.hooks if image.code[place + word]
        ]
        symbols = [(name, symbol) for name, address in hooks if (symbol := image.symbol(address))]
        flags = self._flags(place)
        return Description(
            self._text(place),
            int(image.halves[2 * place + outer.version_id]),
            int(image.halves[2 * place + outer.minimum_version_id]),
            tuple(self._field(row, scope, depth) for row in self.rows(place)),
            tuple(self.description(sub, place, depth - 1) for sub in self._subsections(place)),
            conditional=any(name == NEEDED for name, _ in hooks),
            unmigratable=flags[0],
            early_setup=flags[1],
            priority=self._priority(place),
            hooks=tuple(name for name, _ in hooks if name != NEEDED),
            facts=DescriptionFacts(
                self._sizes.get(place), image.symbol(image.address(place)) or None, tuple(symbols)
            ),
        )

    def _flags(self, place: int) -> tuple[bool, bool]:
        if not self.outer.flag_bytes:
            return bool(self.image.halves[2 * place + 2]), False
        return bool(self.image.raw[8 * place + 8]), bool(self.image.raw[8 * place + 9])

    def _priority(self, place: int) -> int:
        """Return the priority in the numbers of :class:`vmstate.describe.Priority`."""
        if self.outer.priority is None:
            return int(Priority.DEFAULT)
        own = int(self.image.halves[2 * place + self.outer.priority])
        shift = self.outer.pci_bus - Priority.PCI_BUS
        return own - shift if own else int(Priority.DEFAULT)

    def _text(self, place: int) -> str:
        return self.image.text(int(self.image.points[place])) or NAMED_LATER

    def _subsections(self, place: int) -> list[int]:
        listed = int(self.image.target[place + self.outer.subsections])
        found: list[int] = []
        while listed and self.image.target[listed] and len(found) < vms.MOST_FIELDS:
            found.append(int(self.image.target[listed]))
            listed += 1
        return found

    def rows(self, place: int) -> list[_Row]:
        """Return the fields of a description."""
        if place not in self._rows:
            self._rows[place] = list(self._list(int(self.image.target[place + self.outer.fields])))
        return self._rows[place]

    def _list(self, here: int) -> Iterator[_Row]:
        image, at = self.image, self.layout
        for _ in range(vms.MOST_FIELDS):
            if not here or not image.points[here] or image.code[here] or here + at.stride > image.size:
                return
            kind = int(image.target[here + at.info])
            flags = int(image.halves[2 * here + at.flags])
            exists = int(image.points[here + at.exists]) if at.exists is not None else 0
            yield _Row(
                here,
                self._text(here),
                int(image.words[here + at.offset]),
                int(image.words[here + at.size]),
                int(image.halves[2 * here + at.num]),
                flags,
                self._kind(kind, flags),
                int(image.target[here + at.vmsd]),
                exists,
                int(image.halves[2 * here + at.version_id]),
            )
            here += at.stride

    def _kind(self, info: int, flags: int) -> str:
        """Return a wire type's name as QEMU writes it into the vmdesc (vmfield_get_type_name)."""
        if flags & vms.STRUCT:
            return "struct"
        if flags & vms.VSTRUCT:
            return "vstruct"
        if not info:
            return "buffer"  # a check without bytes
        if info not in self.infos.names:
            self.infos.names[info] = self._text(info)
        return self.infos.names[info]

    def _field(self, row: _Row, scope: list[_Row], depth: int) -> SchemaField:
        at, must_exist = self.layout, row.has(vms.MUST_EXIST)
        num_offset, size_offset = self._offset_of(row, at.num_offset), self._offset_of(row, at.size_offset)
        start = int(self.image.words[row.place + at.start]) if at.start is not None else None
        count, factor = self._count(row, scope, num_offset)
        size, multiply = self._size(row, scope, size_offset)
        version = at.struct_version_id
        keyed = row.kind == "gtree" and start and row.vmsd
        return SchemaField(
            row.name,
            row.kind,
            row.version_id,
            0 if must_exist else size,
            count,
            multiply=factor * multiply,
            pointers=row.has(vms.ARRAY_OF_POINTER),
            marked=row.has(vms.AUTO_ALLOC & ~at.end),
            allocated=row.has(vms.ALLOC),
            conditional=bool(row.exists) and not must_exist,
            must_exist=must_exist,
            struct_version=(int(self.image.halves[2 * row.place + version]) if version is not None else 0)
            if row.has(vms.VSTRUCT)
            else None,
            vmsd=self._inner(row, depth - 1),
            key=self.description(row.vmsd + self.outer.words, depth=depth - 1) if keyed else None,
            facts=FieldFacts(
                row.offset,
                row.size,
                row.num,
                start,
                num_offset,
                size_offset,
                row.flags,
                self.image.symbol(row.exists) or None if row.exists else None,
                self.image.symbol(int(self.image.points[row.place + at.info])) or None,
            ),
        )

    def _inner(self, row: _Row, depth: int) -> Description | None:
        """Return the description of a field's elements, which is empty for a stub (ramfb-stubs.c)."""
        if row.vmsd:
            return self.description(row.vmsd, depth=depth)
        address = int(self.image.points[row.place + self.layout.vmsd])
        if not address:
            return None
        if any(self.image.bytes_at(address, self.outer.words * WORD)):
            self.notes.append(f"{row.name}: its description was not understood")
            return None
        return Description("")

    def _offset_of(self, row: _Row, word: int | None) -> int | None:
        """Return where in its struct the state has a count or a size."""
        if word is None:
            return None
        if self.layout.paired:
            return int(self.image.halves[2 * (row.place + word)])
        return int(self.image.words[row.place + word])

    @staticmethod
    def _count(row: _Row, scope: list[_Row], offset: int | None) -> tuple[int | str | None, int]:
        """Return the count of elements, or the name of the field that has it, and a factor."""
        for flag, width in _COUNT_BYTES:
            if row.has(flag):
                factor = row.num if row.has(vms.MULTIPLY_ELEMENTS) else 1
                return _source(scope, offset, width), factor
        return (row.num if row.has(vms.ARRAY) else None), 1

    def _size(self, row: _Row, scope: list[_Row], offset: int | None) -> tuple[int | str | None, int]:
        """Return the bytes of an element, or the name of the field that has their number, and a factor."""
        if row.kind in _WIDTHS:
            return _WIDTHS[row.kind], 1
        if row.kind not in _BY_SIZE_OFFSET:
            return None, 1
        if row.has(vms.VBUFFER):
            return _source(scope, offset, None), row.size if row.has(vms.MULTIPLY) else 1
        return (row.size if row.kind in _BUFFERS else None), 1


def _source(scope: list[_Row], offset: int | None, width: int | None) -> str:
    """Return the name of the field at an offset of the struct; "" if nothing there is sent."""
    near = [
        row for row in scope if row.offset == offset and not row.vmsd and not row.has(vms.ARRAY | vms.VARRAY)
    ]
    fitting = [row for row in near if _WIDTHS.get(row.kind) == width]
    return (fitting or near)[0].name if near else ""


def _content(one: Description) -> tuple[object, ...]:
    return (one.version_id, len(one.fields), *((f.name, f.kind or "", f.version_id) for f in one.fields))
