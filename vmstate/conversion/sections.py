"""Sections and subsections that a destination does not know, or knows by another name or version."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import Problem, found_at
from vmstate.describe import Node
from vmstate.errors import Unsupported
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.stream.constants import Command, SectionType
from vmstate.stream.edit import Bytes, Edit
from vmstate.stream.items import CommandItem, Item, Section
from vmstate.stream.reader import Stream
from vmstate.tree.changes import Changes
from vmstate.tree.contents import Contents
from vmstate.tree.paths import Place

#: Sections without which no guest goes on; of the processors' too, whatever their instance.
NEVER_REMOVED = frozenset(
    {"ram", "spapr", "spapr/htab", "timer", "cpu", "cpu_common", "spapr_cpu", "globalstate"}
)
#: Sections of the two interrupt controllers, of which a guest uses one.
XICS, XIVE = frozenset({"ics", "icp/server"}), frozenset({"spapr-xive", "xive-source", "xive-tctx"})
#: Arrays of which an element's place says what it is, so that some can be added or cut off at the end.
_BY_PLACE = {"spapr-xive": "endt"}
#: What goes with a section that others depend on.
_WORSE = {
    "spapr_pci": "the interrupts that the guest has set up for the devices behind this bridge",
    "spapr_iommu": "the DMA window: what the guest has mapped in it for its devices",
    "pci_bridge": "the windows and bus numbers that the guest has set up for the devices behind this bridge",
}
#: Subsections whose fields are zero at a destination that does not know them.
_ZERO_WITHOUT = frozenset({"cpu/bhrb", "cpu/rtas_stopped"})
_PCI = "pci@"
_GONE = "to the guest the device is gone"
_SHOWN = 4
_WITHOUT_EFFECT: dict[int, str] = {Command.SWITCHOVER_START: "it only says that the source has stopped"}


# ---- sections


def unknown_section(problem: Problem) -> Iterator[Change]:
    """Give a section the name under which the destination expects its device, or leave it out."""
    section = _whole(problem)
    yield from _renamings(problem, section)
    if section.idstr in NEVER_REMOVED:
        raise Unsupported(f"{problem.label} may not be left out: no guest goes on without it")
    notice, lost = _loss(problem.contents, section)
    yield _left_out(problem, f"leave out the section {problem.label}", lost, notice)


def _left_out(problem: Problem, what: str, lost: str, notice: Notice) -> Change:
    edits = (f"-{problem.label}",)
    return Change(problem.rule, what, lost, notice, edits, section=problem.label, removes=True)


def reset(problem: Problem) -> Iterator[Change]:
    """Leave out a device's section: QEMU does not ask for it, and the device is as after a reset."""
    section = problem.section
    if section is None or section.kind != SectionType.FULL or section.idstr in NEVER_REMOVED:
        return
    notice, lost = _loss(problem.contents, section)
    what = f"leave out the section {problem.label}: the device is as after a reset"
    lost = lost.replace(_GONE, "its driver must begin again")
    yield _left_out(problem, what, lost, notice)


def other_size(problem: Problem) -> Iterator[Change]:
    """Make an array as long as the destination's, where an element's place says what it is."""
    section = _whole(problem)
    name = _BY_PLACE.get(section.idstr)
    there = problem.at_destination(f"{section.idstr}[{section.instance_id}]")
    if name is None or there is None or there.section is None or problem.destination.own is None:
        raise Unsupported(f"{problem.label} has other fields at the destination")
    here, wanted = (
        [one for one in contents.node(item).children if one.kind not in ("header", "footer")]
        for contents, item in ((problem.contents, section), (problem.destination.own, there.section))
    )
    payload, what, lost = _fitted(problem, here, wanted, name)
    own = problem.destination.own
    entry = own.entries.text_of(there.section)
    yield Change(
        problem.rule,
        f"{problem.label}.{name} has {what}",
        lost,
        Notice.LATER if len(payload) > section.payload_end - section.payload_start else Notice.GUEST,
        rewrite=lambda contents: _with_payload(contents, section, payload, entry),
    )


