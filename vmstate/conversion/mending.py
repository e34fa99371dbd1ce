"""The tables of fixes: by the rule of the check that refused, what changes a stream so that it passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeAlias, TypeVar

from vmstate.conversion import any_machine, framing, machine_types, memory, pci, sections, silent, values
from vmstate.conversion.change import Change
from vmstate.conversion.destination import Fix
from vmstate.conversion.problem import Problem, PseriesProblem
from vmstate.errors import Unsupported

P = TypeVar("P", bound=Problem)
Fixes: TypeAlias = Mapping[str, Callable[[P], Iterator[Change]]]

#: At a simulated machine: by the rule of the deciding check, or of a silent one.
PSERIES: Fixes[PseriesProblem] = {
    "machine-type": machine_types.machine_type,
    "capability": values.capability,
    "pvr_match": values.processor,
    "ppc_set_compat": values.compat_mode,
    "not-equal": values.constant,
    "field-failed": pci.field,
    "unknown-section": sections.unknown_section,
    "unknown-subsection": sections.unknown_subsection,
    "command-unknown": sections.unknown_command,
    "footer-missing": framing.footer_missing,
    "configuration-missing": framing.configuration_missing,
    "unknown-type": framing.unknown_type,
    "section-too-new": sections.section_version,
    "too-new": sections.description_version,
    "too-old": sections.description_version,
    "live-state-failed": memory.block,
    silent.STOPPED: silent.processor,
}
#: At a recorded machine, of any kind: by the rule of the record's judge.
RECORDED: Fixes[Problem] = {
    "machine-type": any_machine.machine_type,
    "section": any_machine.unknown_section,
    "section-version": sections.section_version,
    "subsection.unknown": any_machine.unknown_subsection,
    "command-unknown": sections.unknown_command,
    "ram-block": any_machine.block,
    "value-differs": any_machine.value,
    "configuration-missing": framing.any_configuration_missing,
    "unknown-type": framing.any_unknown_type,
    "footer-missing": framing.footer_missing,
}


def fixes(
    table: Fixes[P],
    problem: P,
    last: Callable[[P], Iterator[Change]] = sections.reset,
    alone: tuple[str, ...] = (),
) -> tuple[Fix, ...]:
    """Return what may mend a problem: the fix of its rule, and ``last`` unless it is one of ``alone``."""
    own = table.get(problem.rule, _unknown)
    found: list[Fix] = [partial(own, problem)]
    if problem.rule not in alone:
        found.append(partial(last, problem))
    return tuple(found)


def _unknown(problem: Problem) -> Iterator[Change]:
    raise Unsupported(f"no change is known for {problem.rule}")
