"""The field ``virtio``, which all virtio devices on PCI send (hw/virtio/virtio.c, hw/virtio/virtio-pci.c).

QEMU writes it by hand, so the vmdesc has one field of type ``virtio``; here its content is declared too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vmstate.dataclass import replace
from vmstate.describe import (
    Cursor,
    Field,
    Plan,
    Release,
    Struct,
    VMStateDescription,
    Writer,
    plan_of,
)
from vmstate.describe.diagnostics import FieldFailed
from vmstate.describe.infos import Bytes, Info, Scalar
from vmstate.errors import StreamError
from vmstate.handwritten.virtio import pci
from vmstate.handwritten.virtio.blob import open_configuration
from vmstate.handwritten.virtio.common import CONFIG, QUEUE_COUNT, state_fields, subsections
from vmstate.pseries.devices.pci.pci_device import PCI_DEVICE
from vmstate.pseries.devices.virtio.indexes import BIG_ENDIAN, LITTLE_ENDIAN, VERSION_1
from vmstate.pseries.devices.virtio.load import (
    Parts,
    check_count,
    check_selected,
    check_vector,
    load,
    skip,
)

if TYPE_CHECKING:
    from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice

CONTENT = "virtio-device"


# ---- subsections


def other_endian(device: VirtioDevice) -> bool:
    """The guest drives the device in a byte order other than the target's, or than virtio 1's."""
    modern = device.guest_features_64 & VERSION_1
    return bool(device.device_endian != (LITTLE_ENDIAN if modern else BIG_ENDIAN))


def modern(device: VirtioDevice) -> bool:
    """The device offers virtio 1 (``disable-modern=off``)."""
    return bool(device.modern)


def features_above_32(device: VirtioDevice) -> bool:
    """The device offers a feature above bit 31."""
    return bool(device.host_features >> 32)


def other_ring_sizes(device: VirtioDevice) -> bool:
    """A queue has a size other than the one that it was made with."""
    return bool(device.resized)


def broken(device: VirtioDevice) -> bool:
    """The guest has broken the device."""
    return bool(device.broken)


def extra_state(device: VirtioDevice) -> bool:
    """The property ``migrate-extra`` is on (off for machine types up to 2.4)."""
    return bool(device.migrate_extra)


def started(device: VirtioDevice) -> bool:
    """The guest's driver has started the device."""
    return bool(device.started)


def packed(device: VirtioDevice) -> bool:
    """The device offers packed queues, which is not the default."""
    return bool(device.packed)


def disabled(device: VirtioDevice) -> bool:
    """The device is disabled until its backend is there."""
    return bool(device.disabled)


def load_64_bits(device: VirtioDevice) -> None:
    """Use the 64-bit features that follow, not the lower half that was loaded before."""
    device.has_64_bits = True


def load_packed(device: VirtioDevice) -> None:
    """Use the indexes that follow; QEMU loads them into its queues whether or not these are packed."""
    device.has_packed = True


def features_above_64(device: VirtioDevice) -> bool:
    """The device offers a feature above bit 63."""
    return bool(device.wide_features)


FEATURES_128 = replace(pci.FEATURES_128, needed=features_above_64)
MODERN_STATE = replace(pci.MODERN_STATE, needed=modern, subsections=[FEATURES_128])
VIRTIO_PCI = replace(pci.VIRTIO_PCI, subsections=[MODERN_STATE])


def _without_index(report: FieldFailed) -> FieldFailed:
    return replace(report, field=report.field.partition("[")[0])


class ExtraState(Info):
    """The state of the bus, by its own description (get_extra_state, virtio_pci_load_extra_state)."""

    name = "virtqueue_extra_state"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        earlier = len(cur.diagnostics)
        try:
            plan_of(VIRTIO_PCI.at(state.machine.release)).load(cur, state, 1)
        except StreamError:
            halves = cur.diagnostics[earlier:]  # in QEMU the fields are arrays of two
            cur.diagnostics[earlier:] = [
                _without_index(r) if isinstance(r, FieldFailed) else r for r in halves
            ]
            raise

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(VIRTIO_PCI.at(state.machine.release)).save(out, state)


