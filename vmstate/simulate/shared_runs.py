"""Many pairs of machines with few simulated runs: equal starts, streams and loads are run once.

The verdicts are those of :func:`vmstate.simulate.migration.migrate`.
"""

from __future__ import annotations

from hashlib import sha256

from vmstate.dataclass import dataclass, replace
from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.startup.build import Start, build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.equivalence import EquivalentMachines
from vmstate.simulate.guest import boot
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Sent, received_by, sent_by


@dataclass(frozen=True)
class Started:
    """A started machine; equivalent ones have the same number.

    ``start`` is None if it is not modelled; ``trouble`` then says why.
    """

    start: Start | None
    number: int
    trouble: str = ""

    @property
    def runs(self) -> bool:
        """True if it started."""
        return self.start is not None and self.start.machine is not None


@dataclass(frozen=True)
class Saved:
    """The stream and lines of a source, without its instance; equal ones have the same number."""

    sent: Sent
    number: int
    ioctls: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """The verdict of a destination."""

    verdict: Verdict
    ioctls: tuple[str, ...]


class SharedRuns:
    """Starts, saves and loads, each done once for equal machines.

    ``guest`` boots on every source before it saves.  ``across``: also recognise the stream of an earlier
    source, which was forgotten since; its digest takes the time of a few loads.
    """

    def __init__(self, catalogue: Catalogue, guest: Guest | None = None, *, across: bool = False) -> None:
        self.catalogue = catalogue
        self._guest = guest
        self._across = across
        self._machines = EquivalentMachines()
        self._numbers: dict[object, int] = {}
        self._saved: dict[int, Saved] = {}
        self._loaded: dict[tuple[int, int], Loaded] = {}

    def start(self, text: str) -> Started:
        """Start a command line."""
        try:
            configuration = parse(text, self.catalogue)
            start = build(configuration)
        except ConfigurationError as error:
            return Started(None, -1, str(error))
        return Started(start, self._machines.number(configuration, start))

    def save(self, side: Started) -> Saved:
        """Let a started machine, or one that refused to, send its stream."""
        known = self._saved.get(side.number)
        if known is None:
            assert side.start is not None
            sent = sent_by(side.start, self._boot)
            ioctls = tuple(sent.instance.ioctls) if sent.instance is not None else ()
            sent = replace(sent, instance=None, release=None)
            number = self._number_across(sent, ioctls) if self._across else self._number(side, sent, ioctls)
            known = self._saved[side.number] = Saved(sent, number, ioctls)
        return known

    def _number(self, side: Started, sent: Sent, ioctls: tuple[str, ...]) -> int:
        """Return the number of the first machine that has sent the same."""
        same = (one.number for one in self._saved.values() if (one.sent, one.ioctls) == (sent, ioctls))
        return next(same, side.number)

    def _number_across(self, sent: Sent, ioctls: tuple[str, ...]) -> int:
        stream = b"" if sent.stream is None else sha256(sent.stream).digest()
        key = (stream, tuple(sent.messages), sent.refused, ioctls)
        return self._numbers.setdefault(key, len(self._numbers))

    def load(self, saved: Saved, side: Started) -> Loaded:
        """Let a started machine load a stream.  Raises NotModelled."""
        known = self._loaded.get((saved.number, side.number))
        if known is None:
            assert side.start is not None
            assert saved.sent.stream is not None
            received = received_by(saved.sent.stream, side.start)
            ioctls = tuple(received.instance.ioctls) if received.instance is not None else ()
            known = self._loaded[saved.number, side.number] = Loaded(
                replace(received.verdict, known_bugs=[]), ioctls
            )
        return known

    def forget_streams(self) -> None:
        """Forget the streams, which take megabytes, but not which of them are equal."""
        self._saved.clear()

    def forget_loads(self) -> None:
        """Forget what destinations have made of streams."""
        self._loaded.clear()

    def forget(self) -> None:
        """Forget everything; numbers that were given out mean nothing afterwards."""
        self.forget_streams()
        self.forget_loads()
        self._numbers.clear()
        self._machines.forget()

    def _boot(self, instance: Instance) -> None:
        if self._guest is not None:
            boot(instance, self._guest)
