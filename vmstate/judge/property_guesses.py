"""Random properties of one device, drawn from its Property tables; wrong names and values among them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release, at
from vmstate.judge.judge import Side
from vmstate.judge.random_machines import plain_properties
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import CHOICES, RANGES, Effect, Property
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.devices import drivers

Wanted = Callable[[Property], bool]

_WEIGHTS = {Effect.MODELLED: 8, Effect.HARMLESS: 2, Effect.NOT_MODELLED: 0.2}
_MISSING = 0.15  # the weight of a property that the release does not have
_WRONG_NAME, _WRONG_VALUE, _BY_GLOBAL = 0.04, 0.06, 0.1
#: Plugged besides the examples of the drivers; ``{0}`` is a number.
_MORE = (
    "-blockdev driver=null-co,node-name=b{0},size=1048576 -device virtio-blk-pci,drive=b{0}",
    "-netdev hubport,hubid=0,id=n{0} -device virtio-net-pci,romfile=,netdev=n{0}",
    "-netdev hubport,hubid=0,id=n{0} -device e1000,romfile=,netdev=n{0}",
    "-object rng-random,filename=/dev/urandom,id=r{0} -device spapr-rng,rng=r{0}",
    "-device nec-usb-xhci -device usb-tablet",
)
_VALUES = {
    "bool": ("on", "off", "on", "off", "yes", "no", "true", "false"),
    "size": ("0", "512", "4096", "64k", "1M"),
    "str": ("", "abc", "1"),
}
_WRONG = ("maybe", "-1", "99999999999", "0x", "12k", "on", "7.5")
_NUMBERS = (0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 64, 65, 128, 256, 1000, 1024, 1025)
_OF_A_KIND = {
    "addr": ("2", "5", "1f", "1f.7", "3.1", "20", "0"),
    "mac": ("52:54:00:12:34:57", "52:54:00:12:34", "52-54-00-12-34-59"),
    "speed": ("0", "100", "-1", "10000"),
    "duplex": ("full", "half", "half", "x"),
    "slot": ("0", "1", "7"),
    "nr": ("0", "1", "2", "30", "31", "99"),
}


@dataclass(frozen=True)
class Plugged:
    """A device with the words around it, which plug what it needs."""

    driver: Driver
    words: tuple[str, ...]
    place: int

    def arguments(self, given: Sequence[tuple[str, str]], *, by_global: bool = False) -> list[str]:
        """Return the words, with properties given to the device or, if it allows, as -global."""
        words = list(self.words)
        if by_global:
            return [
                *(word for key, value in given for word in ("-global", f"{self.driver.name}.{key}={value}")),
                *words,
            ]
        words[self.place] += "".join(f",{key}={value}" for key, value in given)
        return words


def plugged() -> list[Plugged]:
    """Return every device that an example plugs."""
    examples = (one for _, driver in sorted(drivers().items()) for one in driver.examples)
    return [one for example in (*examples, *_MORE) if (one := _plugged(example)) is not None]


def _plugged(example: str) -> Plugged | None:
    words = tuple(example.format(0).split())
    places = [place for place, word in enumerate(words) if place and words[place - 1] == "-device"]
    if not places:
        return None
    driver = drivers().get(words[places[-1]].partition(",")[0])
    return None if driver is None else Plugged(driver, words, places[-1])


class PropertyGuesses:
    """Groups of a source and its destinations, by ``seed``; ``wanted`` chooses among the properties."""

    def __init__(self, seed: int, releases: Sequence[Release], wanted: Wanted | None = None) -> None:
        self._random = random.Random(seed)
        self._releases = releases
        self._wanted: Wanted = wanted or _any
        self._devices = [one for one in plugged() if any(map(self._wanted, one.driver.properties))]

    def groups(self, destinations: int) -> Iterator[tuple[Side, list[Side]]]:
        """Yield sources, each with that many destinations."""
        while True:
            release = self._random.choice(self._releases)
            device = self._random.choice([one for one in self._devices if one.driver.span.covers(release)])
            binary = CATALOGUE.binary(release)
            newest = self._random.random() < 0.5
            names = list(binary.machine_types)
            type_name = names[0] if newest else self._random.choice(names)
            given = [self._given(device.driver, release) for _ in range(self._random.choice((0, 1, 1, 2)))]
            source = self._side(release, type_name, device, given)
            yield source, [self._other(release, type_name, device, given) for _ in range(destinations)]

    def _other(self, release: Release, type_name: str, device: Plugged, given: list[tuple[str, str]]) -> Side:
        """Return a destination whose device differs in a property or two, or in none."""
        there = release
        if self._random.random() < 0.2:
            able = [
                one
                for one in self._releases
                if type_name in CATALOGUE.binary(one).machine_types and device.driver.span.covers(one)
            ]
            there = self._random.choice(able)
        kept = [one for one in given if self._random.random() < 0.6]
        for _ in range(self._random.choice((0, 1, 1, 1, 2))):
            new = self._given(device.driver, there)
            kept = [one for one in kept if one[0] != new[0]] + [new]
        return self._side(there, type_name, device, kept)

    def _side(
        self, release: Release, type_name: str, device: Plugged, given: Sequence[tuple[str, str]]
    ) -> Side:
        binary = CATALOGUE.binary(release)
        machine = ",".join([type_name, *(f"{k}={v}" for k, v in plain_properties(binary).items())])
        memory = "256,slots=4,maxmem=2G" if device.driver.name == "pc-dimm" else "256"
        by_global = self._random.random() < _BY_GLOBAL
        words = device.arguments(given, by_global=by_global)
        return Side.of(release, ["-nodefaults", "-machine", machine, "-m", memory, *words])

    def _given(self, driver: Driver, release: Release) -> tuple[str, str]:
        if self._random.random() < _WRONG_NAME:
            return self._random.choice(("foo", "Vectors", "num_queue", "x-nothing")), "1"
        listed = [
            one
            for several in driver.all_properties.values()
            for one in several
            if one.name not in ("drive", "netdev", "chardev", "memdev", "rng", "host", "id", "romfile")
            and self._wanted(one)
        ]
        weights = [_WEIGHTS[one.effect] * (1.0 if one.span.covers(release) else _MISSING) for one in listed]
        chosen = self._random.choices(listed, weights)[0]
        return chosen.name, self._value(chosen, release)

    def _value(self, chosen: Property, release: Release) -> str:
        if self._random.random() < _WRONG_VALUE:
            return self._random.choice(_WRONG)
        kind = at(chosen.kind, release)
        if chosen.name in _OF_A_KIND:
            return self._random.choice(_OF_A_KIND[chosen.name])
        if kind in CHOICES:
            return self._random.choice(sorted(CHOICES[kind]))
        if kind in RANGES:
            return str(self._number(chosen, release))
        return self._random.choice(_VALUES.get(kind, _VALUES["str"]))

    def _number(self, chosen: Property, release: Release) -> int:
        default = "" if callable(chosen.default) else at(chosen.default, release)
        numbers = list(_NUMBERS)
        if re.fullmatch(r"-?\d+", default):
            near = int(default)
            numbers += [near - 1, near, near, near + 1, near * 2] * 3
        lowest, highest = RANGES[at(chosen.kind, release)]
        if self._random.random() < 0.05:
            return self._random.choice((lowest, highest, lowest - 1, highest + 1))
        return self._random.choice([one for one in numbers if lowest <= one <= highest] or [0])


def _any(one: Property) -> bool:
    del one
    return True


def of_features(one: Property) -> bool:
    """Return True for a property that offers a feature, or decides which a guest can see."""
    return one.feature is not None or one.name in (
        "disable-legacy",
        "disable-modern",
        "packed",
        "iommu_platform",
    )