def _fitted(problem: Problem, here: list[Node], wanted: list[Node], name: str) -> tuple[bytes, str, str]:
    """Return a payload with one field as long as the destination's, what is changed, and what is lost."""
    own = problem.destination.own
    assert own is not None
    if [one.name for one in here] != [one.name for one in wanted]:
        raise Unsupported(f"{problem.label} has other fields at the destination")
    ours, theirs = problem.contents.stream.data, own.stream.data
    parts, what, lost = [], "", ""
    for one, other in zip(here, wanted, strict=True):
        old, new = bytes(ours[one.start : one.end]), bytes(theirs[other.start : other.end])
        parts.append(old[: len(new)] + new[len(old) :])
        if len(old) == len(new):
            continue
        if one.name != name:
            raise Unsupported(f"{problem.label}.{one.name} has another size at the destination")
        more = len(new) - len(old)
        what = f"{abs(more)} bytes {'more' if more > 0 else 'fewer'}"
        lost = "nothing: what is added is as after a reset" if more > 0 else f"the last {-more} bytes of it"
    return b"".join(parts), what, lost


def _with_payload(
    contents: Contents, section: Section, payload: bytes, entry: bytes | None
) -> Iterator[Bytes]:
    changes = Changes(contents)
    changes.replace_payload(section, payload, entry)
    return changes.chunks()


def _whole(problem: Problem) -> Section:
    section = problem.section
    if section is None or section.kind != SectionType.FULL:
        raise Unsupported(f"{problem.label} is not a section that is sent whole")
    return section


def _renamings(problem: Problem, section: Section) -> Iterator[Change]:
    """Yield a change of name for each such device of the destination of which the stream has no state."""
    own = problem.destination.own
    head, _, tail = section.idstr.rpartition("/")
    if own is None or not head:
        return
    sent = {(one.idstr, one.instance_id) for one in problem.contents.stream.sections}
    for other in own.stream.sections:
        there = (other.idstr, other.instance_id)
        if there in sent or there[1] != section.instance_id or not there[0].endswith(f"/{tail}"):
            continue
        edit = f"{problem.label}.header.idstr={other.idstr}"
        lost = f"the address of the device: its driver knows it at {head}, where there is nothing now"
        if head.startswith(_PCI):
            lost += "; the windows that the guest has mapped stay"
        what = f"the section {problem.label} is called {other.idstr}"
        yield Change(problem.rule, what, lost, Notice.DEVICE, (edit,))


def _loss(contents: Contents, section: Section) -> tuple[Notice, str]:
    special = _WORSE.get(section.idstr.rpartition("/")[2])
    if special is not None:
        return Notice.GUEST, special
    kind = next((kind for kind in (XICS, XIVE) if section.idstr in kind), None)
    if kind is None:
        size = section.payload_end - section.payload_start
        lost = f"the state of {section.idstr}, {size} bytes: {_GONE}"
        return Notice.DEVICE, lost
    names = {one.idstr for one in contents.stream.sections}
    both = not names.isdisjoint(XICS) and not names.isdisjoint(XIVE)
    if both and (kind is XIVE) != _uses_xive(contents):
        used = "XICS" if kind is XIVE else "XIVE"
        return (
            Notice.LATER,
            f"the state of an interrupt controller that the guest does not use: it uses {used}",
        )
    return Notice.GUEST, "the state of the interrupt controller that the guest uses: it gets no interrupts"


def _uses_xive(contents: Contents) -> bool:
    """Return True if the guest has chosen XIVE by client-architecture-support."""
    places = found_at(contents, "spapr/spapr_option_vector_ov5_cas.ov5_cas.bitmap")
    value = places[0].node.value if places else 0
    return bool(isinstance(value, int) and value >> Ov5.XIVE_EXPLOIT & 1)


# ---- versions


def description_version(problem: Problem) -> Iterator[Change]:
    """Send a subsection in the destination's version; the check's offset is behind its header."""
    yield from _other_version(problem, problem.described(before=1))


def section_version(problem: Problem) -> Iterator[Change]:
    """Send a section in the destination's version; the check's offset is where the section begins."""
    yield from _other_version(problem, problem.described())


