"""Streams that a destination accepts without a word, although the guest would not go on.

Since 10.2.1 a processor that waits for the guest to start it is marked, in ``cpu/rtas_stopped``
(``Cpu.stopped_by_mistake``).
"""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import PseriesProblem, found_at
from vmstate.pseries.devices.cpu.cpu import PSSCR_EC, SPR_PSSCR, Cpu
from vmstate.savevm.verdict import Check
from vmstate.simulate.instance import Instance
from vmstate.tree.contents import Contents

STOPPED, MARK = "stopped-processor", "rtas_stopped"


def silent_checks(contents: Contents, instance: Instance) -> Iterator[Check]:
    """Yield what is wrong with a destination that has accepted a stream."""
    for cpu in instance.machine.registered(Cpu):
        label = f"{cpu.idstr}[{cpu.instance_id}]"
        if cpu.stopped_by_mistake and not found_at(contents, f"{label}/{MARK}"):
            yield Check(STOPPED, False, "a processor that runs is stopped", cpu.idstr, cpu.instance_id)


def _loaded(problem: PseriesProblem) -> Cpu:
    """Return the processor as it was loaded."""
    cpus = problem.instance.machine.registered(Cpu)
    return next(cpu for cpu in cpus if cpu.instance_id == problem.check.instance)


def processor(problem: PseriesProblem) -> Iterator[Change]:
    """Say that a processor runs, or take away the bit by which QEMU guesses that it waits."""
    label = problem.label
    if problem.instance.machine.flags.rtas_stopped_state:
        what, edit = f"{label}/{MARK} says that the processor runs", f"+{label}/{MARK}.env.quiesced=0"
    else:
        value = _loaded(problem).spr[SPR_PSSCR]
        what = f"PSSCR[EC] of {label} is off: else QEMU takes the processor for one that is not started"
        edit = f"{label}.env.spr[{SPR_PSSCR}]={value & ~PSSCR_EC:#x}"
    lost = "nothing: without it the destination accepts the stream, but stops this processor"
    yield Change(problem.rule, what, lost, Notice.NOTHING, (edit,), section=label)
