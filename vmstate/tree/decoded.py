"""Sections decoded: by the stream's own description, else by a declaration, else as opaque bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, Node, VMStateDescription, Writer, decode, plan_of
from vmstate.describe.from_vmdesc import Groups as Queued
from vmstate.describe.from_vmdesc import from_vmdesc, parse_json
from vmstate.describe.infos import NULLPTR, Bytes
from vmstate.describe.vmdesc import fixed_size
from vmstate.errors import EncodeError, StreamError, Unsupported, quantity
from vmstate.handwritten import ByteOrder, content_of
from vmstate.stream.constants import SectionType
from vmstate.stream.items import Section
from vmstate.stream.reader import Stream
from vmstate.stream.vmdesc.edit import device_spans
from vmstate.tree.declarations import Declarations, Declared, StreamFacts

_DESCRIPTIONS_KEPT = 512


class By(StrEnum):
    """The source of the description that a section was decoded by."""

    VMDESC = "vmdesc"
    DECLARATION = "declaration"
    LIVE = "live"
    NOTHING = "nothing"


@dataclass
class Decoded:
    """A section's payload, decoded.

    ``root``: its fields, with absolute offsets; ``state``: the same as attributes.  ``error``: the error that
    stopped the reading, or a payload of the wrong length.  ``understated``: the path of an array that is
    longer than the vmdesc says.
    """

    section: Section
    by: By
    root: Node
    state: Any = None
    description: VMStateDescription | None = None
    version_id: int = 0
    error: StreamError | None = None
    declared: Declared | None = None
    understated: str | None = None

    @property
    def whole(self) -> bool:
        """True if every byte of the payload has a meaning and nothing is missing."""
        return self.error is None and self.by is not By.NOTHING


#: What leads to the instance id at the head of an entry, and the id.
_INSTANCE = re.compile(rb'(\{ ?"name" ?: "[^"\\]*", "instance_id" ?: )(?:0|-?[1-9][0-9]*)(?=,)')


def description_of(entry: bytes, order: ByteOrder | None = None) -> VMStateDescription:
    """Return the description of a device's entry in a vmdesc (its JSON text); all instances have one.

    ``order``: the byte order of the machine's guests, if it is known.  Raises StreamError if it is not an
    entry that QEMU writes.
    """
    head = _INSTANCE.match(entry)
    return _description_of(entry if head is None else head[1] + b"0" + entry[head.end() :], order)


@lru_cache(maxsize=_DESCRIPTIONS_KEPT)
def _description_of(entry: bytes, order: ByteOrder | None) -> VMStateDescription:
    return from_vmdesc(parse_json(entry), known=partial(content_of, order=order))


class Entries:
    """The vmdesc's entries by section: the n-th section of a name and instance has the n-th entry of both."""

    def __init__(self, stream: Stream) -> None:
        self.text = b""
        self.offset = 0
        self.spans: list[tuple[int, int]] = []
        self.index: dict[int, int] = {}
        vmdesc = stream.vmdesc
        if vmdesc is None:
            return
        self.text, self.offset = vmdesc.text, vmdesc.offset
        self.spans = device_spans(self.text)
        seen: Counter[tuple[str, int]] = Counter()
        for section in stream.devices:
            key = (section.idstr, section.instance_id)
            entry = vmdesc.device(*key, seen[key])
            seen[key] += 1
            if entry is not None:
                self.index[section.start] = entry.index

    def text_of(self, section: Section) -> bytes | None:
        """Return the JSON text of a section's entry; None without one."""
        index = self.index.get(section.start)
        if index is None or index >= len(self.spans):
            return None
        start, end = self.spans[index]
        return self.text[start:end]


def by_vmdesc(stream: Stream, section: Section, entry: bytes, order: ByteOrder | None = None) -> Decoded:
    """Decode a section by its entry in the vmdesc."""
    try:
        description = description_of(entry, order)
    except StreamError as error:
        error.within(offset=section.payload_start, section=section.idstr, instance=section.instance_id)
        return opaque(section, error)
    version = description.version_id
    assert isinstance(version, int)
    decoded = read(stream, section, By.VMDESC, Declared(description), version)
    if decoded.error is not None:
        mended = _with_real_pointers(description, decoded.error, section.payload_end - section.payload_start)
        if mended is not None:
            again = read(stream, section, By.VMDESC, Declared(mended), version)
            if again.error is None:
                again.understated = decoded.error.place.path
                return again
    return decoded


