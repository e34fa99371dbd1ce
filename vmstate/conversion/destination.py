"""The destination that a stream is changed for, as conversion sees it: loads, with what may mend each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from vmstate.conversion.change import Change
from vmstate.dataclass import dataclass
from vmstate.errors import Finding
from vmstate.savevm.verdict import Check, Verdict
from vmstate.stream.edit import Bytes
from vmstate.tree.contents import Contents
from vmstate.tree.declarations import Declarations
from vmstate.tree.rebuilt import rebuilt

Fix = Callable[[], Iterator[Change]]
"""Yields the changes that may mend what a load has found, the best first.

Raises Unsupported with the reason where none does, though others of the same rule can be mended.
"""


@dataclass
class Load:
    """A load of a stream.

    ``check``: the one that refused it, or that the destination should have made; None if all is well, or
    if no change of the stream can help.  ``fixes`` may mend it; ``findings`` are about the verdict.
    """

    verdict: Verdict
    check: Check | None = None
    fixes: tuple[Fix, ...] = ()
    findings: tuple[Finding, ...] = ()


class Destination(ABC):
    """A destination that loads streams.

    ``text``: what it is called.  ``machine_type``: its type's name, empty if it does not start.
    ``promise``: what an accepted stream is; ``{}``: "with this change".
    ``own``: the tree of the stream that it would send itself after a reset; None if it sends none.
    """

    text: str
    machine_type: str
    promise: str
    declarations: Declarations

    @property
    @abstractmethod
    def own(self) -> Contents | None:
        """The tree of its own stream."""

    @abstractmethod
    def load(self, contents: Contents) -> Load:
        """Load a stream.  Raises NotModelled."""

    def contents(self, chunks: Iterator[Bytes]) -> Contents:
        """Return the tree of a stream in pieces."""
        return rebuilt(chunks, self.declarations)
