"""An adapter's serial ports (hw/char/virtio-serial-bus.c ``virtio_serial_save_device``)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Struct, UInt8, UInt16, UInt32, UInt64, VMStateDescription
from vmstate.handwritten.virtio.elements import Elem
from vmstate.handwritten.virtio.state import VirtioState

PORTS_IN_A_WORD = 32


def words_of_map(max_nr_ports: int) -> int:
    """Return the words of the map of ports, whose number is sent in the byte order of the guest."""
    swapped = int.from_bytes(max_nr_ports.to_bytes(4, "little"), "big")
    return -(-min(swapped, max_nr_ports) // PORTS_IN_A_WORD)


class SerialState(VirtioState):
    """An adapter's values."""

    max_nr_ports: int

    @property
    def map_words(self) -> int:
        """The words of the map of ports."""
        return words_of_map(self.max_nr_ports)


def _popped(port: Any, version_id: int) -> bool:
    return bool(port.elem_popped)


def serial_device(*, packed: bool) -> VMStateDescription:
    """Return the adapter's own part; a port may have a request that is answered in part."""
    port = VMStateDescription(
        "VirtIOSerialPort",
        fields=[
            UInt32("id"),
            UInt8("guest_connected"),
            UInt8("host_connected"),
            UInt32("elem_popped"),
            UInt32("iov_idx", exists=_popped),
            UInt64("iov_offset", exists=_popped),
            Elem(packed=packed, exists=_popped),
        ],
    )
    return VMStateDescription(
        "virtio-serial",
        fields=[
            UInt16("cols"),
            UInt16("rows"),
            UInt32("max_nr_ports"),
            UInt32("ports_map")["map_words"],
            UInt32("nr_active_ports"),
            Struct("ports", port)["nr_active_ports"],
        ],
    )
