"""Random machines of one to eight devices, modelled and recorded, and changes of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from vmstate.dataclass import dataclass, replace
from vmstate.describe.history import Release
from vmstate.judge.judge import Side
from vmstate.judge.random_machines import plain_properties
from vmstate.pseries.board.recordings import is_listed, names, recording
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.devices import drivers

_DISK = ("-blockdev", '{{"driver":"null-co","node-name":"d{0}","size":1048576,"read-zeroes":true}}')
#: What a property needs before the device, and the option's part; ``{0}`` is a number.
_BACK_ENDS = {"drive": (_DISK, "drive=d{0}"), "chardev": (("-chardev", "null,id=c{0}"), "chardev=c{0}")}
#: The device that provides a bus of each type; PCI is there.
_PROVIDERS = {
    "PCI": "",
    "usb-bus": "qemu-xhci",
    "SCSI": "virtio-scsi-pci",
    "virtio-serial-bus": "virtio-serial-pci",
    "spapr-vio-bus": "",
}
_CPUS = ("power8", "power9", "power10")


@dataclass(frozen=True)
class Plug:
    """A device: its name, the type of its bus, the properties that need a back end, its address or ""."""

    name: str
    bus: str
    needs: tuple[str, ...] = ()
    address: str = ""

    def words(self, number: int) -> list[str]:
        """Return the options for it, with names by ``number``."""
        words, parts = [], [self.name]
        for need in self.needs:
            before, part = _BACK_ENDS[need]
            words += [word.format(number) for word in before]
            parts.append(part.format(number))
        if self.address:
            parts.append(f"addr={self.address}")
        return [*words, "-device", ",".join(parts)]


@cache
def pluggable(release: Release) -> tuple[Plug, ...]:
    """Return every device that this release plugs into a machine with its controller."""
    found = []
    for name, driver in sorted(drivers().items()):
        if driver.user_creatable and driver.span.covers(release) and driver.bus in _PROVIDERS:
            if is_listed(name, release) is not False:
                held = {one for one in _BACK_ENDS if driver.property(one, release) is not None}
                found.append(Plug(name, driver.bus, tuple(sorted(held))))
    for name in sorted(names() - drivers().keys()):
        known = recording(name, release)
        if known is not None and known.needs is not None and known.bus in _PROVIDERS:
            if set(known.needs) <= _BACK_ENDS.keys():
                found.append(Plug(name, known.bus, known.needs))
    return tuple(found)


@dataclass(frozen=True)
class Machine:
    """A machine type, a processor, and devices in order."""

    type_name: str
    cpu: str
    plugs: tuple[Plug, ...]

    def side(self, release: Release) -> Side:
        """Return the command line for a release."""
        plain = plain_properties(CATALOGUE.binary(release))
        machine = ",".join([self.type_name, *(f"{key}={value}" for key, value in plain.items())])
        words = ["-nodefaults", "-machine", machine, "-cpu", self.cpu, "-m", "256"]
        for number, plug in enumerate(self.plugs):
            words += plug.words(number)
        return Side.of(release, words)


class DeviceGuesses:
    """Groups of a source and its destinations, by ``seed``."""

    def __init__(self, seed: int, releases: Sequence[Release]) -> None:
        self._random = random.Random(seed)
        self._releases = releases

    def groups(self, destinations: int) -> Iterator[tuple[Side, list[Side]]]:
        """Yield sources, each with that many destinations."""
        pick = self._random
        while True:
            release = pick.choice(self._releases)
            names = list(CATALOGUE.binary(release).machine_types)
            type_name = names[0] if pick.random() < 0.5 else pick.choice(names)
            plugs: list[Plug] = []
            for plug in pick.choices(pluggable(release), k=pick.randrange(1, 9)):
                provider = _PROVIDERS[plug.bus]
                if provider and all(one.name != provider for one in plugs):
                    plugs.append(Plug(provider, "PCI"))
                plugs.append(plug)
            machine = Machine(type_name, pick.choice(_CPUS), tuple(plugs))
            yield machine.side(release), [self._other(machine, release) for _ in range(destinations)]

    def _other(self, machine: Machine, release: Release) -> Side:
        able = [one for one in self._releases if machine.type_name in CATALOGUE.binary(one).machine_types]
        there = self._random.choice(able) if self._random.random() < 0.3 else release
        changes: tuple[Callable[[Machine], Machine], ...] = (self._without, self._moved, self._shuffled)
        if self._random.random() < 0.6:
            machine = self._random.choice(changes)(machine)
        return machine.side(there)

    def _without(self, machine: Machine) -> Machine:
        place = self._random.randrange(len(machine.plugs))
        return replace(machine, plugs=machine.plugs[:place] + machine.plugs[place + 1 :])

    def _moved(self, machine: Machine) -> Machine:
        cards = [place for place, one in enumerate(machine.plugs) if one.bus == "PCI"]
        if not cards:
            return machine
        place = self._random.choice(cards)
        moved = replace(machine.plugs[place], address=hex(self._random.randrange(10, 32)))
        return replace(machine, plugs=(*machine.plugs[:place], moved, *machine.plugs[place + 1 :]))

    def _shuffled(self, machine: Machine) -> Machine:
        plugs = list(machine.plugs)
        self._random.shuffle(plugs)
        return replace(machine, plugs=tuple(plugs))
