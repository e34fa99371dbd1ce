"""The registers of a processor after machine reset, before the guest's first instruction.

hw/ppc/spapr_cpu_core.c spapr_reset_vcpu (spapr_cpu_reset), spapr_cpu_set_entry_state,
target/ppc/cpu_init.c ppc_cpu_reset and the SPR defaults of the class; up to 2.12 cpu_ppc_set_papr.
Values are those of TCG.  Families are distinguished by the newest ISA that they implement (2.07 as 207).
"""

from __future__ import annotations

import struct
from functools import lru_cache

from vmstate.dataclass import dataclass
from vmstate.describe import WireArray
from vmstate.describe.arrays import zeros
from vmstate.describe.history import ALWAYS, History, Release, Span, reached
from vmstate.pseries.tables.cpus import SPR_PVR, CpuAt

SPRS = 1024
GPRS = 32
SPR_DECR, SPR_LPCR, SPR_PCR, SPR_TIR, SPR_PIR = 22, 318, 338, 446, 1023
ALL_ONES = (1 << 64) - 1
ENTRY_POINT = 0x100

LPES0, LPES1, LPCR_LD, LPCR_RMLS_16G = 1 << 3, 1 << 2, 1 << 17, 1 << 26
PECE_P7, PECE_P8 = 0x7000, 0x1F000
MSR_SF = 1 << 63
MSR_ME_FP = 0x3000

#: 64-bit mode; then 32-bit, as the IEEE 1275 binding requires; then also floating point and machine checks.
MSR = History(MSR_SF, ("7.0", 0), ("8.1", MSR_ME_FP))
RESERVE_ADDR = ALL_ONES
#: From here on the decrementer is copied to its SPR under TCG too.
DECREMENTER_SAVED = "8.2"
#: From here on PIR and TIR identify a guest's threads.
THREADS_NUMBERED = "8.1"


@dataclass(frozen=True)
class ResetSpr:
    """An SPR that is not zero after reset, with its ISA levels and releases."""

    number: int
    name: str
    value: int
    isa: range = range(1000)
    span: Span = ALWAYS


RESET_SPRS = (
    ResetSpr(186, "RPR", 0x00000103070F1F3F, range(207, 1000)),
    ResetSpr(349, "AMOR", ALL_ONES),
    ResetSpr(779, "UMMCR0", 0x80000000, span=Span("7.0")),
    ResetSpr(795, "MMCR0", 0x80000000, span=Span("7.0")),
    ResetSpr(855, "PSSCR", 1 << 20, span=Span("4.1")),
    ResetSpr(884, "PMCR", 1, range(300, 1000), Span("9.1")),
    ResetSpr(1008, "HID0", 0x60000000, range(206)),
)

#: Up to 2.11 the LPCR of every processor enables all exits from power saving, even unimplemented ones.
EVERY_EXIT = History(True, ("2.12", False))
#: From 3.0 on the LPCR is stored through a mask; 5.0 removed RMLS.
MASKED_SINCE = "3.0"
RMLS = History(LPCR_RMLS_16G, ("5.0", 0))
#: POWER9 has no RMLS, but a guest without a hypervisor needed it: restored in 4.0.
RMLS_ON_POWER9 = History(0, ("4.0", LPCR_RMLS_16G))
LARGE_DECREMENTER_SINCE = "4.0"


def power_saving_exits(isa: int) -> int:
    """Return the LPCR bits that let a processor leave power saving (the class's ``lpcr_pm``)."""
    if isa < 206:
        return 0
    return PECE_P7 if isa < 207 else PECE_P8


def _lpcr_mask(isa: int, release: Release) -> int:
    if not reached(MASKED_SINCE, release):
        return ALL_ONES
    if isa < 203:
        return 0  # 970: these bits are in HID4
    if isa < 207:
        return LPES0 | LPES1 | LPCR_RMLS_16G | power_saving_exits(isa)
    if isa < 300:
        return LPES0 | LPCR_RMLS_16G | PECE_P8
    return LPES0 | PECE_P8 | LPCR_LD | RMLS_ON_POWER9.at(release)


def lpcr(isa: int, release: Release, *, boot: bool, large_decrementer: bool) -> int:
    """Return the LPCR; ``boot``: the processor that starts the guest."""
    value = LPES0 | LPES1 | RMLS.at(release)
    if EVERY_EXIT.at(release):
        value |= PECE_P8
    elif boot:
        value |= power_saving_exits(isa)
    if large_decrementer and reached(LARGE_DECREMENTER_SINCE, release):
        value |= LPCR_LD
    return value & _lpcr_mask(isa, release)


@lru_cache(maxsize=256)
def spr_image(
    isa: int, pvr: int, release: Release, boot: bool, large_decrementer: bool, pcr: int
) -> memoryview:
    """Return the 8192 bytes of all SPRs, read-only and shared by processors with the same values."""
    values = {spr.number: spr.value for spr in RESET_SPRS if isa in spr.isa and spr.span.covers(release)}
    values[SPR_PVR] = pvr
    values[SPR_LPCR] = lpcr(isa, release, boot=boot, large_decrementer=large_decrementer)
    values[SPR_PCR] = pcr
    if reached(DECREMENTER_SAVED, release):
        values[SPR_DECR] = ALL_ONES if values[SPR_LPCR] & LPCR_LD else 0xFFFFFFFF
    image = bytearray(SPRS * 8)
    for number, value in values.items():
        struct.pack_into(">Q", image, number * 8, value)
    return memoryview(bytes(image))


def sprs(
    model: CpuAt, release: Release, index: int, thread: int, *, large_decrementer: bool, pcr: int
) -> WireArray:
    """Return the SPRs of processor ``index``, which is thread ``thread`` of its core."""
    isa = model.family.isa
    array = WireArray("Q", spr_image(isa, model.pvr, release, index == 0, large_decrementer, pcr))
    if reached(THREADS_NUMBERED, release):
        # From POWER7 on processors know their thread and core; TIR came with POWER8.
        if index and isa >= 206:
            array[SPR_PIR] = index
        if thread and isa >= 207:
            array[SPR_TIR] = thread
    return array


@lru_cache(maxsize=64)
def _entry_gprs(device_tree_address: int) -> memoryview:
    return memoryview(struct.pack(">32Q", 0, 0, 0, device_tree_address, *[0] * (GPRS - 4)))


def gprs(tree: int) -> WireArray:
    """Return the general registers: r3 is the device tree's address (0 for all but the boot processor)."""
    if not tree:
        return WireArray("Q", zeros(GPRS * 8))
    return WireArray("Q", _entry_gprs(tree))


RTAS_MAX_ADDRESS = 1 << 31
RTAS_SIZE = History(0x10000, ("4.2", 0))  # room for RTAS between the tree and the limit
DEVICE_TREE_SIZE = History(0x100000, ("6.1", 0x200000))


def device_tree_address(real_mode_size: int, release: Release) -> int:
    """Return the address of the flattened device tree (spapr_machine_reset)."""
    return min(real_mode_size, RTAS_MAX_ADDRESS) - RTAS_SIZE.at(release) - DEVICE_TREE_SIZE.at(release)
