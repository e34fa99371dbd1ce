"""Check that the sections of a stream are those that the descriptions of a schema would send."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.dataclass import dataclass, replace
from vmstate.describe.from_vmdesc import member, parse_json
from vmstate.schema.fitting import NAMED_LATER, Misfit, misfits
from vmstate.schema.model import Description, Schema
from vmstate.stream import Stream
from vmstate.tree.decoded import Entries


@dataclass(frozen=True)
class SectionFit:
    """How a section fits: the label of the description that fits best, and what differs.

    ``label`` is None if no description has the section's name; ``described``: the stream's vmdesc says what
    was sent, field by field.
    """

    idstr: str
    instance_id: int
    name: str
    described: bool
    label: str | None = None
    misfits: tuple[Misfit, ...] = ()


def fits(schema: Schema, stream: Stream) -> Iterator[SectionFit]:
    """Yield how each device section of a stream fits."""
    entries = Entries(stream)
    named: dict[str, list[tuple[str, Description]]] = {}
    for label, one in schema.descriptions.items():
        named.setdefault(one.name, []).append((label, one))
    for section in stream.devices:
        text = entries.text_of(section)
        entry = parse_json(text) if text is not None else None
        described = entry is not None and any(key == "vmsd_name" for key, _ in entry)
        if entry is None or not described:
            yield SectionFit(section.idstr, section.instance_id, section.idstr, described=False)
            continue
        name = member(entry, "vmsd_name", str)
        known = named.get(name) or named.get(NAMED_LATER) or []
        tried = [(label, misfits(one, entry)) for label, one in known]
        if name not in named:
            tried = [one for one in tried if not one[1]]
        best = min(tried, key=lambda pair: len(pair[1]), default=None)
        found = SectionFit(section.idstr, section.instance_id, name, described=True)
        yield found if best is None else replace(found, label=best[0], misfits=tuple(best[1]))
