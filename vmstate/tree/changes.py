"""Changes to a stream by path: fields set, subsections and sections removed and added.

Everything that depends on a change is updated: lengths of texts and packages, counts, the entries of the
vmdesc.  Every other byte stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import Node
from vmstate.describe.vmdesc import Style
from vmstate.describe.words import Meanings
from vmstate.errors import StreamError, Unsupported
from vmstate.stream import writer
from vmstate.stream.constants import SectionType
from vmstate.stream.edit import Bytes, Edit
from vmstate.stream.items import EndOfStates, Section
from vmstate.stream.reader import flat
from vmstate.stream.vmdesc.edit import replace_devices
from vmstate.stream.vmdesc.entry_edit import EntryText, configuration_text, with_configuration
from vmstate.tree.additions import Addition, Declaring, declared_subsections, raw_addition
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import is_open, taken_apart
from vmstate.tree.paths import PathError, Place, find, find_one
from vmstate.tree.recount import common, counted_by, recount
from vmstate.tree.values import bytes_of_value

_BITS = 32
_INSTANCE = re.compile(r"(?P<idstr>.+?)(?:\[(?P<number>0[xX][0-9a-fA-F]+|\d+)\])?", re.DOTALL)

ToBytes = Callable[[Place, Any, Meanings | None], bytes]
"""Turns a field's new value into its bytes: :func:`bytes_of_value` or :func:`bytes_of_text`."""


@dataclass
class _Pending:
    """A subsection that is being added: its place, and its declaration or bytes."""

    owner: Place
    declaring: Declaring | None = None
    raw: Addition | None = None


