"""virtio-rng: a source of random numbers (hw/virtio/virtio-rng.c)."""

from __future__ import annotations

from vmstate.describe.history import History, Span
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    backend,
    checking,
    count,
    ioeventfd,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption


class VirtioRng(VirtioDevice):
    """A source of random numbers."""

    description = virtio("virtio-rng", 1)
    model = VirtioModel(0x1005, 4, 0x00FF00, 0, 0x0)


NAME, OWNER = "virtio-rng-pci", "virtio-rng-device"
_LIMIT = "a limit of the running device"


def _positive(value: str) -> bool:
    return int(value, 0) > 0


def _signed(value: str) -> bool:
    return 0 <= int(value, 0) < 1 << 63


VECTORS = vectors(NAME, History("0", ("7.2", "4294967295")), Span("7.2"))
PROPERTIES = (
    VECTORS,
    Property(OWNER, "rng", "", "link<rng-backend>", Effect.HARMLESS, "where the numbers come from"),
    Property(OWNER, "period", "65536", "uint32", Effect.HARMLESS, _LIMIT, values=_positive),
    Property(OWNER, "max-bytes", str((1 << 63) - 1), "uint64", Effect.HARMLESS, _LIMIT, values=_signed),
    *ioeventfd(NAME, "7.2"),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)


def check(machine: Machine, option: DeviceOption) -> None:
    """A source that is named must exist.  What QEMU says if not is not modelled."""
    source = option.get("rng")
    if source is not None and all(source != one.id for one in machine.objects):
        raise ConfigurationError(f"{option.text}: no such -object {source}")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a source."""
    machine = board.machine
    number = count(VECTORS, machine, option, NAME, 2)
    features = offered(machine, option, NAME, ())
    chosen = options(machine, option, NAME, VirtioRng.model, [8], number, features=features)
    board.plug_pci(VirtioRng(machine, chosen), NAME, option)


DRIVERS = (
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        examples=("-device virtio-rng-pci", "-device virtio-rng-pci,addr=9"),
    ),
)