def _other_version(problem: Problem, place: Place | None) -> Iterator[Change]:
    """Change the version of a section or subsection, if it has the same fields at the destination."""
    there = None if place is None else problem.at_destination(_absolute(place))
    if place is None or there is None:
        raise Unsupported("the destination sends nothing like it, which would show its fields")
    if fields(place.node) != fields(there.node):
        raise Unsupported(
            f"version {_version(there)} of {place.path} has other fields than {_version(place)}"
        )
    old, new = _version(place), _version(there)
    header = f"{place.path}.header" if place.node.kind == "section" else place.path
    what = f"version {old} of {place.path} becomes {new}"
    lost = "nothing: both versions have the same fields"
    yield Change(problem.rule, what, lost, Notice.NOTHING, (f"{header}.version_id={new}",))


def _absolute(place: Place) -> str:
    """Return a path that names the instance of its section, as it may be the only one elsewhere."""
    section = place.section
    assert section is not None
    return str(section) + place.path.removeprefix(place.chain[0].name)


def _version(place: Place) -> int:
    if place.node.version_id is None:
        raise Unsupported(f"{place.path} has no version")
    return place.node.version_id


def fields(node: Node) -> list[tuple[str, str, int]]:
    """Return the fields of a section or subsection: name, type, size in bytes."""
    plain = (one for one in node.children if one.kind not in ("header", "footer", "subsection"))
    return [(one.name, one.type, one.end - one.start) for one in plain]


# ---- subsections


def unknown_subsection(problem: Problem) -> Iterator[Change]:
    """Leave out a subsection that the destination does not know."""
    place = problem.described()
    if place is None or place.node.kind != "subsection":
        raise Unsupported("the subsection is not found in the stream")
    yield without_subsection(problem, place)


def without_subsection(problem: Problem, place: Place) -> Change:
    """Return the change that leaves out a subsection."""
    notice, lost = _loss_of_subsection(problem.contents.stream, place)
    what = f"leave out the subsection {place.path}"
    return Change(problem.rule, what, lost, notice, (f"-{place.path}",))


def _loss_of_subsection(stream: Stream, place: Place) -> tuple[Notice, str]:
    values = [one for one in place.node.children if one.kind not in ("header", "subsection")]
    numbers = [(one.name, one.value) for one in values if isinstance(one.value, int)]
    capability = place.node.name.startswith("spapr/cap/")
    some = [f"{name}={value:#x}" for name, value in numbers if value][:_SHOWN]
    if capability and numbers and not numbers[0][1]:
        return Notice.NOTHING, "nothing: the guest was not offered the capability, which is not known there"
    if capability:
        level = numbers[0][1] if numbers else "?"
        return (
            Notice.GUEST,
            f"level {level} of a capability that the guest may use and that is not known there",
        )
    if not any(any(stream.data[one.start : one.end]) for one in values):
        known = place.node.name in _ZERO_WITHOUT
        return Notice.NOTHING if known else Notice.LATER, "nothing: all of its fields are zero"
    notice = Notice.GUEST if place.chain[0].type in NEVER_REMOVED else Notice.DEVICE
    return (
        notice,
        f"its fields{', ' + ', '.join(some) if some else ''}: the destination has no place for them",
    )


# ---- commands


def unknown_command(problem: Problem) -> Iterator[Change]:
    """Leave out a command that the destination does not know."""
    offset = problem.check.offset
    item = next((one for one in problem.contents.stream.items if one.start == offset), None)
    if not isinstance(item, CommandItem):
        raise Unsupported("the command is inside a package, or not found")
    if item.command not in _WITHOUT_EFFECT:
        raise Unsupported(f"the command {item.name} may not be left out")
    names = [one.name for one in problem.contents.nodes]
    name = f"command {item.name}"
    edits = (f"-{name}",) if names.count(name) == 1 else ()
    yield Change(
        problem.rule,
        f"leave out the command {item.name}",
        f"nothing: {_WITHOUT_EFFECT[item.command]}",
        Notice.NOTHING,
        edits,
        lambda contents: _without(contents, item),
    )


def _without(contents: Contents, item: Item) -> Iterator[Bytes]:
    edit = Edit(contents.stream)
    edit.remove(item)
    return edit.chunks()
