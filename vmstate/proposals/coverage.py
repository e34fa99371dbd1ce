"""The limits of a what-if, in words for the reader of its report."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.proposals.whatif import WhatIf
from vmstate.pseries.tables.accelerators import shipped_hosts

_ALWAYS = (
    "two of ic-mode, max-cpu-compat and further options at once, or sides that differ in two things",
    "another machine type on the other side, which is always rejected",
    "the rules of KVM are from QEMU's source; they were never compared with a KVM host",
)


def not_covered(answer: WhatIf) -> Iterator[str]:
    """Yield each limit as a sentence, those of this set first."""
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
        yield f"guests other than {chosen.guest}, and its behaviour after the migration"
    else:
        yield "guests: machines are in their reset states, without the effects of CAS (--guest linux-6.1)"
    yield from _ALWAYS


def _releases(answer: WhatIf) -> Iterator[str]:
    opened = answer.opened
    tried = {program.release for program in opened.programs}
    missing = [str(release) for release in sorted(opened.catalogue.newest) if str(release) not in tried]
    if missing:
        yield f"releases: {', '.join(missing)}"
    yield "of the other stable branches, all releases but the newest and those that were named"
    on = opened.release
    if opened.later:
        yield f"pairs without QEMU {on} on either side; releases after it have the proposal too"
    else:
        yield f"releases after {on} that have the proposal too (--later)"


def _values(answer: WhatIf) -> Iterator[str]:
    """Yield the values of the proposal's release that the dimensions leave out."""
    opened = answer.opened
    chosen = opened.judge.chosen
    catalogue = opened.catalogue.fork(opened.proposal.name)
    binary = catalogue.binary(opened.release)
    types = [name for name in binary.machine_types if name not in chosen.types]
    if types:
        yield f"machine types: {', '.join(types)}"
    cpus = [cpu.name for cpu in binary.cpus.values() if not {cpu.name, *cpu.aliases} & set(chosen.cpus)]
    if cpus:
        yield f"processors under TCG, except as the default of a machine type: {', '.join(cpus)}"
    hosts = [name for name in shipped_hosts() if name not in chosen.hosts]
    if hosts:
        yield f"hosts: {', '.join(hosts)}"
    named = ",".join(chosen.options)
    fixed = [name for name in binary.capability if f"{name}=" not in named]
    if fixed:
        yield f"capabilities at other than their defaults: {', '.join(fixed)}"
