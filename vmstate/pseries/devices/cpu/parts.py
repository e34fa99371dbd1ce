"""The subsections of ``cpu`` (target/ppc/machine.c), in wire order at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe import (
    Bool,
    Field,
    Int32,
    Int32Equal,
    Since,
    Struct,
    UInt32,
    UInt64,
    Until,
    VMStateDescription,
    scalar,
)
from vmstate.describe.history import History
from vmstate.describe.infos import Group, Scalar
from vmstate.pseries.devices.cpu import needed
from vmstate.pseries.devices.cpu.slb import MAX_SLB_ENTRIES, slb_post_load

if TYPE_CHECKING:
    from vmstate.pseries.devices.cpu.cpu import Cpu

Float64 = scalar(Scalar("float64", "Q"))
FprHalf = scalar(Scalar("fpr", "Q"))
VsrHalf = scalar(Scalar("vsr", "Q"))
Vscr = scalar(Scalar("cpu/altivec/vscr", "I"))
AVR = Group("avr", "QQ", ("high", "low"))
SLBE = Group("slbe", "QQ", ("esid", "vsid"))
Avr, Slbe = scalar(AVR), scalar(SLBE)

#: From here on there is one file of 64 registers; the wire still has its three old parts.
ONE_VSR_FILE = "4.0"

FPU = VMStateDescription(
    "cpu/fpu",
    1,
    1,
    needed=needed.fpu,
    fields=[
        Until(ONE_VSR_FILE, Float64("env.fpr")[32]),
        Since(ONE_VSR_FILE, FprHalf("env.vsr", attr="fpr")[32]),
        UInt64("env.fpscr"),
    ],
)

ALTIVEC = VMStateDescription(
    "cpu/altivec",
    1,
    1,
    needed=needed.altivec,
    fields=[
        Until(ONE_VSR_FILE, Avr("env.avr")[32]),
        Until(ONE_VSR_FILE, UInt32("env.vscr")),
        Since(ONE_VSR_FILE, Avr("env.vsr", attr="avr")[32]),
        Since(ONE_VSR_FILE, Vscr("vscr")),
    ],
)

VSX = VMStateDescription(
    "cpu/vsx",
    1,
    1,
    needed=needed.vsx,
    fields=[
        Until(ONE_VSR_FILE, UInt64("env.vsr")[32]),
        Since(ONE_VSR_FILE, VsrHalf("env.vsr")[32]),
    ],
)

SR = VMStateDescription("cpu/sr", 1, 1, needed=needed.segment_registers, fields=[UInt64("env.sr")[32]])

#: The number of the vector register of ``cpu/tm`` whose upper half overwrites the compat mode.
LANDS_ON_COMPAT_PVR = History(37, ("7.0", 41))


def tm_overruns(cpu: Cpu, version_id: int) -> int:
    """Record that loading overran the array: it starts at element 32, so half of the registers do not fit.

    They overwrite the compat mode and then pointers, among them the one to the interrupt presenter (in the
    structure's layout in Debian's 64-bit builds, which changed between 6.1 and 7.2).
    """
    cpu.compat_pvr = cpu.tm_vsr[LANDS_ON_COMPAT_PVR.at(cpu.machine.release)].high >> 32
    cpu.overrun = True
    return 0


TM = VMStateDescription(
    "cpu/tm",
    1,
    1,
    needed=needed.transaction,
    post_load=History(None, (ONE_VSR_FILE, tm_overruns)),
    fields=[
        UInt64("env.tm_gpr")[32],
        Avr("env.tm_vsr")[64],
        UInt64("env.tm_cr"),
        UInt64("env.tm_lr"),
        UInt64("env.tm_ctr"),
        UInt64("env.tm_fpscr"),
        UInt64("env.tm_amr"),
        UInt64("env.tm_ppr"),
        UInt64("env.tm_vrsave"),
        UInt32("env.tm_vscr"),
        UInt64("env.tm_dscr"),
        UInt64("env.tm_tar"),
    ],
)

SLB = VMStateDescription(
    "cpu/slb",
    History(1, ("9.2", 2)),
    1,
    needed=needed.slb,
    post_load=slb_post_load,
    fields=[
        Until("3.0", Int32Equal("env.slb_nr")),
        Since("3.0", Until("9.2", Int32("mig_slb_nr", exists=needed.pre_3_0_migration))),
        Slbe("env.slb")[MAX_SLB_ENTRIES],
    ],
)

BHRB = Since(
    "9.1",
    VMStateDescription(
        "cpu/bhrb",
        1,
        1,
        needed=needed.bhrb,
        fields=[UInt64("env.bhrb_offset"), UInt64("env.bhrb")[32]],
    ),
)


def _tlb(name: str, table: str, entry: VMStateDescription, *more: Field) -> VMStateDescription:
    """Describe a software-managed TLB: no pseries processor has one, but the loader knows the name."""
    fields = [Int32Equal("env.nb_tlb"), Struct(table, entry)["nb_tlb"], *more]
    return VMStateDescription(name, 1, 1, needed=needed.software_tlb, fields=fields)


_TLB_6XX_ENTRY = VMStateDescription(
    "cpu/tlb6xx_entry", 1, 1, fields=[UInt64("pte0"), UInt64("pte1"), UInt64("EPN")]
)
_TLB_EMB_ENTRY = VMStateDescription(
    "cpu/tlbemb_entry",
    1,
    1,
    fields=[UInt64("RPN"), UInt64("EPN"), UInt64("PID"), UInt64("size"), UInt32("prot"), UInt32("attr")],
)
_TLB_MAS_ENTRY = VMStateDescription(
    "cpu/tlbmas_entry",
    1,
    1,
    fields=[UInt32("mas8"), UInt32("mas1"), UInt64("mas2"), UInt64("mas7_3")],
)

TLB_6XX = _tlb("cpu/tlb6xx", "env.tlb.tlb6", _TLB_6XX_ENTRY, UInt64("env.tgpr")[4])
# Before, the second one had the first one's name, so no loader found it.
_NAMED = ("9.0.3", "9.1")
TLB_EMB_MISNAMED = Until(_NAMED, _tlb("cpu/tlb6xx", "env.tlb.tlbe", _TLB_EMB_ENTRY))
TLB_EMB = Since(_NAMED, _tlb("cpu/tlbemb", "env.tlb.tlbe", _TLB_EMB_ENTRY))
TLB_MAS = _tlb("cpu/tlbmas", "env.tlb.tlbm", _TLB_MAS_ENTRY)

COMPAT = Since(
    "2.10",
    VMStateDescription("cpu/compat", 1, 1, needed=needed.compat, fields=[UInt32("compat_pvr")]),
)

RESERVATION = Since(
    "8.2",
    VMStateDescription(
        "cpu/reservation",
        1,
        1,
        needed=needed.reservation,
        fields=[
            UInt64("env.reserve_addr"),
            UInt64("env.reserve_length"),
            UInt64("env.reserve_val"),
            UInt64("env.reserve_val2"),
        ],
    ),
)

RTAS_STOPPED = Since(
    needed.RTAS_STOPPED_SINCE,
    VMStateDescription("cpu/rtas_stopped", 1, 1, needed=needed.rtas_stopped, fields=[Bool("env.quiesced")]),
)

SUBSECTIONS = (
    FPU,
    ALTIVEC,
    VSX,
    SR,
    TM,
    SLB,
    BHRB,
    TLB_6XX,
    TLB_EMB_MISNAMED,
    TLB_EMB,
    TLB_MAS,
    COMPAT,
    RESERVATION,
    RTAS_STOPPED,
)
