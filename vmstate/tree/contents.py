"""A whole stream as one tree: every byte belongs to a named node; sections are decoded on demand."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from vmstate.describe import Node
from vmstate.handwritten import ByteOrder
from vmstate.stream.items import Item, Section
from vmstate.stream.reader import Stream, flat
from vmstate.tree.byte_order import order_of
from vmstate.tree.declarations import Declarations, StreamFacts
from vmstate.tree.decoded import (
    By,
    Decoded,
    Entries,
    by_declaration,
    by_vmdesc,
    is_device,
    opaque,
)
from vmstate.tree.framed import framing, section_footer, section_header
from vmstate.tree.live_sections import live_nodes
from vmstate.tree.nodes import Branch


def facts_of(stream: Stream) -> StreamFacts:
    """Return the facts that the stream gives about its machine."""
    configuration = stream.configuration
    idstrs = frozenset(section.idstr for section in stream.sections)
    if configuration is None:
        return StreamFacts(None, (), idstrs)
    return StreamFacts(configuration.machine, configuration.capabilities, idstrs)


class Contents:
    """The tree of a stream: ``nodes`` at the top, one for each item of the stream.

    ``declarations`` decode the sections that the stream does not describe itself.
    """

    def __init__(self, stream: Stream, declarations: Declarations | None = None) -> None:
        self.stream = stream
        self.declarations = declarations
        self.facts = facts_of(stream)
        self._decoded: dict[int, Decoded] = {}

    @cached_property
    def order(self) -> ByteOrder | None:
        """The byte order of the machine's guests, if its type tells it."""
        return order_of(self.facts)

    @cached_property
    def entries(self) -> Entries:
        """The vmdesc's entries by section."""
        return Entries(self.stream)

    @cached_property
    def labels(self) -> dict[int, str]:
        """The name of each section in paths, by its start: ``cpu[1]``; ``spapr`` if 0 is the only instance.

        Parts and the end of a live section, like repeated sections, get ``#1``, ``#2``, …
        """
        sections = self.stream.sections
        instances: dict[str, set[int]] = {}
        for section in sections:
            instances.setdefault(section.idstr, set()).add(section.instance_id)
        seen: Counter[tuple[str, int]] = Counter()
        labels = {}
        for section in sections:
            key = (section.idstr, section.instance_id)
            again = f"#{seen[key]}" if seen[key] else ""
            seen[key] += 1
            name = section.idstr if instances[section.idstr] == {0} else str(section)
            labels[section.start] = name + again
        return labels

    @cached_property
    def by_start(self) -> dict[int, Section]:
        """The sections by their first byte's offset."""
        return {section.start: section for section in self.stream.sections}

    @cached_property
    def nodes(self) -> list[Node]:
        """The top of the tree: each item of the stream, in order."""
        return self._nodes(self.stream.items)

    def _nodes(self, items: tuple[Item, ...]) -> list[Node]:
        return [self.node(item) for item in items]

    def node(self, item: Item) -> Node:
        """Return the node of an item; a section is decoded when the node's children are first used."""
        if not isinstance(item, Section):
            return framing(self.stream, item, self._nodes)
        label = self.labels[item.start]
        return Branch(
            label,
            "section",
            item.idstr,
            item.start,
            item.end,
            version_id=item.version_id,
            expand=lambda: self._section(item),
        )

    def _section(self, section: Section) -> list[Node]:
        nodes = [section_header(self.stream, section), *self.payload(section)]
        footer = section_footer(section)
        return nodes if footer is None else [*nodes, footer]

    def payload(self, section: Section) -> list[Node]:
        """Return the nodes of a section's payload, in wire order; they cover all of it."""
        root = self.decoded(section).root
        nodes, at, end = list(root.children), section.payload_start, section.payload_end
        reached = nodes[-1].end if nodes else at
        if reached < end:
            nodes.append(Node("(unread)", "opaque", "bytes", reached, end, self.stream.view(reached, end)))
        return nodes

    def decoded(self, section: Section) -> Decoded:
        """Return a section's payload, decoded once."""
        if section.start not in self._decoded:
            self._decoded[section.start] = self._decode(section)
        return self._decoded[section.start]

    def _decode(self, section: Section) -> Decoded:
        if is_device(section):
            entry = self.entries.text_of(section)
            by_entry = None if entry is None else by_vmdesc(self.stream, section, entry, self.order)
            if by_entry is not None and by_entry.whole:
                return by_entry
            declared = self.declared(section)
            if declared is not None and (declared.whole or by_entry is None):
                return declared
            if by_entry is not None:
                return by_entry
        nodes = live_nodes(self.stream, section)
        if nodes is None:
            return opaque(section)
        root = Node(section.idstr, "section", "live", section.payload_start, section.payload_end, nodes=nodes)
        return Decoded(section, By.LIVE, root, version_id=section.version_id)

    def declared(self, section: Section) -> Decoded | None:
        """Decode a section by the given declarations; None if none knows it."""
        if self.declarations is None:
            return None
        return by_declaration(self.stream, section, self.declarations, self.facts)

    def section_at(self, offset: int) -> Section | None:
        """Return the section that the byte at ``offset`` belongs to."""
        for item in flat(self.stream.items):
            if isinstance(item, Section) and item.start <= offset < item.end:
                return item
        return None
