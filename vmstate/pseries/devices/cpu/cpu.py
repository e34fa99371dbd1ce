"""The section ``cpu``: one processor's architected state (target/ppc/machine.c vmstate_ppc_cpu).

QEMU keeps some registers separately and copies them to the SPRs before saving (LR, CTR, XER, CFAR, and from
8.2 the decrementer); here they are always in ``spr``.
"""

from __future__ import annotations

from vmstate.describe import (
    History,
    Since,
    UInt32,
    UInt64,
    Until,
    Unused,
    VMStateDescription,
    WireArray,
    WireRecords,
)
from vmstate.describe.arrays import zeros
from vmstate.pseries.board.device import Device
from vmstate.pseries.devices.cpu import hooks as cpu_hooks
from vmstate.pseries.devices.cpu import reset as cpu_reset
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.cpu.needed import pre_2_8_migration
from vmstate.pseries.devices.cpu.parts import AVR, SLBE, SUBSECTIONS
from vmstate.pseries.devices.cpu.slb import MAX_SLB_ENTRIES
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.memory import real_mode_size
from vmstate.pseries.tables.cpus import CpuAt

CPU = VMStateDescription(
    "cpu",
    5,
    5,
    pre_save=cpu_hooks.cpu_pre_save,
    post_load=History(cpu_hooks.ignore_pvr, ("2.10", cpu_hooks.cpu_post_load)),
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
