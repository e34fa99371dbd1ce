"""Random questions for a host: a source, or a stream, and machines like it that load the stream.

What there is to choose from is what the package declares for the release of the host's QEMU.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kvm_lab.kinds import UNSAFE, Kind
from vmstate.describe.history import Release
from vmstate.pseries.catalogue import CATALOGUE, Binary
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.pseries.tables.capabilities import Kind as Form

Row = dict[str, Any]
Arguments = list[str]
DESTINATIONS = 12

_MODES = ("power6", "power7", "power8", "power9", "power10", "power11")
_CPUS = (
    *("POWER7", "POWER8", "POWER9", "POWER10", "power7", "power8", "power9", "power10", "power11", "power8e"),
    *("power8nvl", "power9_v2.0", "power9_v2.2", "power10_v2.0", "power8_v2.0", "970fx"),
)
_SMP = (
    "1",
    "2",
    "1,maxcpus=2",
    "1,maxcpus=4",
    "2,threads=2",
    "4,threads=4",
    "2,maxcpus=8",
    "4,maxcpus=8",
    "8,threads=8",
)
_MEMORY = ("256", "512", "256,slots=2,maxmem=1G", "256,slots=4,maxmem=2G")
_INTERRUPTS = tuple(
    (mode, chip) for mode in ("", "xics", "xive", "dual") for chip in ("", "on", "off", "split")
)
_OTHERS = (
    *(("vsmt", value) for value in ("1", "2", "4", "8")),
    *(("kvm-type", value) for value in ("HV", "PR", "hv", "auto")),
    *(("resize-hpt", value) for value in ("disabled", "enabled", "required")),
    ("modern-hotplug-events", "off"),
    ("suppress-vmdesc", "on"),
)
_DEVICES = (
    ("-device", "virtio-net-pci,romfile="),
    ("-device", "virtio-rng-pci"),
    ("-device", "virtio-scsi-pci"),
    ("-device", "qemu-xhci"),
    ("-device", "spapr-vlan"),
    ("-device", "spapr-vscsi"),
    ("-serial", "null"),
)


@dataclass(frozen=True)
class Guess:
    """The parts of a machine; ``options`` are its machine's, by name."""

    type_name: str
    accel: str
    cpu: str
    options: dict[str, str] = field(default_factory=dict)
    memory: str = "256"
    smp: str = ""
    devices: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> Arguments:
        """Return QEMU's arguments after -nodefaults."""
        options = [f"{name}={value}" for name, value in self.options.items()]
        words = ["-machine", ",".join([self.type_name, f"accel={self.accel}", *options])]
        words += ["-cpu", self.cpu, "-m", self.memory]
        words += ["-smp", self.smp] if self.smp else []
        return [*words, *(word for device in self.devices for word in device)]


