"""The names of values in pseries streams: capability levels, processors, modes, flags.

They are for display only.
"""

from __future__ import annotations

from functools import cache

from vmstate.describe.history import History, Release, at
from vmstate.describe.words import Flags, Meanings, Names, Part, Words
from vmstate.handwritten import names_of_values
from vmstate.pseries.tables.capabilities import CAPABILITIES, Capability, Kind
from vmstate.pseries.tables.compat import COMPAT_MODES
from vmstate.pseries.tables.cpu_models import CPU_MODELS
from vmstate.pseries.tables.cpus import PATE1_GR, SPR_PVR
from vmstate.pseries.tables.option_vectors import BITS, VECTOR_5, bits_of_bitmap, vector_bit
from vmstate.pseries.tables.releases import NEWEST

#: Bits of a 64-bit POWER processor's machine state register (target/ppc/cpu.h MSR_*).
_MSR = {
    0: "LE",
    1: "RI",
    2: "PMM",
    4: "DR",
    5: "IR",
    6: "EP",
    8: "FE1",
    9: "BE",
    10: "SE",
    11: "FE0",
    12: "ME",
    13: "FP",
    14: "PR",
    15: "EE",
    16: "ILE",
    23: "VSX",
    25: "VR",
    32: "TM",
    33: "TS0",
    34: "TS1",
    60: "HV",
    63: "SF",
}
#: include/hw/ppc/xics.h XICS_FLAGS_*, XICS_STATUS_*
_IRQ_FLAGS = {0: "LSI", 1: "MSI"}
_IRQ_STATUS = {
    0: "asserted",
    1: "sent",
    2: "rejected",
    3: "masked-pending",
    4: "presented",
    5: "queued",
}


#: The process table that a guest registered (target/ppc/mmu-book3s-v3.h PATE1_*, h_register_process_table).
_TABLE_AT, _TABLE_SIZE = 0x0FFFFFFFFFFFF000, 0x1F
_PAGE_SHIFT = 12


class OptionVector(Flags):
    """A negotiated option vector, bit by bit."""

    def parts(self, value: int) -> list[Part]:
        """Return each bit that is set: its place in PAPR, its name, its meaning."""
        bits = map(vector_bit, bits_of_bitmap(value))
        return [Part(bit.place, bit.name, bit.meaning) for bit in bits]


class ProcessTable:
    """``patb_entry``: the guest's translation, radix or hash, and the place of its process table."""

    def text(self, value: int) -> str | None:
        """Return radix or hash, in a few words."""
        if not value:
            return "no process table: hash"
        if not value & PATE1_GR:
            return "hash"
        size = value & _TABLE_SIZE
        if not value & _TABLE_AT:
            return "radix, no table yet"
        return f"radix, {1 << (_PAGE_SHIFT + size)} bytes at {value & _TABLE_AT:#x}"

    def value(self, text: str) -> int | None:
        """Return None: the words do not have the address."""
        return None

    def parts(self, value: int) -> list[Part]:
        """Return its bits, as H_REGISTER_PROC_TBL combines them for a radix guest."""
        if not value & PATE1_GR:
            return [Part("bit 63", "GR = 0", "the guest translates by hash")] if value else []
        size = value & _TABLE_SIZE
        at = value & _TABLE_AT
        table = Part("bits 12-59", f"PRTB = {at:#x}", "address of the process table: the guest's own choice")
        length = 1 << (_PAGE_SHIFT + size)
        return [
            Part("bit 63", "GR = 1", "the guest translates by radix"),
            *([table] if at else []),
            *([Part("bits 0-4", f"PRTS = {size}", f"size of the table: {length} bytes")] if at else []),
        ]


def _newest() -> Release:
    return Release.parse(NEWEST[-1])


def levels(capability: Capability) -> dict[int, str]:
    """Return the names of a capability's levels on a command line."""
    if capability.kind is Kind.BOOL:
        return {0: "off", 1: "on"}
    if capability.kind is Kind.PAGE_SIZE:
        return {12: "4 KiB", 16: "64 KiB", 24: "16 MiB", 34: "16 GiB"}
    values: tuple[str, ...] = at(capability.values, _newest())
    return dict(enumerate(values))


def _page_sizes() -> dict[str, int]:
    sizes = {"4k": 12, "4096": 12, "64k": 16, "65536": 16, "16m": 24, "16g": 34}
    return {**sizes, **{f"{name}ib": shift for name, shift in sizes.items() if name[-1] in "kmg"}}


def _capability(capability: Capability) -> Words:
    also = _page_sizes() if capability.kind is Kind.PAGE_SIZE else {"false": 0, "true": 1}
    return Names(levels(capability), also if capability.kind is not Kind.STRING else None)


def _processors() -> Words:
    names, also = {}, {}
    for model in CPU_MODELS:
        pvrs = {at(model.pvr, Release.parse(release)) for release in NEWEST}
        name = model.name.at(_newest()) if isinstance(model.name, History) else model.name
        for pvr in sorted(pvrs):
            names[pvr] = name
        also[model.old_name] = at(model.pvr, _newest())
        also.update({alias: at(model.pvr, _newest()) for alias, _ in model.aliases})
    return Names(names, also)


@cache
def meanings() -> Meanings:
    """Return the table, by description and field; with the names that any machine's devices have."""
    modes = Names({0: "raw", **{mode.pvr: mode.name for mode in COMPAT_MODES}})
    table: dict[tuple[str, str], Words] = {
        **names_of_values(),
        ("cpu", f"env.spr[{SPR_PVR}]"): _processors(),
        ("cpu", "env.msr"): Flags(64, _MSR),
        ("cpu/compat", "compat_pvr"): modes,
        ("spapr_option_vector_ov5_cas", "bitmap"): OptionVector(
            BITS, {bit.index: bit.name for bit in VECTOR_5.values()}
        ),
        ("spapr_patb_entry", "patb_entry"): ProcessTable(),
        ("ics", "irqs.flags"): Flags(8, _IRQ_FLAGS),
        ("ics", "irqs.status"): Flags(8, _IRQ_STATUS),
    }
    for capability in CAPABILITIES:
        table[f"spapr/cap/{capability.subsection}", "*"] = _capability(capability)
    return table
