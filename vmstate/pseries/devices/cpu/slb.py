"""The checks on a loaded segment lookaside buffer (target/ppc/mmu-hash64.c ppc_store_slb)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe.diagnostics import EPERM
from vmstate.pseries.rules.capability_levels import ANY_PAGE

if TYPE_CHECKING:
    from vmstate.pseries.devices.cpu.cpu import Cpu

MAX_SLB_ENTRIES = 64
ESID_MASK = 0xFFFFFFFFF0000000 | 0x08000000  # the segment's number, and the valid bit
SEGMENT_SIZE = 3 << 62
SEGMENT_1T = 1 << 62
PAGE_SIZE = 0x130  # VSID[L] and VSID[LP]

#: The encodings of a segment's base page size: shift by VSID[L || LP].
SIZES_BASIC = {0x000: 12, 0x100: 24}
SIZES_POWER7 = {0x000: 12, 0x110: 16, 0x100: 24, 0x120: 34}
NO_SIZE = 99


def slb_post_load(cpu: Cpu, version_id: int) -> int:
    """Store every entry again, as the guest would; return -1 at the first that the MMU cannot hold.

    target/ppc/machine.c slb_post_load.
    """
    records = cpu.slb
    if not bytes(records.raw).strip(b"\0"):
        return 0  # an entry of zeros is a valid one: a 4 KiB segment that matches nothing
    isa = cpu.model.family.isa
    sizes = SIZES_POWER7 if isa >= 206 else SIZES_BASIC
    largest = cpu.machine.level("hpt-max-page-size") or ANY_PAGE
    for slot in range(cpu.slb_nr):
        esid, vsid = records[slot].esid, records[slot].vsid
        if esid & ~ESID_MASK or vsid & SEGMENT_SIZE & ~SEGMENT_1T:
            return -EPERM
        if vsid & SEGMENT_SIZE and isa < 206:
            return -EPERM
        if sizes.get(vsid & PAGE_SIZE, NO_SIZE) > largest:
            cpu.say(f"Bad page size encoding in SLB store: slot {slot} esid 0x{esid:016x} vsid 0x{vsid:016x}")
            return -EPERM
    return 0