_NEEDED = {
    "virtio/device_endian": other_endian,
    "virtio/128bit_features": features_above_64,
    "virtio/64bit_features": features_above_32,
    "virtio/virtqueues": modern,
    "virtio/ringsize": other_ring_sizes,
    "virtio/broken": broken,
    "virtio/extra_state": extra_state,
    "virtio/started": started,
    "virtio/packed_virtqueues": packed,
    "virtio/disabled": disabled,
}
_PRE_LOAD = {"virtio/64bit_features": load_64_bits, "virtio/packed_virtqueues": load_packed}


def common(kind: str) -> VMStateDescription:
    """Return the part that all devices send last; ``kind`` names their features."""
    return VMStateDescription(
        "virtio",
        1,
        1,
        subsections=[
            replace(one, needed=_NEEDED[one.name], pre_load=_PRE_LOAD.get(one.name))
            for one in subsections(kind, ExtraState())
        ],
    )


VIRTIO = common("virtio")


# ---- the whole field


class DeviceConfig(Bytes):
    """The device's configuration; a destination reads as much as its own has, and skips the rest."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> Any:
        if cur.judge:
            skip(cur, state, size)
            size = min(size, cur.end - cur.pos + len(state.config))
        return cur.take(size)


class Checked(Scalar):
    """A number that is checked as soon as it is read."""

    def __init__(self, name: str, code: str, check: Callable[[VirtioDevice, int, int], None]) -> None:
        super().__init__(name, code)
        self._check = check

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        at = cur.pos
        number: int = super().get(cur, field, state, size, old)
        if cur.judge:
            self._check(state, number, at)
        return number


class QueueCount(Checked):
    """The number of queues that follow; a device may make them before any is read."""

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> int:
        count = super().get(cur, field, state, size, old)
        if cur.judge:
            state.pre_load_queues(cur, count)
        return count


_CHECKED: dict[str, Info] = {
    "config_vector": Checked("uint16", "H", check_vector),
    "queue_sel": Checked("uint16", "H", check_selected),
    "config": DeviceConfig("buffer"),
    "queues": QueueCount("uint32", "I", check_count),
}


def fields_by_hand(kind: str) -> list[Field]:
    """Return what is read before a device's own part, with the checks of ``virtio_load``."""
    fields = [*pci.VECTORS, *state_fields(kind), CONFIG, QUEUE_COUNT, *pci.QUEUES]
    return [replace(one, info=_CHECKED.get(one.name, one.info)) for one in fields]


_PCI = Struct("pci", PCI_DEVICE)


class VirtioInfo(Info):
    """The content of a device whose own part is ``own`` (virtio_device_get, virtio_device_put)."""

    name = "virtio"

    def __init__(self, kind: str, own: VMStateDescription | None, *, by_hand: bool) -> None:
        self.own, self.by_hand = own, by_hand
        self.kind = kind
        device = [] if own is None else [Struct("device", own, attr=".")]
        shared = common(kind)
        self.content = replace(shared, fields=[_PCI, *fields_by_hand(kind), *device])
        self._parts: dict[Release, Parts] = {}

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        release = state.machine.release
        if cur.judge:
            load(cur, state, self._parts.get(release) or self._compiled(release))
        else:
            plan_of(self.content.at(release)).load(cur, state, 1)
            if cur.tree is not None:
                open_configuration(self.kind, "big", state, cur.tree.innermost, cur.data)

    def _compiled(self, release: Release) -> Parts:
        def plan(vmsd: VMStateDescription) -> Plan:
            return plan_of(vmsd.at(release))

        queues = plan(VMStateDescription(CONTENT, fields=fields_by_hand("virtio")))
        own = None if self.own is None else plan(self.own)
        parts = Parts(plan(PCI_DEVICE), queues, own, plan(VIRTIO), self.by_hand)
        self._parts[release] = parts
        return parts

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(self.content.at(state.machine.release)).save(out, state)


def virtio(
    name: str, version_id: int, own: VMStateDescription | None = None, *, by_hand: bool = False
) -> VMStateDescription:
    """Return the description of a virtio device whose own part is ``own`` (VMSTATE_VIRTIO_DEVICE).

    ``by_hand``: QEMU reads and writes that part without a description (the device's ``load`` and ``save``).
    """
    field = Field("virtio", VirtioInfo(name, own, by_hand=by_hand), attr="virtio")
    return VMStateDescription(name, version_id=version_id, minimum_version_id=version_id, fields=[field])
