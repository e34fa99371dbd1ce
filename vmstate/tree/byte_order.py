"""The byte order that a machine's guests have unless they say otherwise (``virtio_default_endian``)."""

from __future__ import annotations

from vmstate.handwritten import ByteOrder
from vmstate.tree.declarations import StreamFacts

#: By the beginning of the machine type.
_ORDERS: dict[str, ByteOrder] = {
    "pc-q35": "little",
    "pc-i440fx": "little",
    "microvm": "little",
    "isapc": "little",
    "sbsa-ref": "little",
    "pseries": "big",
    "powernv": "big",
    "s390-ccw-virtio": "big",
}
#: Several targets have a machine type ``virt``: the one with Arm's interrupt controller is little-endian.
_VIRT, _ARM = "virt", ("arm_gic", "arm_gicv3")


def order_of(facts: StreamFacts) -> ByteOrder | None:
    """Return the order of a stream's machine; None if its type does not tell it."""
    machine = facts.machine or ""
    if machine == _VIRT or machine.startswith(f"{_VIRT}-"):
        return "little" if any(name in facts.idstrs for name in _ARM) else None
    return next((order for name, order in _ORDERS.items() if machine.startswith(name)), None)
