"""One section of an open stream."""

from __future__ import annotations

from vmstate.dataclass import dataclass, field
from vmstate.describe import Node
from vmstate.front.field_values import Value, value_of
from vmstate.stream import Section
from vmstate.tree import Contents


@dataclass(frozen=True)
class StreamSection:
    """One section of a stream, as it is now; later changes to the stream do not show in it.

    ``path``: its name in paths (``cpu[0]``).  ``span``: its first byte, and the one after its last, in the
    stream.  ``instance_id`` and ``version_id`` are those in its header.
    """

    path: str
    idstr: str
    instance_id: int
    version_id: int
    span: tuple[int, int]
    item: Section = field(repr=False)
    contents: Contents = field(repr=False)

    @property
    def tree(self) -> Node:
        """The section's node: header, fields, subsections and footer, with their offsets."""
        return self.contents.node(self.item)

    @property
    def payload(self) -> bytes:
        """The section's own bytes, without header and footer."""
        return bytes(self.contents.stream.payload(self.item))

    @property
    def value(self) -> Value:
        """The section's fields as a dict; bytes if nothing describes them."""
        return value_of(self.contents.stream.data, self.tree)


def section_of(contents: Contents, item: Section) -> StreamSection:
    """Return the view of a section."""
    span = (item.start, item.end)
    ids = (item.idstr, item.instance_id, item.version_id)
    return StreamSection(contents.labels[item.start], *ids, span, item, contents)
