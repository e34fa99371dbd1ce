"""virtio-crypto: ciphers of the host; a machine with one cannot be migrated (hw/virtio/virtio-crypto.c)."""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
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
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


class VirtioCrypto(VirtioDevice):
    """A device that no driver has used."""

    description = replace(virtio("virtio-crypto", 1), unmigratable=True)
    model = VirtioModel(0, 20, 0x00FF00, 56, only_modern=True)


NAME, OWNER = "virtio-crypto-pci", "virtio-crypto-device"
QUEUES = (1024, 64)
FIRST, _MODELLED = Span("2.8"), Span("5.2")
BACKENDS = frozenset({"cryptodev-backend-builtin"})
VECTORS = vectors(NAME, "2")
CRYPTODEV = Property(OWNER, "cryptodev", "", "link<cryptodev-backend>", by_global=False)
PROPERTIES = (VECTORS, CRYPTODEV, *ioeventfd(NAME), backend(OWNER), *virtio_pci.PROPERTIES)


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a device without a back end of its own (``virtio_crypto_device_realize``)."""
    if not _MODELLED.covers(machine.release):
        raise NotModelled(f"{option.text}: {NAME} is not modelled in {machine.release}")
    wanted = option.get(CRYPTODEV.name)
    if wanted is None:
        raise Refused(f"{option.text}: 'cryptodev' parameter expects a valid object")
    backend = machine.find_object(wanted)
    if backend is None or backend.driver not in BACKENDS:
        raise NotModelled(f"{option.text}: cryptodev={wanted} is not modelled")
    before = machine.earlier(option)
    if any(one.driver == NAME and one.get(CRYPTODEV.name) == wanted for one in before):
        raise Refused(f"{option.text}: can't use already used cryptodev backend: {wanted}")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a device: a queue for data, one for control."""
    machine = board.machine
    number = count(VECTORS, machine, option, NAME, 2)
    features = offered(machine, option, NAME, (), only_modern=True)
    chosen = options(machine, option, NAME, VirtioCrypto.model, QUEUES, number, features=features)
    board.plug_pci(VirtioCrypto(machine, chosen), NAME, option)


DRIVERS = (
    Driver(
        NAME,
        plug,
        FIRST,
        check=checking(check, only_modern=True),
        properties=PROPERTIES,
        hotpluggable=False,
    ),
)