def _with_real_pointers(
    description: VMStateDescription, error: StreamError, size: int
) -> VMStateDescription | None:
    """Return the description with an array of null pointers replaced by the bytes that are really there.

    Before 10.0 QEMU describes an array of pointers by its first element; if that is null, the size of the
    others is not described (s390_css).  It follows from the payload's length if there is only one such array.
    """
    wrong = next((f for f in description.fields if f.name == error.place.path), None)
    described = size_of_fields(description)
    if wrong is None or wrong.info is not NULLPTR or not isinstance(wrong.count, int) or described is None:
        return None
    extent = wrong.count + size - described
    if extent <= 0:
        return None
    info = content_of(description.name, wrong.name, NULLPTR.name, extent) or Bytes(NULLPTR.name)
    whole = Field(wrong.name, info, attr=wrong.attr, size=extent)
    return replace(description, fields=tuple(whole if f is wrong else f for f in description.fields))


def size_of_fields(description: VMStateDescription) -> int | None:
    """Return the size in bytes of a description's fields if it is fixed, else None."""
    version = description.version_id
    if description.subsections or not isinstance(version, int):
        return None
    total = 0
    for field in description.fields:
        plain = replace(description, fields=(field,))
        size = fixed_size(plan_of(plain), version)
        if size is None and isinstance(field.size, int) and isinstance(field.info, Queued):
            size = field.size
        if size is None:
            return None
        total += size
    return total


def read(
    stream: Stream, section: Section, by: By, declared: Declared, version_id: int, *, nodes: bool = True
) -> Decoded:
    """Decode a section by a description, at a version of it; ``nodes``: with the nodes inside the root."""
    start, end = section.payload_start, section.payload_end
    description, state = declared.description, declared.state
    known = content_of if by is By.DECLARATION else None  # a vmdesc's types are looked up as it is read
    try:
        prepare(state, stream.data[start:end])
        root, state, error = decode(
            description,
            stream.data,
            start,
            version_id,
            state=state,
            end=end,
            known=known,
            nodes=nodes,
        )
    except (AttributeError, LookupError, TypeError, ValueError) as why:
        # Declarations have code of their own, which may need the machine: that is not the stream's fault.
        unknown = Unsupported(f"the declaration needs more than the stream contains: {why}", offset=start)
        return replace(opaque(section, unknown), declared=declared)
    if error is None and root.end != end:
        error = StreamError(
            f"the {by} describes {quantity(root.end - start, 'byte')} of payload, there are {end - start}",
            offset=root.end,
        )
    if error is not None:
        error.within(offset=root.end, section=section.idstr, instance=section.instance_id)
    return Decoded(section, by, root, state, description, version_id, error, declared)


def prepare(state: Any, payload: memoryview) -> None:
    """Let a state derive from its payload's length the sizes that no field gives."""
    measure = getattr(state, "measure", None)
    if measure is not None:
        measure(payload)


def by_declaration(
    stream: Stream, section: Section, declarations: Declarations, facts: StreamFacts
) -> Decoded | None:
    """Decode a section by the first declaration that fits, else by the one that reads most of it."""
    best: Decoded | None = None
    for tried in all_declared(stream, section, declarations, facts):
        if tried.error is None:
            return tried
        if best is None or tried.root.end > best.root.end:
            best = tried
    return best


def all_declared(
    stream: Stream, section: Section, declarations: Declarations, facts: StreamFacts
) -> Iterator[Decoded]:
    """Decode a section by each of its declarations, likeliest first."""
    key = (section.idstr, section.instance_id, section.version_id)
    for declared in declarations.candidates(facts, *key):
        yield read(stream, section, By.DECLARATION, declared, section.version_id)


def opaque(section: Section, error: StreamError | None = None) -> Decoded:
    """Return a section of unknown content as one node of bytes."""
    start, end = section.payload_start, section.payload_end
    payload = Node("payload", "opaque", "buffer", start, end)
    root = Node(section.idstr, "section", "opaque", start, end, nodes=[payload] if end > start else [])
    return Decoded(section, By.NOTHING, root, error=error)


def replayed(decoded: Decoded) -> bytes | None:
    """Write the payload again from its values; None if they are not known.

    Raises EncodeError if the values do not fit the description they were read by.
    """
    if decoded.description is None or decoded.error is not None:
        return None
    out = Writer(replay=True)
    try:
        plan_of(decoded.description).save(out, decoded.state, decoded.version_id)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise EncodeError(f"{decoded.section}: {error}") from error
    return out.join()


def is_device(section: Section) -> bool:
    """Return True if a section holds a device's state, described or declared (not a live section)."""
    return section.kind == SectionType.FULL
