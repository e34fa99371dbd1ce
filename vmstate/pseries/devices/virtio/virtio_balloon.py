"""virtio-balloon: memory that a guest gives back (hw/virtio/virtio-balloon.c)."""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe import History
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.handwritten.virtio import balloon
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.bus_properties import going
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, not_modelled
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    backend,
    base,
    checking,
    count,
    feature,
    forms,
    ioeventfd,
    named,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


def hints(balloon: VirtioBalloon) -> bool:
    """The property ``free-page-hint`` is on (off by default)."""
    return bool(balloon.free_page_hint)


def poison(balloon: VirtioBalloon) -> bool:
    """The property ``page-poison`` is on (off for machine types up to 5.0)."""
    return bool(balloon.page_poison)


_NEEDED = {
    "virtio-balloon-device/free-page-report": hints,
    "vitio-balloon-device/page-poison": poison,
    "virtio-balloon-device/page-poison": poison,
}
BALLOON = replace(
    balloon.BALLOON,
    subsections=[replace(one, needed=_NEEDED[one.name]) for one in balloon.BALLOON.subsections],
)


class VirtioBalloon(VirtioDevice):
    """An empty balloon.  Page poisoning is offered, but used only if the guest asks for it."""

    description = virtio("virtio-balloon", 1, BALLOON)
    model = VirtioModel(0x1002, 5, 0x00FF00, 16)
    num_pages = actual = poison_val = cmd_id = hint_status = 0
    free_page_hint = page_poison = False


NAME, OWNER = "virtio-balloon-pci", "virtio-balloon-device"
BASE = base(NAME)
F_STATS = 0x2
FREE_PAGE_HINT = feature(OWNER, "free-page-hint", 3, "off", Span("4.0"))
#: The property is newer than most machine types.
PAGE_POISON = feature(OWNER, "page-poison", 4, History("off", ("5.1", "on")), Span("5.1"))
REPORTING = feature(OWNER, "free-page-reporting", 5, "off", Span("5.1"))
FEATURES = (feature(OWNER, "deflate-on-oom", 2, "off"), FREE_PAGE_HINT, PAGE_POISON, REPORTING)
CONFIG_SIZE_4_0 = Property(OWNER, "qemu-4-0-config-size", "off", "bool", span=Span("4.1"))
VECTORS = vectors(BASE, History("0", ("10.0", "4294967295")), Span("10.0"))
PROPERTIES = (
    *FEATURES,
    *going(CONFIG_SIZE_4_0),
    VECTORS,
    Property(BASE, "class", "0", "uint32", Effect.NOT_MODELLED, span=Span(until="6.0")),
    not_modelled(OWNER, "iothread", "link<iothread>", span=Span("4.0")),
    not_modelled(OWNER, "guest-stats", "guest statistics"),
    not_modelled(OWNER, "guest-stats-polling-interval", "int", "0"),
    *ioeventfd(BASE, "10.0"),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)
_HINT_CHECKED = Span("5.1")


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a second balloon, and hints without a thread (``virtio_balloon_device_realize``)."""
    name = option.driver
    if any(other.driver in {one.name for one in DRIVERS} for other in machine.earlier(option)):
        raise Refused(f"{option.text}: Only one balloon device is supported")
    if FREE_PAGE_HINT.flag(machine, option, name):
        if not _HINT_CHECKED.covers(machine.release):
            raise NotModelled(f"{option.text}: free-page-hint is not modelled in {machine.release}")
        raise Refused(f"{option.text}: 'free-page-hint' requires 'iothread' to be set")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a balloon: queues to inflate, to deflate, for statistics, and perhaps for reports."""
    machine = board.machine
    name = named(option, NAME)
    long = PAGE_POISON.flag(machine, option, name) or CONFIG_SIZE_4_0.flag(machine, option, name)
    queues = [128] * 3 + ([32] if REPORTING.flag(machine, option, name) else [])
    number = count(VECTORS, machine, option, name, 2)
    features = offered(machine, option, name, FEATURES, F_STATS)
    size = 16 if long else 8
    chosen = options(machine, option, name, VirtioBalloon.model, queues, number, size, features)
    balloon = VirtioBalloon(machine, chosen)
    board.plug_pci(balloon, name, option)


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        aliases=("virtio-balloon",),
        examples=("-device virtio-balloon-pci",),
    )
)
