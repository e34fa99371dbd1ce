"""Another machine type: its name, and what a stream of the old type leaves to that type's defaults.

A stream leaves out what its machine type decides: levels of capabilities, and subsections that the type does
not send.  Under another name it would mean something else, and nothing would say so.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import Problem, PseriesProblem, found_at
from vmstate.conversion.sections import NEVER_REMOVED
from vmstate.conversion.silent import MARK
from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError
from vmstate.pseries.startup.build import build
from vmstate.pseries.tables.capabilities import CapabilityAt
from vmstate.simulate.remedies import level_text, with_property
from vmstate.stream.constants import SectionType
from vmstate.tree.contents import Contents

CAPABILITY = "spapr/cap/"


def machine_type(problem: PseriesProblem) -> Iterator[Change]:
    """Give the configuration section the destination's machine type, and say what the old one decided."""
    plain = renamed(problem)
    old, what, lost, edits = str(problem.check.incoming), plain.what, plain.lost, list(plain.edits)
    notice = plain.notice
    levels = _levels(problem, old)
    if levels is None:
        notice, lost = Notice.GUEST, f"{lost}; what {old} has as levels of capabilities is not known"
    for one, level in _higher(problem, levels or {}):
        edits.append(f"+spapr/{one.subsection.removeprefix('spapr/')}.mig.caps[0x{one.index:02X}]={level}")
        what += f", {one.property_name} is {level_text(one, level)} as there"
    yield Change(problem.rule, what, lost, notice, tuple(edits))


def renamed(problem: Problem) -> Change:
    """Return the change of the name, with the subsections that the stream lacks."""
    old, new = str(problem.check.incoming), str(problem.check.local)
    what = f"the machine type {old} becomes {new}"
    lost = f"the old type: the guest meets what {new} does otherwise, at the latest when it boots again"
    notice = Notice.LATER
    for label, name in _missing(problem):
        worst = label.partition("[")[0] in NEVER_REMOVED
        notice = max(notice, Notice.GUEST if worst else Notice.DEVICE)
        lost += f"; {name} of {label}, which {old} does not send, is as after a reset"
    return Change(problem.rule, what, lost, notice, (f"configuration.name={new}",))


def _levels(problem: PseriesProblem, name: str) -> dict[str, int] | None:
    """Return the levels of a machine type, by a release that has it; None if none can be asked."""
    given = problem.configuration
    cpu = tuple(option for option in given.options if option.name == "cpu")
    config = replace(given, options=cpu)  # nothing else decides them, and an old type may refuse it
    releases = sorted(config.catalogue.newest)
    own = bisect(releases, config.release)
    for release in (config.release, *releases[own:], *reversed(releases[:own])):
        named = with_property(replace(config, release=release), "type", name)
        for one in (named, with_property(named, "cap-htm", "off")):  # TCG refuses the default of old types
            try:
                machine = build(one).machine
            except ConfigurationError:
                continue
            if machine is not None:
                return {cap.name: machine.default_levels[cap.index] for cap in machine.capabilities}
    return None


def _higher(problem: PseriesProblem, levels: dict[str, int]) -> Iterator[tuple[CapabilityAt, int]]:
    """Yield the capabilities that the stream does not have, and that had a higher level in the old type."""
    machine = problem.instance.machine
    for one in machine.capabilities:
        level = levels.get(one.name, 0)
        there = found_at(problem.contents, f"spapr/{one.subsection.removeprefix('spapr/')}")
        if level > machine.default_levels[one.index] and not there:
            yield one, level


def _missing(problem: Problem) -> Iterator[tuple[str, str]]:
    """Yield section and name of each subsection that the destination sends, and the stream does not."""
    own = problem.destination.own
    if own is None:
        return
    for section in problem.contents.stream.sections:
        there = own.stream.find(section.idstr, section.instance_id)
        if section.kind != SectionType.FULL or there is None:
            continue
        sent = _subsections(problem.contents, section.start)
        for name in sorted(_subsections(own, there.start) - sent):
            if not name.startswith(CAPABILITY) and not name.endswith(f"/{MARK}"):
                yield f"{section.idstr}[{section.instance_id}]", name


def _subsections(contents: Contents, start: int) -> set[str]:
    node = contents.node(contents.by_start[start])
    return {one.name for one in node.children if one.kind == "subsection"}
