"""Option vector 5: what a machine offers a guest at client-architecture-support (CAS).

Bits of include/hw/ppc/spapr_ovec.h by their place in QEMU's bitmap: (byte - 1) * 8 + bit.  On the wire
(``spapr_option_vector_ov5_cas``) the 2048 bits are 32 big-endian words of 64, each with its lowest bit first.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from bitstring import BitArray

from vmstate.describe.history import History
from vmstate.pseries.tables.compat import LOGICAL_3_00

#: Bits of one option vector (OV_MAXBITS), and bytes on the wire.
BITS = 256 * 8
WIRE_BYTES = BITS // 8


class Ov5(IntEnum):
    """A bit of option vector 5 by its place in the bitmap."""

    DRCONF_MEMORY = 10
    FORM1_AFFINITY = 32
    FORM2_AFFINITY = 34
    HP_EVT = 45
    HPT_RESIZE = 47
    DRMEM_V2 = 168
    XIVE_BOTH = 176
    XIVE_EXPLOIT = 177
    MMU_BOTH = 184
    MMU_RADIX_300 = 185
    MMU_RADIX_GTSE = 201


def to_wire(bits: Iterable[int]) -> bytes:
    """The 256 bytes of a vector with these bits set (migration/vmstate-types.c put_bitmap)."""
    vector = BitArray.from_bytes(bytes(WIRE_BYTES))
    for bit in bits:
        word, place = divmod(bit, 64)
        vector.set(True, word * 64 + 63 - place)
    return vector.tobytes()


def from_wire(data: bytes) -> frozenset[int]:
    """The bits that are set in the 256 bytes of a vector."""
    vector = BitArray.from_bytes(data)
    places = vector.findall("0b1")
    return frozenset(place // 64 * 64 + 63 - place % 64 for place in places)


_GTSE_FOR_ALL = History(False, ("2.10", True), (("2.11.2", "2.12.1", "3.0"), False))
_GTSE_FOR_POWER9 = History(False, (("2.11.2", "2.12.1", "3.0"), True))
_RADIX_TOO = History(False, ("5.1", True))
_DRMEM_V2 = History(False, ("3.0", True))
_XIVE_OFFERED = History(False, ("4.0", True))
_FORM2 = History(False, ("6.2", True))
_HPT_RESIZE = History(False, ("2.10", True))


def offers_radix(machine: Any) -> bool:
    """Whether a guest may use radix translation: TCG or KVM can, and the processor."""
    host, release = machine.host, machine.release
    if host is not None and not host.radix:
        return False
    power9 = machine.can_run(LOGICAL_3_00)
    return _GTSE_FOR_ALL.at(release) or (power9 and _GTSE_FOR_POWER9.at(release))


def offers_gtse(machine: Any) -> bool:
    """Whether option vector 5 lets a guest with radix translation use tlbie: wherever there is radix."""
    return offers_radix(machine)


def tells_gtse(machine: Any) -> bool:
    """Whether the device tree says so: byte 26 of ``ibm,arch-vec-5-platform-support`` always does.

    hw/ppc/spapr.c ``spapr_dt_ov5_platform_support``.  It is what a guest goes by when it asks.
    """
    del machine
    return True


def offered(machine: Any) -> set[Ov5]:
    """Option vector 5 as the machine offers it (``spapr_machine_init``); ``machine`` is one that starts."""
    settings, flags, release = machine.settings, machine.flags, machine.release
    gtse = machine.rules.offers_gtse(machine)
    conditions = (
        (Ov5.DRCONF_MEMORY, flags.dr_lmb_enabled),
        (Ov5.FORM1_AFFINITY, True),
        (Ov5.FORM2_AFFINITY, _FORM2.at(release) and not flags.pre_6_2_numa_affinity),
        (Ov5.HP_EVT, settings.modern_hotplug_events),
        (Ov5.HPT_RESIZE, _HPT_RESIZE.at(release) and settings.resize_hpt != "disabled"),
        (Ov5.DRMEM_V2, _DRMEM_V2.at(release)),
        (Ov5.XIVE_EXPLOIT, _XIVE_OFFERED.at(release) and settings.irq in {"xive", "dual"}),
        (Ov5.MMU_RADIX_300, _RADIX_TOO.at(release) and offers_radix(machine)),
        (Ov5.MMU_RADIX_GTSE, gtse),
    )
    return {bit for bit, condition in conditions if condition}
