"""Series of random questions for :class:`vmstate.judge.judge.Judge`, determined by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError
from vmstate.judge.comparison import Comparison
from vmstate.judge.judge import Judge, Side
from vmstate.judge.random_machines import Guesses
from vmstate.pseries.catalogue import CATALOGUE

OWN_SHARE = 0.4  # share of sources that have the destination's release


class Campaign:
    """A series of questions to ``judge``; ``left_out`` gets the reason for each one that is not modelled."""

    def __init__(self, judge: Judge, seed: int, left_out: Callable[[str], None]) -> None:
        self._judge = judge
        self._seed = seed
        self._left_out = left_out

    def streams(self, count: int, releases: Sequence[Release]) -> Iterator[Comparison]:
        """Give ``count`` simulated streams of any release to a real destination of each of ``releases``."""
        for release in releases:
            guesses, pick = Guesses(self._seed, rich=False), random.Random(self._seed)
            asked = 0
            while asked < count:
                source = release if pick.random() < OWN_SHARE else pick.choice(CATALOGUE.newest)
                compared = self._ask(guesses, source, release, self._judge.stream)
                if compared is not None:
                    asked += 1
                    yield compared

    def pairs(self, count: int, releases: Sequence[Release]) -> Iterator[Comparison]:
        """Do ``count`` migrations between real QEMUs of ``releases``, with devices and unusual options."""
        guesses, pick = Guesses(self._seed, rich=True), random.Random(self._seed)
        asked = 0
        while asked < count:
            compared = self._ask(guesses, pick.choice(releases), pick.choice(releases), self._judge.pair)
            if compared is not None:
                asked += 1
                yield compared

    def _ask(
        self,
        guesses: Guesses,
        source: Release,
        destination: Release,
        ask: Callable[[Side, Side], Comparison | None],
    ) -> Comparison | None:
        first, second = guesses.pair(source, destination)
        try:
            return ask(Side.of(source, first.arguments()), Side.of(destination, second.arguments()))
        except ConfigurationError as error:
            self._left_out(str(error))
            return None
