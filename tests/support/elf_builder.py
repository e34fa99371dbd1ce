"""Programs made from schemas: ELF files that have the descriptions of a schema as QEMU's structs.

How the structs look, for which host, and how pointers are stored is the test's choice, so that reading can be
checked against layouts that no release has.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmstate.binaries.elf import RELATIVE
from vmstate.describe import Priority
from vmstate.schema import Description, Schema, SchemaField

CODE, TEXT, DATA = 0x400000, 0x800000, 0xC00000
_MACHINES = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_PPC64": 21, "EM_S390": 22}
_DT = {"rela": 7, "relasz": 8, "relr": 36, "relrsz": 35}
_OLD_HOOKS = ("pre_load", "post_load", "pre_save", "post_save", "needed", "dev_unplug_pending")
_NEW_HOOKS = (
    *("pre_load", "pre_load_errp", "post_load", "post_load_errp", "pre_save", "pre_save_errp"),
    *("post_save", "needed", "dev_unplug_pending"),
)


@dataclass(frozen=True)
class Shape:
    """How structs look: the members in order (``*`` pointers, ``8`` and ``4`` bytes), numbers, flags."""

    field: tuple[str, ...]
    description: tuple[str, ...]
    pair: int = 1  # the words before a type's functions
    end: int = 0
    pci_bus: int = 2
    paired: bool = False


_OLD_FIELD = (
    *("name*", "err_hint*", "offset8", "size8", "start8", "num4", "pad4", "num_offset8", "size_offset8"),
    *("info*", "flags4", "pad4", "vmsd*", "version4", "struct_version4", "exists*"),
)
SHAPES = {
    "5.2": Shape(
        _OLD_FIELD,
        (
            *("name*", "unmigratable4", "version4", "minimum4", "minimum_old4", "priority4", "pad4"),
            *("load_state_old*", *(f"{hook}*" for hook in _OLD_HOOKS), "fields*", "subsections*"),
        ),
    ),
    "7.2": Shape(
        _OLD_FIELD,
        (
            *("name*", "unmigratable4", "version4", "minimum4", "priority4"),
            *(*(f"{hook}*" for hook in _OLD_HOOKS), "fields*", "subsections*"),
        ),
        end=0x10000,
    ),
    "11.1": Shape(
        (
            *("name*", "offset8", "size8", "size_offset8", "num_offset8", "start8", "num4", "pad4", "info*"),
            *("flags4", "pad4", "vmsd*", "version4", "struct_version4", "exists*"),
        ),
        (
            *("name*", "flag_bytes4", "version4", "minimum4", "priority4"),
            *(*(f"{hook}*" for hook in _NEW_HOOKS), "fields*", "subsections*"),
        ),
        pair=3,
        end=0x20000,
        pci_bus=4,
        paired=True,
    ),
    "of no release": Shape(
        (
            *("name*", "flags4", "version4", "vmsd*", "exists*", "num4", "struct_version4", "size_offset8"),
            *("num_offset8", "info*", "start8", "size8", "offset8", "spare8"),
        ),
        (
            *("name*", "flag_bytes4", "version4", "minimum4", "priority4"),
            *(*(f"{hook}*" for hook in _NEW_HOOKS), "fields*", "subsections*"),
        ),
        pair=2,
        end=0x40000,
        pci_bus=6,
    ),
}


class Program:
    """A program while it is laid out; ``style`` is ``rela``, ``relr`` or ``fixed``."""

    def __init__(
        self, shape: Shape, machine: str = "EM_X86_64", order: str = "<", style: str = "rela"
    ) -> None:
        self.shape, self.machine, self.order, self.style = shape, machine, order, style
        self.text, self.data = bytearray(b"\0" * 16), bytearray(b"\0" * 16)
        self.pointers: dict[int, int] = {}
        self.code = CODE
        self._strings: dict[str, int] = {}
        self._infos: dict[str, int] = {}
        self._done: dict[int, tuple[int, Description]] = {}

    def string(self, text: str) -> int:
        if text not in self._strings:
            self._strings[text] = TEXT + len(self.text)
            self.text += text.encode() + b"\0"
        return self._strings[text]

    def function(self) -> int:
        self.code += 16
        return self.code

    def struct(self, members: tuple[str, ...], values: dict[str, int], at: int | None = None) -> int:
        """Write a struct, and return its address; pointers that are 0 are null."""
        if at is None:
            self.data += b"\0" * (-len(self.data) % 8)
            at = len(self.data)
            self.data += bytes(self.size(members))
        here = at
        for member in members:
            name, kind = member[:-1], member[-1]
            width = 4 if kind == "4" else 8
            value = values.get(name, 0)
            if kind == "*" and value:
                self.pointers[here] = value
            elif width == 8 and self.shape.paired and name in {"num_offset", "size_offset"} and value:
                self.data[here : here + 8] = struct.pack(f"{self.order}II", value, 4)
            elif kind != "*":
                self.data[here : here + width] = (value % (1 << 8 * width)).to_bytes(width, self._endian)
            here += width
        return DATA + at

    @property
    def _endian(self) -> str:
        return "little" if self.order == "<" else "big"

    @staticmethod
    def size(members: tuple[str, ...]) -> int:
        return sum(4 if member[-1] == "4" else 8 for member in members)

    def info(self, name: str) -> int:
        if name not in self._infos:
            before = tuple(f"none{i}*" for i in range(1, self.shape.pair))
            values = {"name": self.string(name), "get": self.function(), "put": self.function()}
            self._infos[name] = self.struct(("name*", *before, "get*", "put*"), values)
        return self._infos[name]

    def description(self, one: Description, at: int | None = None) -> int:
        """Write a description with all that it refers to, once, and return its address."""
        if at is None and id(one) in self._done:
            return self._done[id(one)][0]
        hooks = {*one.hooks, *(("needed",) if one.conditional else ())}
        listed = 0
        if one.subsections:
            inner = [self.description(sub) for sub in one.subsections]
            values = {f"sub{i}": address for i, address in enumerate(inner)}
            listed = self.struct((*(f"sub{i}*" for i in range(len(inner))), "end*"), values)
        flags = (one.unmigratable, one.early_setup, 0, 0)
        values = {
            "name": self.string(one.name),
            "unmigratable": int(one.unmigratable),
            "flag_bytes": int.from_bytes(bytes(flags), self._endian),
            "version": one.version_id,
            "minimum": one.minimum_version_id or 0,
            "priority": one.priority + self.shape.pci_bus - Priority.PCI_BUS if one.priority else 0,
            **{hook: self.function() for hook in sorted(hooks)},
            "fields": self.fields(one.fields),
            "subsections": listed,
        }
        address = self.struct(self.shape.description, values, at)
        self._done[id(one)] = (address, one)
        return address

    def fields(self, fields: tuple[SchemaField, ...]) -> int:
        """Write a list of fields and its end."""
        if not fields:  # nothing to relocate: such a list is among the constants
            self.text += b"\0" * (-len(self.text) % 8)
            at, before = len(self.text), len(self.data)
            self.struct(self.shape.field, {"flags": self.shape.end})
            self.text += self.data[-self.size(self.shape.field) :]
            del self.data[before:]
            return TEXT + at
        rows = [self._row(field) for field in fields]
        first = 0
        for row in (*rows, {"flags": self.shape.end}):
            address = self.struct(self.shape.field, row)
            first = first or address
        return first

    def _row(self, one: SchemaField) -> dict[str, int]:
        facts = one.facts
        assert facts is not None
        flags = facts.flags or 0
        return {
            "name": self.string(one.name),
            "offset": facts.offset or 0,
            "size": facts.size or 0,
            "start": facts.start or 0,
            "num": facts.num or 0,
            "num_offset": facts.num_offset or 0,
            "size_offset": facts.size_offset or 0,
            "flags": flags,
            "version": one.version_id,
            "struct_version": one.struct_version or 0,
            "info": 0 if one.kind in {"struct", "vstruct"} or one.must_exist else self.info(one.kind or ""),
            "vmsd": self._vmsd(one),
            "exists": self.function() if one.conditional or one.must_exist else 0,
        }

    def _vmsd(self, one: SchemaField) -> int:
        if one.vmsd is None:
            return 0
        if not one.vmsd.name:  # a stub: nothing but zeros, among the constants
            self.text += b"\0" * (-len(self.text) % 8 + self.size(self.shape.description))
            return TEXT + len(self.text) - self.size(self.shape.description)
        if one.key is None:
            return self.description(one.vmsd)
        size = self.size(self.shape.description)
        self.data += b"\0" * (-len(self.data) % 8)
        at = len(self.data)
        self.data += bytes(2 * size)
        address = self.description(one.vmsd, at)
        self.description(one.key, at + size)
        return address

    def build(self) -> bytes:
        """Return the ELF file: three segments, and a dynamic section if there are relocations."""
        order, tables, dynamic = self.order, b"", b""
        at = DATA + len(self.data) + -len(self.data) % 8
        self.data += b"\0" * (-len(self.data) % 8)
        places = sorted(self.pointers)
        for place in places:
            if self.style != "rela":
                self.data[place : place + 8] = struct.pack(f"{order}Q", self.pointers[place])
        if self.style == "rela":
            kind = RELATIVE[self.machine]
            tables = b"".join(struct.pack(f"{order}QQQ", DATA + p, kind, self.pointers[p]) for p in places)
        elif self.style == "relr":
            tables = packed([DATA + place for place in places], order)
        if tables:
            tags = [(_DT[self.style], at), (_DT[f"{self.style}sz"], len(tables)), (0, 0)]
            dynamic = b"".join(struct.pack(f"{order}QQ", *tag) for tag in tags)
        data = bytes(self.data) + tables + dynamic
        return self._file(data, DATA + len(data) - len(dynamic), len(dynamic))

    def _file(self, data: bytes, dynamic: int, size: int) -> bytes:
        order = self.order
        code = b"\xcc" * (self.code + 16 - CODE)
        parts = [(5, CODE, code), (4, TEXT, bytes(self.text)), (6, DATA, data)]
        heads, body, offset = b"", b"", 0x1000
        for flags, address, raw in parts:
            heads += struct.pack(
                f"{order}IIQQQQQQ", 1, flags, offset, address, address, len(raw), len(raw), 8
            )
            body += raw + bytes(-len(raw) % 8)
            offset += len(raw) + -len(raw) % 8
        if size:
            place = 0x1000 + len(body) - size - -len(data) % 8
            heads += struct.pack(f"{order}IIQQQQQQ", 2, 6, place, dynamic, dynamic, size, size, 8)
        kind = 2 if self.style == "fixed" else 3
        ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
        count = len(heads) // 56
        head = struct.pack(
            f"{order}HHIQQQIHHHHHH", kind, _MACHINES[self.machine], 1, 0, 64, 0, 0, 64, 56, count, 64, 0, 0
        )
        return (ident + head + heads).ljust(0x1000, b"\0") + body


def packed(addresses: list[int], order: str) -> bytes:
    """Return a table of DT_RELR: an address, then bitmaps of the 63 words that follow it."""
    entries: list[int] = []
    rest = addresses[::-1]
    while rest:
        entries.append(rest.pop())
        base = entries[-1] + 8
        while True:
            bits = 0
            while rest and rest[-1] - base < 63 * 8:
                bits |= 2 << (rest.pop() - base) // 8
            if not bits:
                break
            entries.append(bits | 1)
            base += 63 * 8
    return b"".join(struct.pack(f"{order}Q", entry) for entry in entries)


def program(
    schema: Schema, shape: Shape, machine: str = "EM_X86_64", order: str = "<", style: str = "rela"
) -> bytes:
    """Return a program with the descriptions of a schema, and the wire types that every QEMU has."""
    made = Program(shape, machine, order, style)
    for name in ("unused_buffer", "int32 equal", "uint32 equal", "uint8 equal", "uint16 equal", "int32 le"):
        made.info(name)
    for one in schema.descriptions.values():
        made.description(one)
    return made.build()
