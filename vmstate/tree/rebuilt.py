"""The tree of a changed stream, which comes in pieces."""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.containers.spool import Spool
from vmstate.stream import open_stream
from vmstate.stream.edit import Bytes
from vmstate.tree.contents import Contents
from vmstate.tree.declarations import Declarations
from vmstate.tree.measuring import Measured


def rebuilt(chunks: Iterable[Bytes], declarations: Declarations, origin: int = 0) -> Contents:
    """Return the tree of a stream in pieces; ``origin``: its offset in its container.  Raises StreamError."""
    spool = Spool()
    for chunk in chunks:
        spool.write(chunk)  # type: ignore[arg-type]
    return Contents(open_stream(spool.finish(), Measured(declarations), origin), declarations)
