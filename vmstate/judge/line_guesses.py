"""Random command lines in the shape that libvirt gives a pseries guest, and changes that users make."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import Release, Span
from vmstate.judge.judge import Side
from vmstate.judge.random_machines import plain_properties
from vmstate.pseries.catalogue import CATALOGUE

#: libvirt writes devices as JSON for QEMUs that read it.
JSON_DEVICES = Span("6.2")

_CPUS = ("POWER8", "POWER9", "power9", "power10")
_SMP = (
    "1,sockets=1,cores=1,threads=1",
    "2,sockets=2,cores=1,threads=1",
    "2,maxcpus=4,sockets=4,cores=1,threads=1",
    "4,sockets=1,cores=2,threads=2",
)
_MEMORY = ("size=262144k", "size=262144k,slots=16,maxmem=4194304k")

Device = dict[str, object]
"""A device as libvirt describes it; the key ``before`` has the words that come before it."""

_NET = ("-netdev", "hubport,hubid=0,id=hostnet0")
_DISK = (
    "-blockdev",
    '{"driver":"null-co","node-name":"libvirt-1-storage","size":1048576,"read-zeroes":true}',
)
_RNG = ("-object", '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}')
_CONSOLE = ("-chardev", "null,id=charserial0")

_PCI: tuple[Device, ...] = (
    {"driver": "virtio-scsi-pci", "id": "scsi0"},
    {"driver": "virtio-serial-pci", "id": "virtio-serial0"},
    {"driver": "virtio-blk-pci", "drive": "libvirt-1-storage", "id": "virtio-disk0", "before": _DISK},
    {
        "driver": "virtio-net-pci",
        "netdev": "hostnet0",
        "id": "net0",
        "mac": "52:54:00:12:34:57",
        "romfile": "",
        "before": _NET,
    },
    {"driver": "virtio-balloon-pci", "id": "balloon0"},
    {"driver": "virtio-rng-pci", "rng": "objrng0", "id": "rng0", "before": _RNG},
    {"driver": "VGA", "id": "video0", "vgamem_mb": 16},
)
_CONTROLLERS: tuple[Device, ...] = (
    {"driver": "pci-ohci", "id": "usb"},
    {"driver": "qemu-xhci", "id": "usb"},
    {"driver": "qemu-xhci", "p2": 15, "p3": 15, "id": "usb"},
    {"driver": "nec-usb-xhci", "id": "usb"},
)
_OTHER: tuple[Device, ...] = (
    {"driver": "usb-kbd", "id": "input0", "bus": "usb.0", "port": "1"},
    {"driver": "usb-tablet", "id": "input1", "bus": "usb.0", "port": "2"},
    {"driver": "spapr-vty", "chardev": "charserial0", "id": "serial0", "reg": 0x30000000, "before": _CONSOLE},
    {"driver": "spapr-vscsi", "id": "scsi1", "reg": 0x2000},
)


@dataclass(frozen=True)
class Line:
    """The parts of a command line; ``devices`` in order."""

    type_name: str
    cpu: str
    memory: str
    smp: str
    backend: bool
    devices: tuple[Device, ...] = ()
    machine: dict[str, str] = field(default_factory=dict)

    def side(self, release: Release) -> Side:
        """Return the line for a release."""
        machine = [self.type_name, "usb=off", "dump-guest-core=off"]
        words = ["-nodefaults", "-name", "guest=g,debug-threads=on"]
        if self.backend:
            machine.append("memory-backend=ppc_spapr.ram")
            words += ["-object", _backend(release)]
        plain = {**plain_properties(CATALOGUE.binary(release)), **self.machine}
        machine += [f"{key}={value}" for key, value in plain.items()]
        words += ["-machine", ",".join(machine), "-accel", "tcg", "-cpu", self.cpu, "-m", self.memory]
        words += ["-overcommit", "mem-lock=off", "-smp", self.smp, "-no-user-config"]
        words += ["-rtc", "base=utc", "-no-shutdown", "-boot", "strict=on"]
        for device in self.devices:
            before = device.get("before", ())
            assert isinstance(before, tuple)
            words += [*before, "-device", _device(device, release)]
        return Side.of(release, words)


def _backend(release: Release) -> str:
    if JSON_DEVICES.covers(release):
        return '{"qom-type":"memory-backend-ram","id":"ppc_spapr.ram","size":268435456}'
    return "memory-backend-ram,id=ppc_spapr.ram,size=268435456"


def _device(device: Device, release: Release) -> str:
    shown = {key: value for key, value in device.items() if key != "before"}
    if JSON_DEVICES.covers(release):
        return json.dumps(shown)
    driver = shown.pop("driver")
    return ",".join([str(driver), *(f"{key}={value}" for key, value in shown.items())])


class LineGuesses:
    """Groups of a source and its destinations, by ``seed``."""

    def __init__(self, seed: int, releases: Sequence[Release]) -> None:
        self._random = random.Random(seed)
        self._releases = releases

    def groups(self, destinations: int) -> Iterator[tuple[Side, list[Side]]]:
        """Yield sources, each with that many destinations."""
        while True:
            release = self._random.choice(self._releases)
            names = list(CATALOGUE.binary(release).machine_types)
            type_name = names[0] if self._random.random() < 0.5 else self._random.choice(names)
            line = self._line(type_name)
            sides = [self._other(line, release) for _ in range(destinations)]
            yield line.side(release), sides

    def _line(self, type_name: str) -> Line:
        pick = self._random
        devices = [pick.choice(_CONTROLLERS)]
        devices += pick.sample(_PCI, pick.randrange(len(_PCI) + 1))
        devices = [{**one, "bus": "pci.0", "addr": hex(slot)} for slot, one in enumerate(devices, 1)]
        devices += pick.sample(_OTHER, pick.randrange(len(_OTHER) + 1))
        return Line(
            type_name,
            pick.choice(_CPUS),
            pick.choice(_MEMORY),
            pick.choice(_SMP),
            pick.random() < 0.5,
            tuple(devices),
        )

    def _other(self, line: Line, release: Release) -> Side:
        able = [one for one in self._releases if line.type_name in CATALOGUE.binary(one).machine_types]
        there = self._random.choice(able) if self._random.random() < 0.4 else release
        changes: tuple[Callable[[Line], Line], ...] = (
            *(self._without, self._without, self._moved, self._moved, self._swapped, self._property),
            *(self._hardware, self._backed, self._capability),
        )
        for _ in range(self._random.choice((0, 1, 1, 1, 2))):
            line = self._random.choice(changes)(line)
        return line.side(there)

    def _place(self, line: Line) -> int:
        return self._random.randrange(len(line.devices))

    def _without(self, line: Line) -> Line:
        if not line.devices:
            return line
        place = self._place(line)
        return replace(line, devices=line.devices[:place] + line.devices[place + 1 :])

    def _changed(self, line: Line, **given: object) -> Line:
        if not line.devices:
            return line
        place = self._place(line)
        one = {**line.devices[place], **given}
        return replace(line, devices=(*line.devices[:place], one, *line.devices[place + 1 :]))

    def _moved(self, line: Line) -> Line:
        return self._changed(line, addr=hex(self._random.randrange(1, 32)))

    def _swapped(self, line: Line) -> Line:
        devices = list(line.devices)
        self._random.shuffle(devices)
        return replace(line, devices=tuple(devices))

    def _property(self, line: Line) -> Line:
        given = self._random.choice(
            (("disable-legacy", "on"), ("packed", True), ("vectors", 3), ("p2", 4), ("event_idx", False))
        )
        return self._changed(line, **dict([given]))

    def _hardware(self, line: Line) -> Line:
        pick = self._random
        changes = (
            replace(line, cpu=pick.choice(_CPUS)),
            replace(line, memory=pick.choice(_MEMORY)),
            replace(line, smp=pick.choice(_SMP)),
        )
        return pick.choice(changes)

    def _backed(self, line: Line) -> Line:
        return replace(line, backend=not line.backend)

    def _capability(self, line: Line) -> Line:
        name = self._random.choice(("cap-vsx", "cap-dfp", "cap-nested-hv", "cap-large-decr"))
        return replace(line, machine={**line.machine, name: self._random.choice(("on", "off"))})
