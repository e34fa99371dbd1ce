"""virtio-rng: a source of random numbers (hw/virtio/virtio-rng.c)."""

from __future__ import annotations

from vmstate.describe.history import History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    backend,
    base,
    checking,
    count,
    forms,
    ioeventfd,
    named,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


class VirtioRng(VirtioDevice):
    """A source of random numbers."""

    description = virtio("virtio-rng", 1)
    model = VirtioModel(0x1005, 4, 0x00FF00, 0)


NAME, OWNER = "virtio-rng-pci", "virtio-rng-device"
BASE = base(NAME)
_LIMIT = "a limit of the running device"


#: The lowest limit on bytes, and how a lower one is refused.
_LEAST = History((0, "non-negative"), ("9.1", (1, "positive")))
VECTORS = vectors(BASE, History("0", ("7.2", "4294967295")), Span("7.2"))
#: Then old machine types had MSI-X too, which the next stable release took from them (commit bad9c5a516).
_MSIX_IN_OLD_TYPES = Span("7.2.0", "7.2.1")
PERIOD = Property(OWNER, "period", "65536", "uint32", Effect.HARMLESS, _LIMIT)
MAX_BYTES = Property(OWNER, "max-bytes", str((1 << 63) - 1), "uint64", Effect.HARMLESS, _LIMIT)
PROPERTIES = (
    VECTORS,
    Property(OWNER, "rng", "", "link<rng-backend>", Effect.HARMLESS, "where the numbers come from"),
    *(PERIOD, MAX_BYTES),
    *ioeventfd(BASE, "7.2"),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)


def check(machine: Machine, option: DeviceOption) -> None:
    """``virtio_rng_device_realize``."""
    name = option.driver
    if _MSIX_IN_OLD_TYPES.covers(machine.release) and machine.older_than("7.2"):
        raise NotModelled(
            f"{option.text}: its MSI-X in {machine.release} on old machine types is not modelled"
        )
    if PERIOD.number(machine, option, driver=name) <= 0:
        raise Refused(f"{option.text}: 'period' parameter expects a positive integer")
    least, words = _LEAST.at(machine.release)
    if not least <= MAX_BYTES.number(machine, option, driver=name) & (1 << 64) - 1 < 1 << 63:
        raise Refused(f"{option.text}: 'max-bytes' parameter must be {words}, and less than 2^63")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a source."""
    machine = board.machine
    name = named(option, NAME)
    number = count(VECTORS, machine, option, name, 2)
    features = offered(machine, option, name, ())
    chosen = options(machine, option, name, VirtioRng.model, [8], number, features=features)
    board.plug_pci(VirtioRng(machine, chosen), name, option)


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        aliases=("virtio-rng",),
        examples=("-device virtio-rng-pci", "-device virtio-rng-pci,addr=9"),
    )
)
