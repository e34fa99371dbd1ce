"""What a what-if does not tell: in words, for the reader of its report."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.proposals.whatif import WhatIf
from vmstate.pseries.tables.accelerators import shipped_hosts

_ALWAYS = (
    "two of ic-mode, max-cpu-compat and further options at once, or sides that differ in two things",
    "another machine type on the other side, which is always rejected",
    "KVM's rules are from QEMU's source and were never held against a KVM host",
)


def not_covered(answer: WhatIf) -> Iterator[str]:
    """Each thing in a sentence, particulars of this set first."""
    opened = answer.opened
    chosen = opened.judge.chosen
    done, of = answer.tasks
    if not answer.complete:
        yield f"interrupted after {100 * done // of} % of the set, in an order that samples it evenly"
    yield from _releases(answer)
    for reason in sorted(answer.unmodelled):
        yield f"not tried where {reason}"
    yield from _values(answer)
    yield f"the rest of every command line is {chosen.rest!r}"
    if chosen.guest:
        yield f"guests other than {chosen.guest}; what becomes of it after it was migrated"
    else:
        yield "guests: machines are as reset leaves them; what CAS changes is not seen (--guest linux-6.1)"
    yield from _ALWAYS


def _releases(answer: WhatIf) -> Iterator[str]:
    opened = answer.opened
    tried = {program.release for program in opened.programs}
    missing = [str(release) for release in sorted(opened.world.newest) if str(release) not in tried]
    if missing:
        yield f"releases: {', '.join(missing)}"
    yield "of each other stable branch, only the releases that were named or are its newest"
    on = opened.release
    if opened.later:
        yield f"pairs without QEMU {on} on either side; releases after it have the proposal too"
    else:
        yield f"releases after {on} that have the proposal too (--later)"


def _values(answer: WhatIf) -> Iterator[str]:
    """What the dimensions leave out of what the proposal's own release has."""
    opened = answer.opened
    chosen = opened.judge.chosen
    world = opened.world.fork(opened.proposal.name)
    binary = world.binary(opened.release)
    types = [name for name in binary.machine_types if name not in chosen.types]
    if types:
        yield f"machine types: {', '.join(types)}"
    cpus = [cpu.name for cpu in binary.cpus.values() if not {cpu.name, *cpu.aliases} & set(chosen.cpus)]
    if cpus:
        yield f"processors under TCG, unless a machine type's own: {', '.join(cpus)}"
    hosts = [name for name in shipped_hosts() if name not in chosen.hosts]
    if hosts:
        yield f"hosts: {', '.join(hosts)}"
    named = ",".join(chosen.options)
    fixed = [name for name in binary.capability if f"{name}=" not in named]
    if fixed:
        yield f"capabilities, other than at their defaults: {', '.join(fixed)}"
