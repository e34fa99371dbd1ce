"""Subsections to be added to a stream: made from a declaration, field by field, or from bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vmstate.dataclass import dataclass, replace
from vmstate.describe import Field, Node, Release, VMStateDescription, decode, plan_of
from vmstate.describe.vmdesc import Style, VmdescWriter
from vmstate.errors import EncodeError, Unsupported, quantity
from vmstate.stream import writer
from vmstate.stream.items import Section
from vmstate.tree.contents import Contents
from vmstate.tree.declarations import Declared
from vmstate.tree.decoded import all_declared
from vmstate.tree.paths import Place, find_below

_ROOM = 1 << 20


@dataclass
class Addition:
    """A subsection to be added: its name, version and payload, and its object in the vmdesc.

    ``following``: the names of the subsections that come after it in the declaration.
    """

    name: str
    version_id: int
    payload: bytes
    entry: str
    following: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the header and the payload."""
        return writer.subsection_header(self.name, self.version_id) + self.payload


def raw_addition(name: str, version_id: int, payload: bytes, style: Style) -> Addition:
    """Return a subsection of nothing but bytes."""
    data = style.object((("name", '"data"'), ("type", '"buffer"'), ("size", str(len(payload)))))
    pairs = (("vmsd_name", f'"{name}"'), ("version", str(version_id)), ("fields", style.array((data,))))
    return Addition(name, version_id, payload, style.object(pairs))


class Declaring:
    """A subsection made from its declaration: zeros, then the fields that were given."""

    def __init__(
        self, description: VMStateDescription, declared: Declared, following: tuple[str, ...]
    ) -> None:
        self.description = description
        self.declared = declared
        self.following = following
        self._payload = b""
        self._read()

    def _read(self) -> tuple[Node, Any]:
        """Return the payload's tree and state; the payload becomes as long as its fields say."""
        room = memoryview(self._payload + bytes(_ROOM))
        state = copy.copy(self.declared.state)
        version = plan_of(self.description).version_id
        root, state, error = decode(self.description, room, 0, version, state=state)
        if error is not None:
            raise Unsupported(f"{self.description.name} cannot be made from its declaration: {error.message}")
        self._payload = bytes(room[: root.end])
        return root, state

    def set(self, rest: str, to_bytes: Callable[[Place], bytes]) -> None:
        """Give a field (``.compat_pvr``) the bytes that ``to_bytes`` makes for its place."""
        root, _ = self._read()
        name = self.description.name
        top = Node(name, "subsection", "subsection", root.start, root.end, nodes=root.nodes)
        places = find_below(Place(name, (top,)), name, rest)
        if len(places) != 1:
            raise EncodeError(f"{name}{rest} may mean several fields")
        node = places[0].node
        raw = to_bytes(places[0])
        if len(raw) != node.end - node.start:
            raise EncodeError(f"{name}{rest} has {quantity(node.end - node.start, 'byte')}, not {len(raw)}")
        self._payload = self._payload[: node.start] + raw + self._payload[node.end :]

    def made(self, style: Style) -> Addition:
        """Return the subsection."""
        _, state = self._read()
        plan = plan_of(self.description)
        release = self.declared.releases[-1]
        entry = replace(VmdescWriter.at(release), style=style, replay=True)
        text = style.object(entry.group(plan, state, plan.version_id))
        return Addition(self.description.name, plan.version_id, self._payload, text, self.following)


def declared_subsections(contents: Contents, section: Section, chain: Sequence[Node]) -> Iterator[Declaring]:
    """Yield the subsections that our declarations know of a section, or of the node inside it.

    ``chain`` leads to the node.  Subsections of the declaration that reads the section come first.
    """
    if contents.declarations is None:
        return
    tried = list(all_declared(contents.stream, section, contents.declarations, contents.facts))
    tried.sort(key=lambda one: one.error is not None)
    for decoded in tried:
        if decoded.declared is None:
            continue
        owner = inner_description(decoded.declared.description, chain, decoded.declared.releases[-1])
        if owner is None:
            continue
        names = [sub.name for sub in owner.subsections]
        for index, sub in enumerate(owner.subsections):
            try:
                yield Declaring(sub, decoded.declared, tuple(names[index + 1 :]))
            except Unsupported:
                continue


def inner_description(
    description: VMStateDescription, chain: Sequence[Node], release: Release | None = None
) -> VMStateDescription | None:
    """Return the description of the node at the end of ``chain``; ``release``: that of our declaration."""
    here: VMStateDescription | None = description
    for node in chain:
        if here is None:
            return None
        if node.kind == "subsection":
            here = next((sub for sub in here.subsections if sub.name == node.name), None)
        else:
            field = next((field for field in here.fields if field.name == node.name), None)
            here = _inside(field, release) if field is not None else None
    return here


def _inside(field: Field, release: Release | None) -> VMStateDescription | None:
    """Return a struct's description, or that of a field that QEMU reads by hand, if there is one."""
    if field.count is not None:
        return None
    content: VMStateDescription | None = getattr(field.info, "content", None)
    return field.vmsd if content is None or release is None else content.at(release)
