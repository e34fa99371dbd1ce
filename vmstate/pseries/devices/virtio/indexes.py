"""The indexes of a virtio queue, compared with those of the guest's driver in guest memory.

hw/virtio/virtio.c ``virtio_load``, after all parts are loaded.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from vmstate.describe import Cursor, History
from vmstate.describe.diagnostics import EPERM, LoadFailure
from vmstate.errors import NotModelled
from vmstate.handwritten.virtio.rings import legacy_rings
from vmstate.pseries.devices.interrupts.spapr_irq import pulse
from vmstate.pseries.devices.pci.config_space import is_bus_master, msix_in_use
from vmstate.pseries.devices.pci.spapr_iommu import translate

VERSION_1, ACCESS_PLATFORM, RING_PACKED = 1 << 32, 1 << 33, 1 << 34
LITTLE_ENDIAN, BIG_ENDIAN = 1, 2  # enum virtio_device_endian
DRIVER_OK = 4  # of the device's status
NO_VECTOR = 0xFFFF
#: Where a host bridge takes messages (include/hw/pci-host/spapr.h, hw/ppc/spapr_pci.c).
MSI_WINDOW, MSI_WINDOW_SIZE = 1 << 42, 4096
_ENTRY = Struct("<QII")  # of the MSI-X table: address, data, mask

#: The effect of a driver's index that is too far from the device's.
TOO_FAR = History("refused", ("5.2", "silent"), ("6.0", "broken"))


def check_indexes(cur: Cursor, state: Any, features: int, at: int) -> None:
    """Check all queues in use.  Raises LoadFailure, NotModelled where guest memory does not tell."""
    if features & RING_PACKED:
        return
    for i, queue in enumerate(state.queues):
        if queue.desc:
            _check(cur, state, i, features, at)


def _check(cur: Cursor, state: Any, i: int, features: int, at: int) -> None:
    queue = state.queues[i]
    num, last = int(queue.num), int((state.packs[i] if state.has_packed else queue).last_avail_idx)
    avail, used = _rings(state, i, features)
    guest = _index(state, avail, features) if num else None
    if guest is None:
        raise NotModelled(f"queue {i}: its index in guest memory, which the stream does not tell", offset=at)
    heads = (guest - last) & 0xFFFF
    if heads > num:
        line = f"VQ {i} size 0x{num:x} Guest index 0x{guest:x} inconsistent with Host index 0x{last:x}"
        line += f": delta 0x{heads:x}"
        effect = TOO_FAR.at(state.machine.release)
        if effect != "silent":
            state.say(line)
        if effect == "refused":
            raise LoadFailure(-EPERM, line, offset=at, path=f"vq[{i}]", found=guest, expected=last)
        if effect == "broken":
            _notify(state, features)
            return
    done = _index(state, used, features)
    if done is None:
        raise NotModelled(f"queue {i}: its index in guest memory, which the stream does not tell", offset=at)
    if (last - done) & 0xFFFF > num:
        line = f"VQ {i} size 0x{num:x} < last_avail_idx 0x{last:x} - used_idx 0x{done:x}"
        state.say(line)
        raise LoadFailure(-EPERM, line, offset=at, path=f"vq[{i}]", found=done, expected=last)


def _notify(state: Any, features: int) -> None:
    """Tell the driver that its device is broken, by a message interrupt (virtio_error, msix_notify).

    Raises Aborts if the message, which the stream has brought, is an interrupt that no device has.
    """
    config, vector = bytes(state.pci.config), int(state.config_vector)
    modern = features & VERSION_1 and state.device_status & DRIVER_OK
    if not modern or not state.vectors or vector == NO_VECTOR or not msix_in_use(config):
        return
    address, data, masked = _ENTRY.unpack_from(bytes(state.msix), vector * _ENTRY.size)
    if not masked & 1 and MSI_WINDOW <= address < MSI_WINDOW + MSI_WINDOW_SIZE and is_bus_master(config):
        pulse(state.machine, data)


def _rings(state: Any, i: int, features: int) -> tuple[int, int]:
    """Return the addresses of the driver's and the device's ring; a legacy device computes them."""
    if features & VERSION_1:
        return int(state.rings[i].avail), int(state.rings[i].used)
    return legacy_rings(int(state.queues[i].desc), int(state.queues[i].num))


def _index(state: Any, ring: int, features: int) -> int | None:
    """Return the index of a ring in guest memory, in the device's byte order.

    An IOMMU may translate its address; where the device may not read, it reads 0.
    """
    read = state.machine.guest_memory
    place: int | None = ring + 2
    if state.host_features & ACCESS_PLATFORM:
        if len(state.machine.bridges) > 1:
            return None
        place = translate(state.machine, ring + 2)
    if place is None:
        return 0
    raw = None if read is None else read(place, 2)
    little = features & VERSION_1 or state.device_endian == LITTLE_ENDIAN
    return None if raw is None else int.from_bytes(raw, "little" if little else "big")
