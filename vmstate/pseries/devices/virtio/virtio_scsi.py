"""virtio-scsi: SCSI adapters (hw/scsi/virtio-scsi.c)."""

from __future__ import annotations

from vmstate.describe.history import Span
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.pci_bus import PCI
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.board.scsi_bus import scsi_bus
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


class VirtioScsi(VirtioDevice):
    """A SCSI adapter."""

    description = virtio("virtio-scsi", 1)
    model = VirtioModel(0x1004, 8, 0x010000, 36)


NAME, OWNER = "virtio-scsi-pci", "virtio-scsi-device"
BASE = base(NAME)
BUS = scsi_bus(0, 255, 16383)
MOST_QUEUES, FEWEST_ENTRIES = 1022, 2
_ANSWERS = "what the device answers when a guest reads it"


def _room(value: str) -> bool:
    return 0 <= int(value, 0) <= virtio_pci.MAX_QUEUE_SIZE


NUM_QUEUES = Property(OWNER, "num_queues", "4294967295", "uint32")
QUEUE_SIZE = Property(OWNER, "virtqueue_size", "256", "uint32", span=Span("2.11"), values=_room)
VECTORS = vectors(BASE)
FEATURES = (feature(OWNER, "hotplug", 1), feature(OWNER, "param_change", 2))
PROPERTIES = (
    *(NUM_QUEUES, QUEUE_SIZE, VECTORS, *FEATURES),
    *harmless(OWNER, "uint32", _ANSWERS, "max_sectors", "cmd_per_lun"),
    *harmless(OWNER, "bool", _ANSWERS, "seg_max_adjust", span=Span("5.0")),
    not_modelled(OWNER, "iothread", "link<iothread>", span=Span("2.10")),
    not_modelled(OWNER, "iothread-vq-mapping", "IOThreadVirtQueueMappingList", span=Span("10.0")),
    *ioeventfd(BASE),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)


def check(machine: Machine, option: DeviceOption) -> None:
    """Check the number of queues and their size (``virtio_scsi_common_realize``)."""
    name = option.driver
    number = count(NUM_QUEUES, machine, option, name, 1)
    if not 0 < number <= MOST_QUEUES:
        line = f"Invalid number of queues (= {number}), must be a positive integer less than"
        raise Refused(f"{option.text}: {line} {MOST_QUEUES}.")
    size = QUEUE_SIZE.number(machine, option, driver=name)
    if size <= FEWEST_ENTRIES:
        raise Refused(
            f"{option.text}: invalid virtqueue_size property (= {size}), must be > {FEWEST_ENTRIES}"
        )


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug an adapter: a queue for each processor, one for control and one for events."""
    machine = board.machine
    name = named(option, NAME)
    number = count(NUM_QUEUES, machine, option, name, machine.topology.cpus)
    size = QUEUE_SIZE.number(machine, option, driver=name)
    vectors = count(VECTORS, machine, option, name, number + 3)
    features = offered(machine, option, name, FEATURES)
    queues = [size] * (number + 2)
    chosen = options(machine, option, name, VirtioScsi.model, queues, vectors, features=features)
    path = board.plug_pci(VirtioScsi(machine, chosen), name, option)
    board.add_bus(BUS, PCI, option, path)


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        behind=BUS,
        check=checking(check),
        properties=PROPERTIES,
        aliases=("virtio-scsi",),
        examples=("-device virtio-scsi-pci", "-device virtio-scsi-pci,addr=7"),
    )
)
