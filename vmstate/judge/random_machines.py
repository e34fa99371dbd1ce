"""Random command lines of pseries machines, in similar pairs, so that accept and reject are both likely."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import Release
from vmstate.pseries.catalogue import CATALOGUE, Binary
from vmstate.pseries.devices import drivers
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind

#: Capabilities that TCG lacks and would warn about, switched off.
PLAIN = {
    "cap-htm": "off",
    "cap-cfpc": "broken",
    "cap-sbbc": "broken",
    "cap-ibs": "broken",
    "cap-ccf-assist": "off",
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _lines(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(map(_words, text.strip().splitlines()))


_CPUS = _words("""
    power8 power9 power8_v2.0 power8e_v2.1 power8nvl_v1.0 power9_v1.0 power9_v2.0 power9_v2.2 power10
    power10_v1.0 power10_v2.0 power11 power7 power7+_v2.1 970fx POWER8 POWER9 host nonsense
""")
_COMPAT_CPU = ("power9,compat=power8", "power8,compat=power7")
_MODES = ("power6", "power7", "power7+", "power8", "power9", "power10", "power11")
_SMP = _words("""
    1 2 3 4 1,maxcpus=4 1,maxcpus=8 2,maxcpus=8 4,threads=2 4,threads=4 8,threads=8 2,cores=2,threads=1
    2,threads=2,maxcpus=8 4,sockets=2,cores=2,threads=1 6,cores=3,threads=2,sockets=1
""")
_MEMORY = _words("""
    256 512 256M 1G 256,slots=2,maxmem=512M 256,slots=4,maxmem=1G 512,slots=4,maxmem=2G
    1024,slots=8,maxmem=4G 256,slots=4,maxmem=2G
""")
_PROPERTIES = _lines("""
    ic-mode xics
    ic-mode xive
    ic-mode dual
    vsmt 1
    vsmt 4
    vsmt 8
    suppress-vmdesc on
    resize-hpt disabled
    resize-hpt enabled
    resize-hpt required
    modern-hotplug-events off
    modern-hotplug-events on
    usb off
    kvm-type HV
""")
_OPTIONS = _lines("""
    -serial null
    -serial null -serial null
    -nographic
    -global migration.send-configuration=off
    -global migration.send-section-footer=off
    -global migration.store-global-state=off
""")


@cache
def extras() -> tuple[tuple[str, ...], ...]:
    """Return options to add: those that drivers have as examples, by driver, and a few more.

    ``{0}`` becomes a number, so that names differ when an option is given twice.
    """
    examples = (example for _, driver in sorted(drivers().items()) for example in driver.examples)
    return (*map(_words, examples), *_OPTIONS)


@dataclass(frozen=True)
class Guess:
    """The parts of a random machine, which can be changed one at a time."""

    type_name: str
    properties: dict[str, str] = field(default_factory=dict)
    cpu: str | None = None
    memory: str = "256"
    smp: str | None = None
    extras: tuple[tuple[str, ...], ...] = ()
    defaults: bool = False

    def arguments(self) -> list[str]:
        """Return the arguments for a release's program."""
        machine = ",".join([self.type_name, *(f"{key}={value}" for key, value in self.properties.items())])
        words = [] if self.defaults else ["-nodefaults"]
        words += ["-machine", machine, "-m", self.memory]
        words += ["-cpu", self.cpu] if self.cpu is not None else []
        words += ["-smp", self.smp] if self.smp is not None else []
        for number, extra in enumerate(self.extras):
            words += [word.format(number) for word in extra]
        return words


Change = Callable[[Guess, Binary], Guess]


