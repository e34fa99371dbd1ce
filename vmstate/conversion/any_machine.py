"""Changes for a machine of any kind, of which only descriptions are known.

What the machine does with a section is not known here.  A device on a bus has its address in front of the
name of its section; what has none is a part of the board, without which a guest may fail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from vmstate.conversion import memory, sections
from vmstate.conversion.change import Change, Notice
from vmstate.conversion.machine_types import renamed
from vmstate.conversion.problem import Problem, found_at
from vmstate.dataclass import replace
from vmstate.errors import Unsupported
from vmstate.records.values import EQUAL
from vmstate.tree.nodes import count_of
from vmstate.tree.paths import Place, below, owner_of

#: The addresses of devices that send their number too, which is compared (hw/s390x/css.c s390_subch_dev).
_SENDS_ITS_NUMBER = "/fe."
_NUMBER = re.compile(r"[0-9a-f]+")


def machine_type(problem: Problem) -> Iterator[Change]:
    """Give the configuration section the destination's machine type."""
    plain = renamed(problem)
    lost = (
        f"{plain.lost}; what else {problem.check.incoming} decides, and the stream does not say, is not known"
    )
    yield replace(plain, lost=lost, notice=Notice.GUEST)


# ---- sections


def unknown_section(problem: Problem) -> Iterator[Change]:
    """Give a section the name under which the destination expects its device, or leave it out."""
    for change in _judged(problem, sections.unknown_section(problem)):
        if change.removes or _may_be_called(problem.label, change.edits[0].partition("=")[2]):
            yield change


def _may_be_called(old: str, new: str) -> bool:
    """Return True if a device may have moved: to another address on a bus of the same kind."""
    shapes = {_NUMBER.sub("0", name.rpartition("/")[0]) for name in (old, new)}
    return len(shapes) == 1 and not old.startswith(_SENDS_ITS_NUMBER)


def reset(problem: Problem) -> Iterator[Change]:
    """Leave out a section: QEMU does not ask for it, and the device is as after a reset."""
    yield from _judged(problem, sections.reset(problem))


def _judged(problem: Problem, changes: Iterable[Change]) -> Iterator[Change]:
    """Yield changes; one that removes more than a device at the end of a bus is worse."""
    for change in changes:
        reason = _needed(problem) if change.removes else ""
        yield replace(change, lost=f"{change.lost}; {reason}", notice=Notice.GUEST) if reason else change


def _needed(problem: Problem) -> str:
    section = problem.section
    head, slash, _ = ("" if section is None else section.idstr).rpartition("/")
    if not slash:
        return "it is a part of the board"
    behind = (f"{head}:", f"{head}/")
    for other in problem.contents.stream.sections:
        if other is not section and f"{other.idstr.rpartition('/')[0]}/".startswith(behind):
            if other.idstr.rpartition("/")[0] != head:
                return "other devices are behind it"
    return ""


def block(problem: Problem) -> Iterator[Change]:
    """Change the size or name of a RAM block, or leave it out; where the machine maps it is not known."""
    ram = problem.contents.stream.ram
    largest = max((one.length for one in ram.blocks), default=0) if ram is not None else 0
    for change in memory.block(problem):
        if problem.check.incoming == largest:
            lost = f"{change.lost}; where the guest finds its memory may depend on its size"
            yield replace(change, lost=lost, notice=Notice.GUEST)
        else:
            yield change


# ---- inside sections


def unknown_subsection(problem: Problem) -> Iterator[Change]:
    """Leave out a subsection that the destination does not know, wherever the section has it."""
    name = str(problem.check.path)
    places = [one for one in _places(problem) if one.node.kind == "subsection" and one.node.name == name]
    if not places:
        raise Unsupported("the subsection is not found in the stream")
    made = [sections.without_subsection(problem, one) for one in places]
    worst = max(made, key=lambda change: change.notice)
    edits = [edit for change in reversed(made) for edit in change.edits]
    yield replace(worst, edits=tuple(edits))


def value(problem: Problem) -> Iterator[Change]:
    """Give a field that must be equal on both sides the destination's value."""
    check = problem.check
    place = next(
        (one for one in _places(problem) if one.node.start == check.offset and not one.node.nodes), None
    )
    if place is None or not place.node.type.endswith(EQUAL) or not isinstance(check.local, int):
        raise Unsupported(f"{check.path} of {problem.label}, {check.incoming}, may be {check.local} at most")
    if any(count_of(one.node) == check.incoming for one in _places(problem) if one.node.kind == "array"):
        raise Unsupported(f"{check.path} of {problem.label} may be the number of elements of an array")
    what = f"{place.path}, {check.incoming}, becomes {check.local}"
    lost = f"{place.path} as the guest knows it: the destination has another value"
    yield Change(problem.rule, what, lost, Notice.GUEST, (f"{place.path}={check.local}",))


def _places(problem: Problem) -> Iterator[Place]:
    """Yield the section's place and those in it, in wire order."""
    tops = [] if problem.section is None else found_at(problem.contents, problem.label)
    for top in tops[:1]:
        yield from below(top, owner_of(problem.contents, top))
