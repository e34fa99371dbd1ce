"""One change of a stream: what it sets, removes or adds, what is lost with it, and what the guest notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum

from vmstate.dataclass import dataclass
from vmstate.describe.words import Meanings
from vmstate.stream.edit import Bytes
from vmstate.tree.changes import Changes
from vmstate.tree.contents import Contents
from vmstate.tree.typed_changes import apply


class Notice(IntEnum):
    """The effect of a change on a running guest, from nothing that it notices to the worst."""

    NOTHING = 0
    LATER = 1
    DEVICE = 2
    GUEST = 3

    @property
    def word(self) -> str:
        """The name on the command line."""
        return self.name.lower()

    @property
    def means(self) -> str:
        """The effect in a few words."""
        return _MEANS[self]


_MEANS = {
    Notice.NOTHING: "the guest notices nothing",
    Notice.LATER: "the guest may notice it when it asks again, at the latest when it boots again",
    Notice.DEVICE: "a device changes or is reset under its driver",
    Notice.GUEST: "the guest may fail",
}

Rewrite = Callable[[Contents], Iterator[Bytes]]
"""Returns the changed stream in pieces."""


@dataclass(frozen=True)
class Change:
    """A change that mends what a check refuses.

    ``rule``: that check.  ``what``: the change in words; ``lost``: what is lost with it.  ``edits``: the same
    as ``vmstate edit`` takes it; empty if it cannot.  ``rewrite``: makes it, if not the edits do.
    ``section``: the section that it changes, or ``removes``.
    """

    rule: str
    what: str
    lost: str
    notice: Notice
    edits: tuple[str, ...] = ()
    rewrite: Rewrite | None = None
    section: str = ""
    removes: bool = False

    def applied(self, contents: Contents, meanings: Meanings | None = None) -> Iterator[Bytes]:
        """Return the changed stream in pieces.  Raises PathError, EncodeError, Unsupported."""
        if self.rewrite is not None:
            return self.rewrite(contents)
        changes = Changes(contents, meanings)
        for edit in self.edits:
            apply(changes, edit)
        return changes.chunks()

    def as_json(self) -> dict[str, object]:
        """Return the change as a JSON object."""
        return {
            "rule": self.rule,
            "what": self.what,
            "lost": self.lost,
            "notice": self.notice.word,
            "edits": list(self.edits),
        }
