"""The processors of pseries, as data: families first, then models, oldest first."""

from __future__ import annotations

from vmstate.describe.history import ALWAYS, History, Span
from vmstate.pseries.tables.cpus import (
    ISA_2_05,
    ISA_2_06,
    ISA_2_07,
    ISA_3_00,
    ISA_3_10,
    TM_DIS,
    VEC_DIS,
    VSX_DIS,
    CpuFamily,
    CpuModel,
    PvrRule,
    among,
    same_base,
    same_dd2,
    same_major,
)

POWER7_BASES = (0x003F0000, 0x004A0000)
POWER8_BASES = (0x004B0000, 0x004C0000, 0x004D0000)

_MATCH_POWER7: History[PvrRule] = History(among(*POWER7_BASES), ("7.2", same_base))
_MATCH_POWER8: History[PvrRule] = History(among(*POWER8_BASES), ("7.2", same_base))
_MATCH_POWER9: History[PvrRule] = History(among(0x004E0000), ("7.2", same_major), ("8.1", same_dd2))
_MATCH_POWER10: History[PvrRule] = History(among(0x00800000), ("7.2", same_major))

CPU_FAMILIES: tuple[CpuFamily, ...] = (
    CpuFamily("970", isa=201, mmu="64B", bus="970", slb_entries=64),
    CpuFamily("POWER5P", isa=203, mmu="2.03", bus="970", altivec=False, slb_entries=64),
    CpuFamily(
        "POWER7",
        isa=206,
        mmu="2.06",
        bus="POWER7",
        pcr_mask=VEC_DIS | VSX_DIS | ISA_2_05,
        pcr_supported=ISA_2_06 | ISA_2_05,
        logical_pvr=0x0F100003,
        pvr_match=_MATCH_POWER7,
        vsx=True,
        dfp=True,
    ),
    CpuFamily(
        "POWER8",
        isa=207,
        mmu="2.07",
        bus="POWER7",
        pcr_mask=TM_DIS | ISA_2_06 | ISA_2_05,
        pcr_supported=ISA_2_07 | ISA_2_06 | ISA_2_05,
        logical_pvr=0x0F000004,
        pvr_match=_MATCH_POWER8,
        vsx=True,
        dfp=True,
    ),
    CpuFamily(
        "POWER9",
        isa=300,
        mmu="3.00",
        bus="POWER9",
        pcr_mask=ISA_2_05 | ISA_2_06 | ISA_2_07,
        pcr_supported=ISA_3_00 | ISA_2_07 | ISA_2_06 | ISA_2_05,
        logical_pvr=0x0F000005,
        pvr_match=_MATCH_POWER9,
        vsx=True,
        dfp=True,
        decrementer_bits=56,
    ),
    CpuFamily(
        "POWER10",
        isa=310,
        mmu="3.00",
        bus="POWER9",
        pcr_mask=ISA_2_05 | ISA_2_06 | ISA_2_07 | ISA_3_00,
        pcr_supported=ISA_3_10 | ISA_3_00 | ISA_2_07 | ISA_2_06 | ISA_2_05,
        logical_pvr=0x0F000006,
        pvr_match=_MATCH_POWER10,
        vsx=True,
        dfp=True,
        bhrb=True,
        decrementer_bits=56,
    ),
    CpuFamily(
        "POWER11",
        isa=310,
        mmu="3.00",
        bus="POWER9",
        pcr_mask=ISA_2_05 | ISA_2_06 | ISA_2_07 | ISA_3_00,
        pcr_supported=ISA_3_10 | ISA_3_00 | ISA_2_07 | ISA_2_06 | ISA_2_05,
        logical_pvr=0x0F000007,
        pvr_match=same_major,
        vsx=True,
        dfp=True,
        bhrb=True,
        decrementer_bits=56,
    ),
)

#: Type names lost the plus sign when QOM began to require identifiers.
_PLUS_GONE = "9.0"

_UNMAINTAINED = History("", ("10.2", "CPU is unmaintained."))

CPU_MODELS: tuple[CpuModel, ...] = (
    CpuModel("970_v2.2", "970", 0x00390202, "970_v2.2", (("970", ALWAYS),)),
    CpuModel("970mp_v1.0", "970", 0x00440100, "970mp_v1.0"),
    CpuModel("970mp_v1.1", "970", 0x00440101, "970mp_v1.1", (("970mp", ALWAYS),)),
    CpuModel(
        History("power5+_v2.1", (_PLUS_GONE, "power5p_v2.1")),
        "POWER5P",
        0x003B0201,
        "POWER5+_v2.1",
        (("power5+", ALWAYS), ("power5gs", Span(until=_PLUS_GONE)), ("power5+_v2.1", Span(_PLUS_GONE))),
    ),
    CpuModel("power7_v2.3", "POWER7", 0x003F0203, "POWER7_v2.3", (("power7", ALWAYS),)),
    CpuModel(
        History("power7+_v2.1", (_PLUS_GONE, "power7p_v2.1")),
        "POWER7",
        0x004A0201,
        "POWER7+_v2.1",
        (("power7+", ALWAYS), ("power7+_v2.1", Span(_PLUS_GONE))),
    ),
    CpuModel(
        "power8e_v2.1",
        "POWER8",
        0x004B0201,
        "POWER8E_v2.1",
        (("power8e", ALWAYS),),
        Span(until="11.1"),
        _UNMAINTAINED,
    ),
    CpuModel(
        "power8nvl_v1.0",
        "POWER8",
        0x004C0100,
        "POWER8NVL_v1.0",
        (("power8nvl", ALWAYS),),
        Span(until="11.1"),
        _UNMAINTAINED,
    ),
    CpuModel("power8_v2.0", "POWER8", 0x004D0200, "POWER8_v2.0", (("power8", ALWAYS),)),
    CpuModel(
        "power9_v1.0",
        "POWER9",
        History(0x004E0000, ("2.11", 0x004E0100)),
        "POWER9_v1.0",
        (("power9", Span(until="2.11")),),
        Span(until="9.0"),
    ),
    CpuModel(
        "power9_v2.0", "POWER9", 0x004E1200, "POWER9_v2.0", (("power9", Span("2.11", "8.1")),), Span("2.11")
    ),
    CpuModel("power9_v2.2", "POWER9", 0x004E1202, "POWER9_v2.2", (("power9", Span("8.1")),), Span("8.1")),
    CpuModel(
        "power10_v1.0",
        "POWER10",
        0x00800100,
        "POWER10_v1.0",
        (("power10", Span(until="6.2")),),
        Span("5.0", "9.0"),
    ),
    CpuModel(
        "power10_v2.0",
        "POWER10",
        History(0x00800200, ("8.1", 0x00801200)),
        "POWER10_v2.0",
        (("power10", Span("6.2")),),
        Span("6.2"),
    ),
    CpuModel("power11_v2.0", "POWER11", 0x00821200, "POWER11_v2.0", (("power11", ALWAYS),), Span("9.2")),
)
