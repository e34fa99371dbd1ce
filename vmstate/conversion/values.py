"""Values that a destination compares with its own: capability, PVR, compat mode, constants."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import Problem, PseriesProblem, found_at
from vmstate.errors import Unsupported
from vmstate.pseries.tables.cpus import SPR_PVR
from vmstate.simulate.remedies import level_text

#: What a guest that uses a capability meets without it.
_WITHOUT = {
    "htm": "transactional memory: a guest that begins a transaction gets an interrupt",
    "vsx": "VSX: a guest that uses vectors of VSX gets an interrupt",
    "dfp": "decimal floating point: a guest that uses it gets an interrupt",
    "cfpc": "a safe cache: the guest may leave out what protects it from Meltdown",
    "sbbc": "safe bounds checks: the guest may leave out what protects it from Spectre v1",
    "ibs": "safe indirect branches: the guest may leave out what protects it from Spectre v2",
    "hpt-max-page-size": "large pages: a hash guest that has mapped them has no memory there",
    "nested-hv": "nested guests: those that the guest runs end",
    "nested-papr": "nested guests: those that the guest runs end",
    "large-decr": "the large decrementer: the guest's timer ends too early or late",
    "ccf-assist": "the assisted flush of the count cache: the guest's own protection may do nothing",
    "fwnmi": "machine checks by FWNMI: a guest that has registered for them is not called",
    "rpt-invalidate": "H_RPT_INVALIDATE: a guest that calls it gets H_FUNCTION",
    "ail-mode-3": "interrupts with translation on (AIL 3): a guest that has set it gets them elsewhere",
    "dawr1": "the second data watchpoint: it no longer stops anything",
}
_FAMILY = 16  # the lower half of a PVR is the revision


def capability(problem: PseriesProblem) -> Iterator[Change]:
    """Give a capability the destination's level; a stream without it means the machine type's default."""
    known = problem.configuration
    table = known.catalogue.binary(known.release).capabilities
    one = next((one for one in table if one.property_name == problem.check.path), None)
    if one is None or not isinstance(problem.check.incoming, int):
        raise Unsupported(f"the destination has no capability {problem.check.path}")
    old, new = problem.incoming_number(), problem.local_number()
    path = f"{problem.label}/{one.subsection.removeprefix('spapr/')}"
    there = bool(found_at(problem.contents, path))
    edit = f"{'' if there else '+'}{path}.mig.caps[0x{one.index:02X}]={new}"
    default = "" if there else ", the default of a stream without it,"
    what = f"{one.property_name} {level_text(one, old)}{default} becomes {level_text(one, new)}"
    lost = _WITHOUT.get(one.name, f"{one.property_name}={level_text(one, old)}, which the guest may use")
    if not there:
        lost += " (if the source had it, which the stream does not say)"
    yield Change(problem.rule, what, lost, Notice.GUEST, (edit,))


def processor(problem: Problem) -> Iterator[Change]:
    """Give a processor the destination's PVR."""
    old, new = problem.incoming_number(), problem.local_number()
    edit = f"{problem.label}.env.spr[{SPR_PVR}]={new:#x}"
    what = f"the PVR of {problem.label}, {old:#010x}, becomes {new:#010x}"
    if old >> _FAMILY == new >> _FAMILY:
        lost = "the revision of the processor, which the guest has read at its start"
        yield Change(problem.rule, what, lost, Notice.LATER, (edit,))
        return
    lost = "the family of the processor: the guest has chosen its code for another one"
    yield Change(problem.rule, what, lost, Notice.GUEST, (edit,))


def compat_mode(problem: PseriesProblem) -> Iterator[Change]:
    """Give a processor a compat mode that the destination can run, the newest first."""
    known = problem.configuration
    old = problem.incoming_number()
    for mode in reversed(known.catalogue.binary(known.release).compat.modes):
        if mode.pvr < old:
            edit = f"{problem.label}/compat.compat_pvr={mode.pvr:#x}"
            what = f"the compat mode of {problem.label}, {old:#010x}, becomes {mode.name}"
            lost = "the newer mode: what the guest may use of it raises an interrupt"
            yield Change(problem.rule, what, lost, Notice.GUEST, (edit,))


def constant(problem: Problem) -> Iterator[Change]:
    """Give a field that must be equal on both sides the destination's value."""
    place = problem.places(before=1)[-1:]
    if not place:
        raise Unsupported("the field is not found in the stream")
    path = place[0].path
    there = problem.at_destination(path)
    if there is None or not isinstance(there.node.value, int):
        raise Unsupported(f"the destination does not send {path}")
    what = f"{path}, {place[0].node.value}, becomes {there.node.value}"
    lost = f"{path} as the guest knows it: the destination has another value"
    yield Change(problem.rule, what, lost, Notice.DEVICE, (f"{path}={there.node.value}",))
