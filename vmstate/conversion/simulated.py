"""The destination that a stream is changed for, and what it would send itself: versions, values, names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from vmstate.describe import SaveFailure
from vmstate.errors import NotModelled
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration
from vmstate.simulate.migration import Received, received_by, sent_by
from vmstate.stream.edit import Bytes
from vmstate.tree.contents import Contents
from vmstate.tree.rebuilt import rebuilt


class Destination:
    """A simulated destination, started once.  Raises ConfigurationError if it is not modelled."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.declarations = PseriesDeclarations(configuration.catalogue)
        self._start = build(configuration)

    def load(self, stream: memoryview) -> Received:
        """Load a stream.  Raises NotModelled."""
        return received_by(stream, self._start)

    @cached_property
    def own(self) -> Contents | None:
        """The tree of the stream that it would send itself after a reset; None if it sends none."""
        try:
            sent = sent_by(self._start)
        except (NotModelled, SaveFailure):
            return None
        return None if sent.stream is None else self.contents(iter([sent.stream]))

    def contents(self, chunks: Iterator[Bytes]) -> Contents:
        """Return the tree of a stream in pieces."""
        return rebuilt(chunks, self.declarations)