class Guesses:
    """Random groups of a source, or a stream, and its destinations, by ``seed``."""

    def __init__(self, seed: int, kind: Kind, release: Release) -> None:
        self._random = random.Random(f"{seed} {kind.machine} {kind.cpu} {release}")
        self._seed = seed
        self._kind = kind
        self._binary: Binary = CATALOGUE.binary(release)

    def jobs(self, name: str, number: int, manifest: list[Row]) -> Iterator[Row]:
        """Yield jobs: groups of a source, and of streams that a manifest describes, in turn."""
        streams = self._random.sample(manifest, min(len(manifest), number))
        for count in range(number):
            known = f"{name}-{self._seed}-{count}"
            source = self._source()
            others = self._destinations(source)
            yield {"id": known, "op": "group", "source": source.arguments(), "destinations": others}
            if count < len(streams):
                row = streams[count]
                others = self._destinations(self._of(row["args"]))
                stream = f"{row['name']}.mig"
                yield {"id": f"{known}-load", "op": "group", "stream": stream, "destinations": others}

    def _source(self) -> Guess:
        source = self._machine()
        for _ in range(self._random.choice((0, 0, 1, 1, 2, 3))):
            source = self._changed(source)
        return source

    def _destinations(self, source: Guess) -> list[Arguments]:
        """Return machines for the stream of a source: one like it, and others that differ in a few parts."""
        found = [source.arguments()]
        for _ in range(100):
            other = self._other(source).arguments()
            if other not in found:
                found.append(other)
            if len(found) == DESTINATIONS:
                break
        return found

    def _of(self, arguments: Arguments) -> Guess:
        name, *options = arguments[arguments.index("-machine") + 1].split(",")
        given = dict(option.split("=", 1) for option in options)
        known = name if name in self._binary.machine_types else self._binary.default_type
        kept = {key: value for key, value in given.items() if key != "accel"}
        console = (("-serial", "null"),) if "-serial" in arguments else ()
        base = self._accelerated(Guess(known, "kvm", "host", self._base(), devices=console))
        return replace(base, options={**kept, **base.options})

    def _machine(self) -> Guess:
        pick = self._random
        types = [name for name in self._binary.machine_types if name.count("-") == 1]
        name = types[0] if pick.random() < 0.4 else pick.choice(types)
        return self._accelerated(Guess(name, "kvm", "host", self._base()))

    def _base(self) -> dict[str, str]:
        """Return the options that a guest needs here; now and then without some of them."""
        wanted = _options(self._kind.base, self._binary)
        if self._random.random() < 0.1:
            return dict(self._random.sample(sorted(wanted.items()), len(wanted) // 2))
        return wanted

    def _accelerated(self, guess: Guess) -> Guess:
        if self._random.random() < 0.8:
            return replace(guess, accel="kvm", cpu="host")
        return self._under_tcg(guess)

    def _under_tcg(self, guess: Guess) -> Guess:
        options = {**guess.options, **_options(UNSAFE, self._binary)}
        return replace(guess, accel="tcg", cpu=self._kind.named, options=options)

    def _other(self, guess: Guess) -> Guess:
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 2, 3))):
            guess = self._changed(guess)
        return guess

    def _changed(self, guess: Guess) -> Guess:
        ways = (
            *(
                (9, self._capability),
                (5, self._interrupts),
                (4, self._limit),
                (3, self._type),
                (3, self._acceleration),
            ),
            *(
                (2, self._processor),
                (2, self._topology),
                (2, self._property),
                (1, self._memory),
                (1, self._device),
            ),
        )
        return self._random.choices(ways, [weight for weight, _ in ways])[0][1](guess)

    def _with(self, guess: Guess, name: str, value: str) -> Guess:
        options = {key: given for key, given in guess.options.items() if key != name}
        return replace(guess, options={**options, name: value} if value else options)

    def _capability(self, guess: Guess) -> Guess:
        capability = self._random.choice(self._binary.capabilities)
        return self._with(guess, capability.property_name, self._random.choice(levels(capability)))

    def _interrupts(self, guess: Guess) -> Guess:
        mode, chip = self._random.choice(_INTERRUPTS)
        return self._with(self._with(guess, "ic-mode", mode), "kernel-irqchip", chip)

    def _limit(self, guess: Guess) -> Guess:
        return self._with(guess, "max-cpu-compat", self._random.choice(("", *_MODES)))

    def _type(self, guess: Guess) -> Guess:
        return replace(guess, type_name=self._random.choice(list(self._binary.machine_types)))

    def _acceleration(self, guess: Guess) -> Guess:
        if guess.accel == "kvm":
            return self._under_tcg(guess)
        return replace(guess, accel="kvm", cpu="host")

    def _processor(self, guess: Guess) -> Guess:
        return replace(guess, cpu=self._random.choice(("host", self._kind.named, *_CPUS)))

    def _topology(self, guess: Guess) -> Guess:
        return replace(guess, smp=self._random.choice(_SMP))

    def _property(self, guess: Guess) -> Guess:
        return self._with(guess, *self._random.choice(_OTHERS))

    def _memory(self, guess: Guess) -> Guess:
        return replace(guess, memory=self._random.choice(_MEMORY))

    def _device(self, guess: Guess) -> Guess:
        return replace(guess, devices=(*guess.devices, self._random.choice(_DEVICES)))


def _options(text: str, binary: Binary) -> dict[str, str]:
    """Return the capabilities of a text that a release has, by name."""
    given = dict(option.split("=", 1) for option in text.split(",") if option)
    return {name: value for name, value in given.items() if name in binary.capability}


def levels(capability: CapabilityAt) -> tuple[str, ...]:
    """Return the values of a capability that are worth a question."""
    if capability.kind is Form.BOOL:
        return ("on", "off")
    return ("4k", "64k", "16m") if capability.kind is Form.PAGE_SIZE else tuple(capability.values)
