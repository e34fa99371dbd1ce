"""virtio-balloon: memory that a guest gives back (hw/virtio/virtio-balloon.c)."""

from __future__ import annotations

from vmstate.describe import History, Since, UInt32, Until, VMStateDescription
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import PROPERTIES, VirtioDevice, VirtioModel, options
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


def hints(balloon: VirtioBalloon) -> bool:
    """The property ``free-page-hint`` is on (off by default)."""
    return bool(balloon.free_page_hint)


def poison(balloon: VirtioBalloon) -> bool:
    """The property ``page-poison`` is on (off for machine types up to 5.0)."""
    return bool(balloon.page_poison)


def _hint(prefix: str) -> VMStateDescription:
    return VMStateDescription(
        "virtio-balloon-device/free-page-report",
        1,
        1,
        needed=hints,
        fields=[UInt32(f"{prefix}_cmd_id", attr="cmd_id"), UInt32(f"{prefix}_status", attr="hint_status")],
    )


def _poison(name: str) -> VMStateDescription:
    return VMStateDescription(name, 1, 1, needed=poison, fields=[UInt32("poison_val")])


#: Before, its name was misspelt, so a destination stopped looking for subsections when it came to it.
POISON_RENAMED = "6.2"

BALLOON = VMStateDescription(
    "virtio-balloon-device",
    version_id=1,
    minimum_version_id=1,
    fields=[UInt32("num_pages"), UInt32("actual")],
    subsections=[
        Until("5.1", Since("4.0", _hint("free_page_report"))),
        Since("5.1", _hint("free_page_hint")),
        Until(POISON_RENAMED, Since("5.1", _poison("vitio-balloon-device/page-poison"))),
        Since(POISON_RENAMED, _poison("virtio-balloon-device/page-poison")),
    ],
)


class VirtioBalloon(VirtioDevice):
    """An empty balloon.  Page poisoning is offered, but used only if the guest asks for it."""

    description = virtio("virtio-balloon", 1, BALLOON)
    model = VirtioModel(0x1002, 5, 0x00FF00, 16, 0x2)
    num_pages = actual = poison_val = cmd_id = hint_status = 0
    free_page_hint = page_poison = False


#: The property is newer than most machine types.
PAGE_POISON = Property("virtio-balloon-device", "page-poison", History("off", ("5.1", "on")))
CONFIG_SIZE_4_0 = Property("virtio-balloon-device", "qemu-4-0-config-size", "off")
VECTORS = Property("virtio-balloon-pci", "vectors", "2")
F_PAGE_POISON = 0x10


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a second balloon (``virtio_balloon_device_realize``)."""
    before = machine.devices[: next(place for place, one in enumerate(machine.devices) if one is option)]
    if any(other.driver == option.driver for other in before):
        raise Refused(f"{option.text}: Only one balloon device is supported")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a balloon."""
    machine = board.machine
    poisons = PAGE_POISON.flag(machine, option)
    size = 16 if poisons or CONFIG_SIZE_4_0.flag(machine, option) else 8
    vectors = VECTORS.number(machine, option)
    chosen = options(machine, option, [128] * 3, vectors, size, F_PAGE_POISON if poisons else 0)
    board.plug_pci(VirtioBalloon(machine, chosen), "virtio-balloon-pci", option)


DRIVERS = (
    Driver(
        "virtio-balloon-pci",
        plug,
        check=check,
        properties=(PAGE_POISON, CONFIG_SIZE_4_0, VECTORS, *PROPERTIES),
        examples=("-device virtio-balloon-pci",),
    ),
)
