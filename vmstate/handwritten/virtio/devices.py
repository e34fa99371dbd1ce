"""Each type of device by the name of its description: its kind, and the forms of its own part."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe import VMStateDescription
from vmstate.handwritten.virtio.balloon import BALLOON, MISSPELT_POISON
from vmstate.handwritten.virtio.block import block_device
from vmstate.handwritten.virtio.iommu import IOMMU
from vmstate.handwritten.virtio.memory import MemoryState, memory_device
from vmstate.handwritten.virtio.net import ManyQueues, NetState, net_device
from vmstate.handwritten.virtio.nsm import NSM
from vmstate.handwritten.virtio.serial import SerialState, serial_device
from vmstate.handwritten.virtio.state import NEWEST, VirtioState


@dataclass(frozen=True)
class Own:
    """One form of a device's own part: descriptions that follow one another, and what they are read into."""

    parts: tuple[VMStateDescription, ...] = ()
    state: type[VirtioState] = VirtioState


@dataclass(frozen=True)
class DeviceType:
    """A type of device; ``kind``: its name for features and configuration.

    ``forms``: what its own part may be; nothing in the bytes says which it is, but only one fits their
    number.
    """

    kind: str
    forms: tuple[Own, ...] = (Own(),)


def _own(*parts: VMStateDescription, state: type[VirtioState] = VirtioState, release: str = NEWEST) -> Own:
    return Own(tuple(part.at(release) for part in parts), state)


_NO, _YES = False, True
DEVICES = {
    "virtio-net": DeviceType(
        "virtio-net",
        tuple(_own(net_device(), state=state) for state in (NetState, ManyQueues)),
    ),
    "virtio-blk": DeviceType(
        "virtio-blk",
        tuple(
            _own(block_device(many_queues=many, packed=packed))
            for packed in (_NO, _YES)
            for many in (_NO, _YES)
        ),
    ),
    "vhost-user-blk": DeviceType("virtio-blk"),
    "virtio-console": DeviceType(
        "virtio-console",
        tuple(_own(serial_device(packed=packed), state=SerialState) for packed in (_NO, _YES)),
    ),
    "virtio-rng": DeviceType("virtio-rng"),
    "virtio-balloon": DeviceType("virtio-balloon", (_own(BALLOON), _own(BALLOON, MISSPELT_POISON))),
    "virtio-scsi": DeviceType("virtio-scsi"),
    "virtio-vhost_scsi": DeviceType("virtio-scsi"),
    "virtio-gpu": DeviceType("virtio-gpu"),
    "virtio-input": DeviceType("virtio-input"),
    "virtio-9p": DeviceType("virtio-9p"),
    "virtio-vhost_vsock": DeviceType("virtio-vsock"),
    "virtio-iommu": DeviceType("virtio-iommu", (_own(IOMMU), _own(IOMMU, release="6.2"))),
    "virtio-mem": DeviceType(
        "virtio-mem", tuple(_own(memory_device(early=early), state=MemoryState) for early in (_NO, _YES))
    ),
    "virtio-rtc": DeviceType("virtio-rtc"),
    "virtio-nsm": DeviceType("virtio-nsm", (_own(NSM),)),
    "vhost-user-fs": DeviceType("virtio-fs"),
}
