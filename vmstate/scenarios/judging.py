"""Compare the expected and the actual result of a case, as a diff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import ndiff

from vmstate.dataclass import dataclass
from vmstate.describe import Node
from vmstate.pseries.meanings import meanings
from vmstate.scenarios.model import Case, Expected, Scenario
from vmstate.scenarios.running import Found, run_case
from vmstate.stream.items import Section
from vmstate.tree import Contents
from vmstate.tree.display import text_of_place
from vmstate.tree.paths import PathError, find, find_one


@dataclass(frozen=True)
class Judged:
    """A case that was run; ``wrong`` is a diff of expected (-) and found (+), empty if it passed.

    ``found`` does not keep the stream and the machine, which take megabytes.
    """

    case: Case
    found: Found
    wrong: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if the result is as expected."""
        return not self.wrong


def run_scenario(scenario: Scenario) -> list[Judged]:
    """Run every case."""
    judged = []
    for case in scenario.cases:
        found = run_case(case, scenario.ignore)
        wrong = tuple(differences(case.expected, found))
        judged.append(Judged(case, found.without_stream(), wrong))
    return judged


def differences(expected: Expected, found: Found) -> Iterator[str]:
    """Yield the lines of a diff, for everything that is not as expected."""
    if found.error is not None:
        yield f"! {found.error}"
        return
    yield from _line_differences("outcome", (expected.outcome,), (str(found.ending),))
    yield from _line_differences("source", expected.source_messages, found.source_messages)
    yield from _line_differences("destination", expected.messages, found.messages)
    yield from _line_differences("kvm", expected.kvm, (*found.kvm_source, *found.kvm_destination))
    yield from _line_differences("kvm of the source", expected.kvm_source, found.kvm_source)
    yield from _line_differences("kvm of the destination", expected.kvm_destination, found.kvm_destination)
    for title, wanted, got in (
        ("machine", expected.machine, found.machine),
        ("guest after", expected.guest_after, found.guest_after),
    ):
        yield from _line_differences(title, None if wanted is None else (wanted,), (str(got),))
    for path, value in expected.after.items():
        if (now := found.state(path)) != value:
            yield f"- {path} = {value!r} after loading"
            yield f"+ {path} = {now!r} after loading"
    if expected.sends or expected.omits or expected.wire:
        yield from _stream_differences(expected, found.contents)


def _line_differences(title: str, wanted: Sequence[str] | None, got: Iterable[str]) -> Iterator[str]:
    if wanted is None or list(wanted) == list(got):
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in ndiff(list(wanted), list(got)) if not line.startswith("?"))


def _stream_differences(expected: Expected, contents: Contents | None) -> Iterator[str]:
    if contents is None:
        yield "! no stream was sent"
        return
    for name in expected.sends:
        if not is_sent(contents, name):
            yield f"- sends {name}"
    for name in expected.omits:
        if is_sent(contents, name):
            yield f"+ sends {name}"
    for path, wanted in expected.wire.items():
        got = value_on_the_wire(contents, path, wanted)
        if got != wanted:
            yield f"- {path} = {wanted}"
            yield f"+ {path} = {got}"


def is_sent(contents: Contents, name: str) -> bool:
    """Return True if a section or subsection is in the stream, by its name or by a path."""
    if any(name == section.idstr for section in contents.stream.sections):
        return True
    if any(
        node.name == name for section in contents.stream.sections for node in _subsections(contents, section)
    ):
        return True
    try:
        return any(place.node.kind in {"section", "subsection"} for place in find(contents, name))
    except PathError:
        return False


def _subsections(contents: Contents, section: Section) -> Iterator[Node]:
    pending = [node for node in contents.payload(section) if node.kind == "subsection"]
    while pending:
        node = pending.pop()
        yield node
        pending += [inner for inner in node.nodes if inner.kind == "subsection"]


def value_on_the_wire(contents: Contents, path: str, like: int | str) -> int | str:
    """Return a value in the stream: a number, or as in ``vmstate show`` if ``like`` is a text."""
    try:
        place = find_one(contents, path)
    except PathError as error:
        return str(error)
    value = place.node.value
    if isinstance(like, int) and isinstance(value, int):
        return int(value)
    return text_of_place(place, meanings(), full=True)