class Guesses:
    """Random machines and pairs of them, by ``seed``; ``rich``: with devices and unusual options."""

    def __init__(self, seed: int, *, rich: bool) -> None:
        self._random = random.Random(seed)
        self._rich = rich

    def pair(self, source: Release, destination: Release) -> tuple[Guess, Guess]:
        """Return two machines that differ in a few parts."""
        here, there = CATALOGUE.binary(source), CATALOGUE.binary(destination)
        common = [name for name in here.machine_types if name in there.machine_types]
        first = self._machine(here, self._type(common or list(here.machine_types)))
        second = first if common else replace(first, type_name=self._type(list(there.machine_types)))
        second = replace(second, properties=_known(second.properties, there))
        for _ in range(self._random.choices((0, 1, 2, 3), (25, 45, 20, 10))[0]):
            second = self._changed(second, there)
        return first, second

    def _type(self, names: Sequence[str]) -> str:
        """Choose a machine type: the newest ones are the most used, the others the most error-prone."""
        return names[0] if self._random.random() < 0.2 else self._random.choice(names)

    def _machine(self, binary: Binary, type_name: str) -> Guess:
        plain = _known(PLAIN, binary) if self._random.random() < 0.85 else {}
        guess = Guess(type_name, plain, defaults=self._rich and self._random.random() < 0.15)
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 3))):
            guess = self._changed(guess, binary)
        return guess

    def _changed(self, guess: Guess, binary: Binary) -> Guess:
        ways: list[tuple[int, Change]] = [
            *((5, self._capability), (4, self._processor), (3, self._topology), (2, self._memory)),
            *((2, self._limit), (3, self._property), (1, self._other_type)),
            (6 if self._rich else 1, self._extra),
        ]
        return self._random.choices(ways, [weight for weight, _ in ways])[0][1](guess, binary)

    # ---- single changes

    def _capability(self, guess: Guess, binary: Binary) -> Guess:
        if not binary.capabilities:
            return guess
        capability = self._random.choice(binary.capabilities)
        return _with(guess, capability.property_name, self._random.choice(_levels(capability)))

    def _processor(self, guess: Guess, binary: Binary) -> Guess:
        known = _CPUS if self._random.random() < 0.7 else tuple(binary.cpus)
        names = (*known, *_COMPAT_CPU) if self._random.random() < 0.3 else known
        return replace(guess, cpu=self._random.choice(names))

    def _topology(self, guess: Guess, binary: Binary) -> Guess:
        return replace(guess, smp=self._random.choice(_SMP))

    def _memory(self, guess: Guess, binary: Binary) -> Guess:
        return replace(guess, memory=self._random.choice(_MEMORY))

    def _limit(self, guess: Guess, binary: Binary) -> Guess:
        return _with(guess, "max-cpu-compat", self._random.choice(_MODES))

    def _property(self, guess: Guess, binary: Binary) -> Guess:
        return _with(guess, *self._random.choice(_PROPERTIES))

    def _other_type(self, guess: Guess, binary: Binary) -> Guess:
        return replace(guess, type_name=self._type(list(binary.machine_types)))

    def _extra(self, guess: Guess, binary: Binary) -> Guess:
        if guess.extras and self._random.random() < 0.35:
            place = self._random.randrange(len(guess.extras))
            return replace(guess, extras=guess.extras[:place] + guess.extras[place + 1 :])
        extra = self._random.choice(extras())
        enough = "slots" in guess.memory or not any("pc-dimm" in word for word in extra)
        memory = guess.memory if enough else "256,slots=4,maxmem=2G"
        return replace(guess, extras=(*guess.extras, extra), memory=memory)


def _with(guess: Guess, key: str, value: str) -> Guess:
    return replace(guess, properties={**guess.properties, key: value})


def _known(properties: dict[str, str], binary: Binary) -> dict[str, str]:
    """Drop the capabilities that a release does not have, so that most pairs start."""
    return {
        key: value
        for key, value in properties.items()
        if not key.startswith("cap-") or key in binary.capability
    }


def plain_properties(binary: Binary) -> dict[str, str]:
    """Return the properties with which a machine under TCG starts without warnings of capabilities."""
    return _known(PLAIN, binary)


def _levels(capability: CapabilityAt) -> Sequence[str]:
    if capability.kind is Kind.BOOL:
        return ("on", "off")
    if capability.kind is Kind.PAGE_SIZE:
        return ("4k", "64k", "16M", "12")
    return capability.values
