"""The hooks for saving and loading ``cpu`` (target/ppc/machine.c cpu_pre_save, cpu_post_load)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmstate.describe.diagnostics import EINVAL, EPERM
from vmstate.describe.history import History, reached
from vmstate.pseries.devices.cpu.legacy import legacy_words
from vmstate.pseries.devices.cpu.needed import RTAS_STOPPED_SINCE
from vmstate.pseries.devices.cpu.reset import power_saving_exits
from vmstate.pseries.rules.compat_register import store_compat, tell_kvm

if TYPE_CHECKING:
    from vmstate.pseries.devices.cpu.cpu import Cpu

SPR_DECR, SPR_SDR1, SPR_PVR, SPR_LPCR, SPR_PSSCR = 22, 25, 287, 318, 855
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
        refusal = tell_kvm(machine, machine.kvm_compat, old, pvr)
    fine = refusal is None
    cpu.compared("ppc_set_compat", "compat_pvr", f"{pvr:#010x}", cpu.model.name, passed=fine)
    if refusal is not None:
        cpu.say(refusal)
        return REFUSED.at(machine.release)
    store_compat(cpu, pvr)
    return 0


def _was_stopped(cpu: Cpu) -> bool:
    """Return True if the guest had stopped this processor through RTAS, as guessed from an older stream."""
    if not cpu.common.halted:
        return False
    return bool(
        cpu.spr[SPR_PSSCR] & PSSCR_EC and cpu.spr[SPR_LPCR] & power_saving_exits(cpu.model.family.isa)
    )
