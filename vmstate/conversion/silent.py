"""Streams that a destination accepts without a word, although the guest would not go on.

Since 10.2.1 a processor that waits for the guest to start it is marked, in ``cpu/rtas_stopped``.  Machine
types up to 10.0 do not send it, and QEMU guesses (target/ppc/machine.c cpu_post_load): it takes an idle first
processor for one that waits.  A newer type without it takes all but the first for such.  The guest stalls.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import PseriesProblem, found_at
from vmstate.describe.history import reached
from vmstate.pseries.devices.cpu.cpu import PSSCR_EC, RTAS_STOPPED_SINCE, SPR_LPCR, SPR_PSSCR, Cpu
from vmstate.pseries.devices.cpu.reset import power_saving_exits
from vmstate.savevm.verdict import Check
from vmstate.simulate.instance import Instance
from vmstate.tree.contents import Contents

STOPPED, MARK = "stopped-processor", "rtas_stopped"


def silent_checks(contents: Contents, instance: Instance) -> Iterator[Check]:
    """Yield what is wrong with a destination that has accepted a stream."""
    if not reached(RTAS_STOPPED_SINCE, instance.release):
        return
    for cpu in instance.machine.registered(Cpu):
        label = f"{cpu.idstr}[{cpu.instance_id}]"
        if cpu.quiesced and not found_at(contents, f"{label}/{MARK}") and _goes_on(contents, label, cpu):
            yield Check(STOPPED, False, "a processor that runs is stopped", cpu.idstr, cpu.instance_id)


def _goes_on(contents: Contents, label: str, cpu: Cpu) -> bool:
    """Return True if the guest has started a processor: it runs, or is idle.

    One that waits is halted, with the exits from power saving off: a reset and stop-self switch them off,
    start-cpu on (hw/ppc/spapr_cpu_core.c, spapr_rtas.c).
    """
    halted = _value(contents, f"cpu_common[{cpu.instance_id}].halted")
    lpcr = _value(contents, f"{label}.spr[{SPR_LPCR}]")
    if halted is None or lpcr is None:
        return False
    return not halted or bool(lpcr & power_saving_exits(cpu.model.family.isa))


def _value(contents: Contents, path: str) -> int | None:
    values = [place.node.value for place in found_at(contents, path)]
    return values[0] if len(values) == 1 and isinstance(values[0], int) else None


def processor(problem: PseriesProblem) -> Iterator[Change]:
    """Say that a processor runs, or take away the bit by which QEMU guesses that it waits."""
    label = problem.label
    if problem.instance.machine.flags.rtas_stopped_state:
        what, edit = f"{label}/{MARK} says that the processor runs", f"+{label}/{MARK}.env.quiesced=0"
    else:
        value = _value(problem.contents, f"{label}.spr[{SPR_PSSCR}]") or 0
        what = f"PSSCR[EC] of {label} is off: else QEMU takes the processor for one that is not started"
        edit = f"{label}.env.spr[{SPR_PSSCR}]={value & ~PSSCR_EC:#x}"
    lost = "nothing: without it the destination accepts the stream, but stops this processor"
    yield Change(problem.rule, what, lost, Notice.NOTHING, (edit,), section=label)
