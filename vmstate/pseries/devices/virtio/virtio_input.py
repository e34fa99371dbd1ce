"""virtio-input: keyboard, mouse, tablet, touch screen (hw/input/virtio-input.c, virtio-input-hid.c)."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver, Plug, plug_nothing
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    backend,
    checking,
    count,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

FIRST = Span("2.4")
_SENT = Span("2.6")  # before, a stream had nothing of it
_INPUT, _KEYBOARD, _MOUSE = 0x098000, 0x090000, 0x090200
_ANSWERS = "what the device answers when a guest reads it"
QUEUE_SIZE = 64
LONGEST_ANSWER = 128
#: Selection, subselection and size stand before each answer of the configuration.
HEADER = 8


class VirtioInput(VirtioDevice):
    """A device without an event; its configuration is as long as its longest answer."""

    description = virtio("virtio-input", 1)
    model = VirtioModel(0, 18, _INPUT, 51, only_modern=True)


def _short(value: str) -> bool:
    return len(value.encode()) <= LONGEST_ANSWER


VECTORS = vectors("virtio-input-pci", "2")
SERIAL = Property("virtio-input-device", "serial", values=_short)
WHEEL_UNTIL = "11.0"


@dataclass(frozen=True)
class _Kind:
    """A kind of device: its name, its PCI class, its longest answer in bytes, its own properties."""

    name: str
    class_code: int
    answer: int
    properties: tuple[Property, ...] = ()
    span: Span = FIRST
    aliases: tuple[str, ...] = ()

    @property
    def driver(self) -> str:
        return f"virtio-{self.name}-pci"

    @property
    def owner(self) -> str:
        return f"virtio-{self.name}-device"


def _plug(kind: _Kind) -> Plug:
    def plug(board: Board, option: DeviceOption | None) -> None:
        machine = board.machine
        serial = SERIAL.text(machine, option, kind.driver)
        size = HEADER + max(kind.answer, len(serial.encode()))
        number = count(VECTORS, machine, option, kind.driver, 2)
        model = VirtioModel(0, 18, kind.class_code, size, only_modern=True)
        features = offered(machine, option, kind.driver, (), only_modern=True)
        queues = [QUEUE_SIZE] * 2
        chosen = options(machine, option, kind.driver, model, queues, number, features=features)
        board.plug_pci(VirtioInput(machine, chosen), kind.driver, option)

    return plug


def check(machine: Machine, option: DeviceOption) -> None:
    """Raise ConfigurationError for a release in which a stream has nothing of the device."""
    if not _SENT.covers(machine.release):
        raise NotModelled(f"{option.text}: not modelled in {machine.release}")


def _driver(kind: _Kind) -> Driver:
    own = (
        *harmless("virtio-input-hid-device", "str", "where the host's events come from", "display"),
        *harmless("virtio-input-hid-device", "uint32", "where the host's events come from", "head"),
    )
    return Driver(
        kind.driver,
        _plug(kind),
        kind.span,
        check=checking(check, only_modern=True),
        properties=(VECTORS, SERIAL, *own, *kind.properties, backend(kind.owner), *virtio_pci.PROPERTIES),
        aliases=kind.aliases,
        examples=(f"-device {kind.driver}",),
    )


def _wheel(name: str) -> tuple[Property, ...]:
    return harmless(f"virtio-{name}-device", "bool", _ANSWERS, "wheel-axis", span=Span("2.11", WHEEL_UNTIL))


_KINDS = (
    _Kind("keyboard", _KEYBOARD, 29, aliases=("virtio-keyboard",)),
    _Kind("mouse", _MOUSE, 43, _wheel("mouse"), aliases=("virtio-mouse",)),
    _Kind("tablet", _INPUT, 43, _wheel("tablet"), aliases=("virtio-tablet",)),
    _Kind("multitouch", _INPUT, 43, span=Span("8.1")),
)


def check_host(machine: Machine, option: DeviceOption) -> None:
    """Refuse the host's device without its path (``virtio_input_host_realize``)."""
    if option.get("evdev") is None:
        raise Refused(f"{option.text}: evdev property is required")
    raise NotModelled(f"{option.text}: a device of the host is not modelled")


HOST = Driver(
    "virtio-input-host-pci",
    plug_nothing,
    FIRST,
    check=checking(check_host, only_modern=True),
    properties=(
        *(VECTORS, SERIAL),
        Property("virtio-input-host-device", "evdev"),
        backend("virtio-input-host-device"),
        *virtio_pci.PROPERTIES,
    ),
    aliases=("virtio-input-host",),
)

DRIVERS = (*(_driver(kind) for kind in _KINDS), HOST)
