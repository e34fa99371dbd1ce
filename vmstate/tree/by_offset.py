"""The places around a byte: the section that has it, and everything inside around it."""

from __future__ import annotations

from vmstate.tree.contents import Contents
from vmstate.tree.paths import Place, inside, owner_of


def places_at(contents: Contents, offset: int) -> list[Place]:
    """Return the places that have the byte at ``offset``, outermost first; none outside of sections."""
    section = contents.section_at(offset)
    if section is None:
        return []
    node = contents.node(section)
    places = [Place(node.name, (node,), section)]
    owner = owner_of(contents, places[0])
    while True:
        around = inside(places[-1], owner)
        inner = next((one for one in around if one[0].node.start <= offset < one[0].node.end), None)
        if inner is None:
            return places
        place, owner = inner
        places.append(place)