class Changes:
    """Changes to a stream, applied when :meth:`chunks` is called.

    Raises EncodeError for a value that does not fit, PathError for a path that leads nowhere.
    """

    def __init__(self, contents: Contents, meanings: Meanings | None = None) -> None:
        self.contents = contents
        self.meanings = meanings
        self.edit = Edit(contents.stream)
        self._entries: dict[int, EntryText | None] = {}
        self._configuration: EntryText | None = None
        self._inserted: list[bytes] = []
        self._pending: dict[str, _Pending] = {}
        self._next_id = 0

    @property
    def plain(self) -> bool:
        """True if every change so far replaces bytes by as many others, and nothing depends on it."""
        follows = self._entries or self._configuration or self._inserted or self._pending
        return not follows and len(self.edit) == len(self.contents.stream.data)

    # ---- setting

    def set(self, path: str, value: Any, to_bytes: ToBytes = bytes_of_value) -> Place:
        """Give a field another value, as :func:`bytes_of_value` takes it; returns the field's place."""
        place = self._field(path)
        self._replace(place, to_bytes(place, value, self.meanings))
        return place

    def _field(self, path: str) -> Place:
        """Return the place of a field that can be set; PathError for anything else."""
        place = find_one(self.contents, path)
        node = place.node
        if is_open(node) and not taken_apart(node):
            inside = ", ".join(child.name for child in node.children[:6])
            raise PathError(f"{path} is not a field; it holds {inside}")
        if node.kind in ("opaque", "pages"):
            raise PathError(f"{path} has no value that could be set")
        return place

    def _replace(self, place: Place, raw: bytes) -> None:
        """Put ``raw`` in the place of a field, and change the lengths, counts and names that depend on it."""
        node = place.node
        if isinstance(node.value, int) and self._set_count(place, int.from_bytes(raw, "big")):
            return
        self.edit.replace(node.start, node.end, raw)
        if node.type == "text" and len(place.chain) > 1:
            self._set_length(place, len(raw))
        self._describe_ids(place, raw)

    def _set_count(self, place: Place, value: int) -> bool:
        """Resize what a field counts; return False if it counts nothing."""
        known = counted_by(self.contents, place)
        if known is None:
            return False
        decoded, field, users = known
        section = decoded.section
        index = self.contents.entries.index.get(section.start)
        if index is not None and index in self._entries:
            raise Unsupported(f"{place.path}: change the count before anything else of {section}")
        new = recount(self.contents, decoded, field, users, value)
        self._replace_differing(section, new.payload)
        if index is not None and new.entry is not None:
            self._entries[index] = EntryText(new.entry)
        return True

    def replace_payload(self, section: Section, payload: bytes, entry: bytes | None) -> None:
        """Give a section another payload; ``entry``: its description in the vmdesc from now on."""
        self._replace_differing(section, payload)
        index = self.contents.entries.index.get(section.start)
        if index is not None:
            self._entries[index] = None if entry is None else EntryText(entry)

    def _replace_differing(self, section: Section, payload: bytes) -> None:
        """Replace the part of a payload between its first and last difference."""
        old = bytes(self.contents.stream.payload(section))
        first = common(old, payload)
        last = common(old[first:][::-1], payload[first:][::-1])
        start, end = section.payload_start + first, section.payload_end - last
        self.edit.replace(start, end, payload[first : len(payload) - last])

    def _set_length(self, place: Place, size: int) -> None:
        """Set the number in front of a text, and its size in the vmdesc."""
        before = place.chain[-2].find("len")
        if before is not None:
            self.edit.replace(before.start, before.end, writer.u32(size, "length"))
        entry = self._configuration_entry() if place.chain[0].type == "configuration" else None
        if entry is not None:
            entry.set_size(place.node.name, size)

    def _describe_ids(self, place: Place, raw: bytes) -> None:
        """Set a name, instance or version in the vmdesc too."""
        node, section = place.node, place.section
        if section is None or node.name not in ("idstr", "instance_id", "version_id"):
            return
        around = place.chain[-2]
        if around.kind == "header" and len(place.chain) == 3:
            steps: list[int | str] = []
        elif around.kind == "subsection" and node.kind == "header":
            steps = _steps(place.chain[1:-1], place.chain[0])
        else:
            return
        entry = self._entry(section)
        if entry is None:
            return
        number = int.from_bytes(raw[-4:], "big")
        if node.name == "idstr":
            entry.set_member(steps, "name", raw[1:].decode("utf-8", "surrogateescape"))
        elif node.name == "version_id":
            entry.set_member(steps, "version", number)
        else:
            high = entry.signed and number >> (_BITS - 1)
            entry.set_member(steps, "instance_id", number - (1 << _BITS) if high else number)

    # ---- removing

    def remove(self, path: str) -> None:
        """Remove a section (all its parts), a subsection, a footer, or another item of the stream."""
        place = find_one(self.contents, path)
        node = place.node
        if node.kind == "section" and place.section is not None:
            self._remove_section(place.section)
        elif node.kind in ("subsection", "footer"):
            self.edit.replace(node.start, node.end, b"")
            self._forget(place)
        elif len(place.chain) == 1 and node.kind in ("item", "opaque"):
            self.edit.replace(node.start, node.end, b"")
        else:
            raise PathError(f"{path} cannot be removed: only sections, subsections, footers and items can")

    def _remove_section(self, section: Section) -> None:
        live = section.kind != SectionType.FULL
        for other in self.contents.stream.sections:
            if other is section or (live and other.section_id == section.section_id):
                self.edit.remove(other)
        index = self.contents.entries.index.get(section.start)
        if index is not None:
            self._entries[index] = None

    def _forget(self, place: Place) -> None:
        """Remove a subsection from the vmdesc."""
        node, section = place.node, place.section
        if node.kind != "subsection":
            return
        entry = self._configuration_entry() if section is None else self._entry(section)
        if entry is not None:
            steps = _steps(place.chain[1:], place.chain[0])
            entry.grow(steps[:-1], node.start - node.end)
            entry.remove_subsection(steps[:-1], node.name)

    # ---- adding

    def add(self, path: str, value: Any = None, to_bytes: ToBytes = bytes_of_value) -> None:
        """Add the subsection in a path by its declaration: ``cpu[0]/compat``, all zeros.

        With a ``value`` the path leads to a field (``cpu[0]/compat.compat_pvr``), which gets that value.
        """
        for owner, rest in self._owners(path):
            if self._add_declared(owner, rest, value, to_bytes):
                return
        raise PathError(f"no declaration knows the subsection in {path!r}; NAME@VERSION=BYTES adds any")

    def _owners(self, path: str) -> Iterator[tuple[Place, str]]:
        """Yield the existing beginnings of a path, longest first, each with the rest of the path."""
        for cut in range(len(path) - 1, 0, -1):
            if path[cut] in "./":
                try:
                    places = find(self.contents, path[:cut])
                except PathError:
                    continue
                for place in places:
                    if place.node.kind in ("section", "subsection", "struct") and place.section is not None:
                        yield place, path[cut:]

    def _add_declared(self, owner: Place, rest: str, value: Any, to_bytes: ToBytes) -> bool:
        section = owner.section
        assert section is not None
        owner_name = self._owner_name(owner)
        for pending in self._pending.values():
            if pending.declaring is not None and pending.owner.chain[-1].start == owner.node.start:
                field = _after(rest, pending.declaring.description.name, owner_name)
                if field and value is not None:
                    pending.declaring.set(field, lambda place: to_bytes(place, value, self.meanings))
                    return True
        for declaring in declared_subsections(self.contents, section, owner.chain[1:]):
            name = declaring.description.name
            field = _after(rest, name, owner_name)
            if field is None:
                continue
            if owner.node.find(name) is not None:
                raise PathError(f"{owner.path} has the subsection {name} already: set its fields")
            if field and value is not None:
                declaring.set(field, lambda place: to_bytes(place, value, self.meanings))
            self._pending[f"{owner.path} {name}"] = _Pending(owner, declaring)
            return True
        return False

    def _owner_name(self, owner: Place) -> str:
        if owner.node.kind == "subsection" or owner.section is None:
            return owner.node.name
        return self.contents.decoded(owner.section).root.name

    def add_bytes(self, path: str, version_id: int, payload: bytes) -> None:
        """Add a subsection of nothing but bytes (``cpu[0]/foo``), or a section (``foo[0]``)."""
        parts = _INSTANCE.fullmatch(path)
        if parts is None:
            raise PathError("a section needs a name")
        for owner, rest in self._owners(parts["idstr"]):
            name = f"{self._owner_name(owner)}{rest}" if rest[0] == "/" else rest[1:]
            addition = raw_addition(name, version_id, payload, self._style())
            self._pending[f"{owner.path} {name}"] = _Pending(owner, None, addition)
            return
        self._add_section(parts["idstr"], int(parts["number"] or "0", 0), version_id, payload)

    def _add_section(self, idstr: str, instance: int, version: int, payload: bytes) -> None:
        """Add a device's section in front of the end mark."""
        stream = self.contents.stream
        end = next((i for i in reversed(list(flat(stream.items))) if isinstance(i, EndOfStates)), None)
        if end is None:
            raise StreamError("the stream has no end mark to put a section in front of")
        used = max((s.section_id for s in stream.sections), default=-1)
        self._next_id = max(self._next_id, used + 1)
        footer = stream.footers is not False
        self.edit.insert(
            end.start, writer.full_section(self._next_id, idstr, instance, version, payload, footer)
        )
        self._next_id += 1
        addition = raw_addition(idstr, version, payload, self._style())
        style = self._style()
        ids = f'"name"{style.value[1]}"{idstr}", "instance_id"{style.value[1]}{instance}, '
        opening = "{" + style.value[0]
        self._inserted.append((opening + ids + addition.entry.removeprefix(opening)).encode())

    # ---- the result

    def chunks(self) -> Iterator[Bytes]:
        """Return the changed stream in pieces."""
        for pending in self._pending.values():
            self._insert(pending)
        self._pending.clear()
        text = self._vmdesc()
        if text is not None:
            self.edit.replace_vmdescription(text)
            self._entries.clear()
            self._configuration = None
            self._inserted.clear()
        return self.edit.chunks()

    def _insert(self, pending: _Pending) -> None:
        owner, section = pending.owner, pending.owner.section
        assert section is not None
        addition = pending.raw
        if pending.declaring is not None:
            addition = pending.declaring.made(self._style())
        assert addition is not None
        before = next((n for n in owner.node.children if n.name in addition.following), None)
        at = before.start if before is not None else _end_of(owner.node, section)
        data = addition.encode()
        self.edit.insert(at, data)
        entry = self._entry(section)
        if entry is not None:
            steps = _steps(owner.chain[1:], owner.chain[0])
            entry.grow(steps, len(data))
            entry.add_subsection(steps, addition.entry, before.name if before is not None else None)

    def _vmdesc(self) -> bytes | None:
        """Return the changed vmdesc; None if it stays as it is."""
        entries = self.contents.entries
        changes: dict[int, bytes | None] = {}
        for index, entry in self._entries.items():
            changes[index] = None if entry is None else entry.encode()
        if not entries.text or not (changes or self._inserted or self._configuration):
            return None
        if self._inserted:
            changes[-1 - len(entries.spans)] = b", ".join(self._inserted)
        text = replace_devices(entries.text, changes)
        return text if self._configuration is None else with_configuration(text, self._configuration.encode())

    def _configuration_entry(self) -> EntryText | None:
        """Return the vmdesc's entry of the configuration section, to be changed; None without one."""
        text = configuration_text(self.contents.entries.text) if self.contents.entries.text else None
        if self._configuration is None and text is not None:
            self._configuration = EntryText(text)
        return self._configuration

    def _entry(self, section: Section) -> EntryText | None:
        """Return a section's entry in the vmdesc, to be changed; None without one."""
        index = self.contents.entries.index.get(section.start)
        if index is None:
            return None
        if index not in self._entries:
            self._entries[index] = EntryText(self.contents.entries.text_of(section) or b"")
        return self._entries[index]

    def _style(self) -> Style:
        return Style.SPACED if self.contents.entries.text.startswith(b"{ ") else Style.COMPACT


def _steps(chain: tuple[Node, ...], top: Node) -> list[int | str]:
    """Return the way to a node in a vmdesc's entry: field numbers of structs, names of subsections."""
    steps: list[int | str] = []
    around = top
    for node in chain:
        if node.kind == "subsection":
            steps.append(node.name)
        else:
            fields = [n for n in around.children if n.kind not in ("header", "footer", "subsection")]
            steps.append(next(i for i, n in enumerate(fields) if n is node or n.start == node.start))
        around = node
    return steps


def _after(rest: str, name: str, owner: str) -> str | None:
    """Return the rest of a path after a subsection's name; None if the path names another one."""
    for known in (name, name.removeprefix(owner + "/")):
        tail = rest[1:]
        if tail == known:
            return ""
        if tail.startswith(known) and tail[len(known)] in ".[":
            return tail[len(known) :]
    return None


def _end_of(node: Node, section: Section) -> int:
    return section.payload_end if node.kind == "section" else node.end
