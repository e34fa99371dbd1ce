"""The section ``cpu``: one processor's architected state (target/ppc/machine.c vmstate_ppc_cpu).

QEMU keeps some registers separately and copies them to the SPRs before saving (LR, CTR, XER, CFAR, and from
8.2 the decrementer); here they are always in ``spr``.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass, replace
from vmstate.describe import (
    Bool,
    Field,
    History,
    Int32,
    Int32Equal,
    Since,
    Struct,
    UInt32,
    UInt64,
    Until,
    Unused,
    VMStateDescription,
    WireArray,
    WireRecords,
    scalar,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.diagnostics import EINVAL, EPERM
from vmstate.describe.history import Points, Release, reached
from vmstate.describe.infos import Group, Scalar
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.cpu import reset as cpu_reset
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.cpu.reset import power_saving_exits
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.capability_levels import ANY_PAGE
from vmstate.pseries.rules.compat_register import store_compat, write_register
from vmstate.pseries.rules.memory import real_mode_size
from vmstate.pseries.tables.cpus import SPR_PVR, CpuAt

# Which parts are sent (target/ppc/machine.c).

MSR_TS = 3 << 33  # the two bits that hold the state of a transaction

#: The property behind ``cpu/rtas_stopped``; machine types up to 10.0 clear it.
RTAS_STOPPED_SINCE: Points = ("10.2.1", "11.0")


def fpu_needed(cpu: Cpu) -> bool:
    """Always: every pseries processor has floating point."""
    return True


def altivec_needed(cpu: Cpu) -> bool:
    """The processor has AltiVec (PPC_ALTIVEC): all but POWER5+."""
    return bool(cpu.model.family.altivec)


def vsx_needed(cpu: Cpu) -> bool:
    """The processor has VSX (PPC2_VSX): POWER7 and later, whatever cap-vsx is."""
    return bool(cpu.model.family.vsx)


def sr_needed(cpu: Cpu) -> bool:
    """Never: every pseries processor has a 64-bit hash MMU instead."""
    return False


def slb_needed(cpu: Cpu) -> bool:
    """Always: every pseries processor has a 64-bit hash MMU."""
    return True


def tlb_needed(cpu: Cpu) -> bool:
    """Never: no pseries processor has a software-managed TLB."""
    return False


def tm_needed(cpu: Cpu) -> bool:
    """A transaction is running: MSR[TS] is not zero."""
    return bool(cpu.msr & MSR_TS)


def bhrb_needed(cpu: Cpu) -> bool:
    """The processor has a branch history buffer (POWERPC_FLAG_BHRB): POWER10 and POWER11."""
    return bool(cpu.model.family.bhrb)


def compat_needed(cpu: Cpu) -> bool:
    """A compat mode is set, and the machine type may send it (2.10 and later)."""
    return not cpu.machine.flags.cpu_pre_2_10_migration and cpu.compat_pvr != 0


def reservation_needed(cpu: Cpu) -> bool:
    """QEMU records or replays an execution, which is not modelled."""
    return False


def rtas_stopped_needed(cpu: Cpu) -> bool:
    """The property ``rtas-stopped-state`` is on: machine types after 10.0."""
    return bool(cpu.machine.flags.rtas_stopped_state)


def pre_2_8_migration(cpu: Cpu, version_id: int) -> bool:
    """The property ``pre-2.8-migration`` of processors is on: machine types up to 2.7."""
    return bool(cpu.machine.flags.cpu_pre_2_8_migration)


def pre_3_0_migration(cpu: Cpu, version_id: int) -> bool:
    """The property ``pre-3.0-migration`` of processors is on: machine types up to 2.12."""
    return bool(cpu.machine.flags.cpu_pre_3_0_migration)


# The flag words with which machine types up to 2.7 describe the processor: cpu_pre_save, from 2.8 to 9.1.
# They are the words that 2.7 compared, masked to what 2.7 knew; families differ by the newest ISA.

_TLBIE = 0x20000000
_LWSYNC = 0x200000

#: POWER9 lost one flag that 2.7 expects; a fix sets it for every processor.
_LOST_ON_POWER9 = History(0, ("2.10", _TLBIE), (("2.11.2", "2.12.1", "3.0"), 0))
#: A new flag that was not masked out.
_ADDED = History(0, ("7.1", _LWSYNC))
_POWER5P_FLAGS = History(0x0000600FE0DD2221, ("7.0", 0x0000600FE0DF3221))


@dataclass(frozen=True)
class LegacyWords:
    """The words as they are sent: MSR bits, two instruction flag words, block address translations."""

    msr_mask: int
    insns_flags: int
    insns_flags2: int
    bats: int = 0


def legacy_words(isa: int, release: Release) -> LegacyWords:
    """Return the words for a processor of an ISA level in a release."""
    if isa < 206:
        flags = 0x0000600FE1DD2221 if isa < 203 else _POWER5P_FLAGS.at(release)
        return LegacyWords(0x800000000204FF36, flags, 0x10000 | _ADDED.at(release), 4)
    flags = 0x8000600FE1FF3A61
    if isa < 207:
        return LegacyWords(0x800000000280FF37, flags, 0x10FB6 | _ADDED.at(release))
    if isa >= 300:
        flags &= ~_LOST_ON_POWER9.at(release)
    return LegacyWords(0x800000010280FF37, flags, 0x3FFF6 | _ADDED.at(release))


# The checks on a loaded segment lookaside buffer (target/ppc/mmu-hash64.c ppc_store_slb).

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
    slots = records.item.iter_unpack(records.raw[: cpu.slb_nr * records.item.size])
    for slot, (esid, vsid) in enumerate(slots):
        if esid & ~ESID_MASK or vsid & SEGMENT_SIZE & ~SEGMENT_1T:
            return -EPERM
        if vsid & SEGMENT_SIZE and isa < 206:
            return -EPERM
        if sizes.get(vsid & PAGE_SIZE, NO_SIZE) > largest:
            cpu.say(f"Bad page size encoding in SLB store: slot {slot} esid 0x{esid:016x} vsid 0x{vsid:016x}")
            return -EPERM
    return 0


# The subsections, in wire order at the end.

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
    needed=fpu_needed,
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
    needed=altivec_needed,
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
    needed=vsx_needed,
    fields=[
        Until(ONE_VSR_FILE, UInt64("env.vsr")[32]),
        Since(ONE_VSR_FILE, VsrHalf("env.vsr")[32]),
    ],
)

SR = VMStateDescription("cpu/sr", 1, 1, needed=sr_needed, fields=[UInt64("env.sr")[32]])

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
    needed=tm_needed,
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
    needed=slb_needed,
    post_load=slb_post_load,
    fields=[
        Until("3.0", Int32Equal("env.slb_nr")),
        Since("3.0", Until("9.2", Int32("mig_slb_nr", exists=pre_3_0_migration))),
        Slbe("env.slb")[MAX_SLB_ENTRIES],
    ],
)

BHRB = Since(
    "9.1",
    VMStateDescription(
        "cpu/bhrb",
        1,
        1,
        needed=bhrb_needed,
        fields=[UInt64("env.bhrb_offset"), UInt64("env.bhrb")[32]],
    ),
)


def _tlb(name: str, table: str, entry: VMStateDescription, *more: Field) -> VMStateDescription:
    """Describe a software-managed TLB: no pseries processor has one, but the loader knows the name."""
    fields = [Int32Equal("env.nb_tlb"), Struct(table, entry)["nb_tlb"], *more]
    return VMStateDescription(name, 1, 1, needed=tlb_needed, fields=fields)


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
_PBR_403 = Until(
    "7.0", VMStateDescription("cpu/pbr403", 1, 1, needed=tlb_needed, fields=[UInt64("env.pb")[4]])
)
TLB_EMB_MISNAMED = Until(
    _NAMED, replace(_tlb("cpu/tlb6xx", "env.tlb.tlbe", _TLB_EMB_ENTRY), subsections=[_PBR_403])
)
TLB_EMB = Since(_NAMED, _tlb("cpu/tlbemb", "env.tlb.tlbe", _TLB_EMB_ENTRY))
TLB_MAS = _tlb("cpu/tlbmas", "env.tlb.tlbm", _TLB_MAS_ENTRY)

COMPAT = Since(
    "2.10",
    VMStateDescription("cpu/compat", 1, 1, needed=compat_needed, fields=[UInt32("compat_pvr")]),
)

RESERVATION = Since(
    "8.2",
    VMStateDescription(
        "cpu/reservation",
        1,
        1,
        needed=reservation_needed,
        fields=[
            UInt64("env.reserve_addr"),
            UInt64("env.reserve_length"),
            UInt64("env.reserve_val"),
            UInt64("env.reserve_val2"),
        ],
    ),
)

RTAS_STOPPED = Since(
    RTAS_STOPPED_SINCE,
    VMStateDescription("cpu/rtas_stopped", 1, 1, needed=rtas_stopped_needed, fields=[Bool("env.quiesced")]),
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


# The hooks for saving and loading (target/ppc/machine.c cpu_pre_save, cpu_post_load).

SPR_DECR, SPR_SDR1, SPR_LPCR, SPR_PSSCR = 22, 25, 318, 855
PSSCR_EC = 1 << 20

#: The return value of the hook if the stream cannot continue on this processor.
REFUSED = History(-EPERM, ("5.2", -EINVAL))
#: From here on a mode in the stream is set as if there had been none before, so KVM is informed.
#: Before, the mode had already been set when it was compared with the required one.
MODE_SET_AFRESH = "2.11"


def cpu_pre_save(cpu: Cpu) -> int:
    """Fill in the fields that only old machine types send: the processor's flag words, its SLB's size."""
    flags = cpu.machine.flags
    if flags.cpu_pre_2_8_migration:
        words = legacy_words(cpu.model.family.isa, cpu.machine.release)
        cpu.mig_msr_mask = words.msr_mask
        cpu.mig_insns_flags = words.insns_flags
        cpu.mig_insns_flags2 = words.insns_flags2
        cpu.mig_nb_BATs = words.bats
    if flags.cpu_pre_3_0_migration:
        cpu.mig_slb_nr = cpu.slb_nr
    cpu.hflags_compat_nmsr = 0
    return 0


def ignore_pvr(cpu: Cpu, version_id: int) -> int:
    """Replace the PVR by the local one: up to 2.9 a stream may come from any processor."""
    cpu.spr[SPR_PVR] = cpu.model.pvr
    return 0


def cpu_post_load(cpu: Cpu, version_id: int) -> int:
    """Check that this processor has the compat mode or, without one, that the PVR matches (from 2.10).

    ``compat_pvr`` is from the stream or, if the stream has none, the max-cpu-compat that the destination's
    own reset has set.  If it is not 0, the PVR is not checked.
    """
    if cpu.compat_pvr:
        ret = _set_compat(cpu)
        if ret:
            return ret
    elif not _pvr_matches(cpu):
        return REFUSED.at(cpu.machine.release)
    machine = cpu.machine
    if machine.host is not None:
        cpu.spr[SPR_PVR] = machine.rules.pvr_after_load(machine, cpu.spr[SPR_PVR], cpu.model.pvr)
    release = machine.release
    if reached(RTAS_STOPPED_SINCE, release) and not cpu.machine.flags.rtas_stopped_state:
        cpu.quiesced = _was_stopped(cpu)
    return 0


def _pvr_matches(cpu: Cpu) -> bool:
    pvr, model = cpu.spr[SPR_PVR] & 0xFFFFFFFF, cpu.model
    local = f"{model.pvr:#010x} ({model.name})"
    fine = bool(model.matches(pvr))
    return bool(cpu.compared("pvr_match", f"env.spr[{SPR_PVR}]", f"{pvr:#010x}", local, passed=fine))


def _set_compat(cpu: Cpu) -> int:
    """Set the compat mode without checking max-cpu-compat (target/ppc/compat.c ppc_set_compat)."""
    machine = cpu.machine
    pvr = cpu.compat_pvr
    refusal = machine.compat_table.refusal(cpu.model, pvr)
    if refusal is None and machine.host is not None:
        old = 0 if reached(MODE_SET_AFRESH, machine.release) else pvr
        refusal = write_register(machine, machine.kvm_compat, old, pvr)
    fine = refusal is None
    cpu.compared("ppc_set_compat", "compat_pvr", f"{pvr:#010x}", cpu.model.name, passed=fine)
    if refusal is not None:
        cpu.say(refusal)
        return REFUSED.at(machine.release)
    store_compat(cpu, pvr)
    return 0


def _was_stopped(cpu: Cpu) -> bool:
    """Return True if QEMU takes this processor for one that the guest has stopped, or not yet started.

    The guess is wrong: such a processor has the exits from power saving off (``Cpu.stopped_by_mistake``).
    """
    if not cpu.common.halted:
        return False
    return bool(cpu.spr[SPR_PSSCR] & PSSCR_EC and cpu.leaves_power_saving)


# The section, and a processor after reset.

CPU = VMStateDescription(
    "cpu",
    5,
    5,
    pre_save=cpu_pre_save,
    post_load=History(ignore_pvr, ("2.10", cpu_post_load)),
    fields=[
        Unused(8),  # was the PVR, which had to be equal
        UInt64("env.gpr")[32],
        UInt32("env.crf")[8],
        UInt64("env.nip"),
        UInt64("env.spr")[1024],
        UInt64("env.spe_acc"),
        Until("8.2", UInt64("env.reserve_addr")),
        Since("8.2", Unused(8)),
        UInt64("env.msr"),
        Until("6.1", UInt64("env.hflags_nmsr")),
        Since("6.1", UInt64("env.hflags_compat_nmsr")),
        Until("9.2", UInt64("mig_msr_mask", exists=pre_2_8_migration)),
        Until("9.2", UInt64("mig_insns_flags", exists=pre_2_8_migration)),
        Until("9.2", UInt64("mig_insns_flags2", exists=pre_2_8_migration)),
        Until("9.2", UInt32("mig_nb_BATs", exists=pre_2_8_migration)),
    ],
    subsections=SUBSECTIONS,
)

#: Between these releases, the boot processor got its compat mode before its own reset, which cleared the PCR.
BOOT_PCR_LOST = History(False, (("2.11.1", "2.12"), True), ("3.0", False))
#: In 4.1 the other processors copied the boot processor's mode before it had one.
OTHERS_START_RAW = History(False, ("4.1", True), ("4.2", False))


def _compat_after_reset(machine: Machine, boot: bool) -> int:
    """Return the compat mode of a processor after machine reset: max-cpu-compat (spapr_machine_reset)."""
    if not boot and OTHERS_START_RAW.at(machine.release):
        return 0
    return int(machine.max_compat)


class Cpu(Device):
    """The processor that ``common`` belongs to.

    State that is constant after reset, or irrelevant to a paused machine, is a class attribute.
    """

    description = CPU
    mig_msr_mask: int
    mig_insns_flags: int
    mig_insns_flags2: int
    mig_nb_BATs: int  # noqa: N815 - the field's name on the wire
    mig_slb_nr: int
    tm_vsr: WireArray
    model: CpuAt

    crf = WireArray.filled("I", 8)
    spe_acc = 0
    reserve_addr = cpu_reset.RESERVE_ADDR
    reserve_length = reserve_val = reserve_val2 = 0
    hflags_nmsr = hflags_compat_nmsr = 0
    fpr = vsr = sr = tm_gpr = WireArray.filled("Q", 32)
    fpscr = 0
    vscr = 0x00010000  # no denormalised vector numbers
    avr = WireRecords(("high", "low"), AVR.item, zeros(32 * 16))
    slb = WireRecords(("esid", "vsid"), SLBE.item, zeros(MAX_SLB_ENTRIES * 16))
    bhrb_offset = 0
    bhrb = WireArray.filled("Q", 32)
    nb_tlb = 0
    quiesced = False
    overrun = False  # a stream has overwritten pointers after the registers (cpu/tm)

    def __init__(self, machine: Machine, common: CpuCommon) -> None:
        index = common.instance_id
        super().__init__(machine, instance_id=index)
        self.common = common
        release = machine.release
        boot = index == 0
        self.model = model = machine.cpu
        self.slb_nr = model.family.slb_entries
        self.compat_pvr = _compat_after_reset(machine, boot)
        pcr_kept = self.compat_pvr and not (boot and BOOT_PCR_LOST.at(release))
        self.spr = cpu_reset.sprs(
            model,
            release,
            index,
            index % machine.topology.threads,
            large_decrementer=bool(machine.level("large-decr")),
            pcr=machine.compat_table.pcr(model, self.compat_pvr) if pcr_kept else 0,
        )
        room = real_mode_size(machine.ram_size, machine.flags.rma_limit, release)
        address = cpu_reset.device_tree_address(room, release) if boot else 0
        self.gpr = cpu_reset.gprs(address)
        self.nip = cpu_reset.ENTRY_POINT
        self.msr = cpu_reset.MSR.at(release)
        self.quiesced = not boot

    @property
    def leaves_power_saving(self) -> bool:
        """True if something wakes it: a reset and stop-self switch the exits off, start-cpu on.

        hw/ppc/spapr_cpu_core.c spapr_reset_vcpu, spapr_rtas.c rtas_start_cpu and rtas_stop_self.
        """
        return bool(self.spr[SPR_LPCR] & power_saving_exits(self.model.family.isa))

    @property
    def stopped_by_mistake(self) -> bool:
        """True if this QEMU does not let it run, although the guest has started it: it runs, or is idle.

        Machine types up to 10.0 do not say which processors wait, and QEMU guesses (cpu_post_load); a newer
        type takes all but the first for such if a stream does not say it.  The guest stalls.
        """
        if not reached(RTAS_STOPPED_SINCE, self.machine.release) or not self.quiesced:
            return False
        return not self.common.halted or self.leaves_power_saving
