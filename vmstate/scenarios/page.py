"""Render a scenario as a page: the question, the answer, and the result of every case."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from vmstate.scenarios.files import cells_of
from vmstate.scenarios.judging import Judged
from vmstate.scenarios.model import Case, Ending, Expected, Scenario, Table

_OUTCOMES = {
    Ending.ACCEPT: "accepted",
    Ending.REJECT: "rejected",
    Ending.SOURCE_REFUSED: "the source does not start",
    Ending.DESTINATION_REFUSED: "the destination does not start",
    Ending.STARTS: "starts",
    Ending.REFUSED: "does not start",
}


def render(scenario: Scenario, judged: Sequence[Judged]) -> str:
    """Return the page in Markdown; ``judged`` holds the results of the scenario's cases."""
    by_name = {one.case.name: one for one in judged}
    return "\n".join(_lines(scenario, by_name)) + "\n"


def _lines(scenario: Scenario, judged: dict[str, Judged]) -> Iterator[str]:
    yield f"# {scenario.title}"
    yield ""
    yield f"<!-- Generated from {scenario.name}.toml by `vmstate scenario --write`; edit that. -->"
    if origin := _origin(scenario):
        yield from ("", origin)
    yield from ("", "## Question", "", scenario.question)
    yield from ("", "## Answer", "", scenario.answer)
    yield from ("", "## Cases", "")
    yield "Each was simulated as shown; `vmstate scenario " + scenario.name + "` runs them again."
    if scenario.ignore:
        lines = ", ".join(f"`{beginning}…`" for beginning in scenario.ignore)
        yield f"Irrelevant lines are left out below: {lines}."
    for item in scenario.items:
        yield from ("", f"### {_heading(item.name)}", "")
        if item.about:
            yield from (item.about, "")
        if isinstance(item, Table):
            yield from _table(item, [judged[case.name] for case in cells_of(item)])
        else:
            yield from _case(item, judged[item.name])
        if item.real:
            yield from ("", f"Real QEMU: {item.real}")


def _heading(name: str) -> str:
    """Return a name as a heading, capitalised if it begins with a plain word."""
    first = name.split(maxsplit=1)[0].rstrip(",:")
    return name[:1].upper() + name[1:] if first.isalpha() else name


def _origin(scenario: Scenario) -> str:
    row = f"Catalogue A, row {scenario.row}" if scenario.row is not None else ""
    commit = f"fixed by {scenario.commit}" if scenario.commit else ""
    breakage = ", ".join(part for part in (row, commit) if part)
    return ". ".join(part.rstrip(".") for part in (scenario.origin, breakage) if part) + "." * bool(
        scenario.origin or breakage
    )


def command(case: Case) -> str:
    """Return the shell command that reproduces a case."""
    if case.start is not None:
        return case.start
    if case.stream is not None:
        edits = "".join(f" '{edit}'" for edit in case.edits)
        edit = f"vmstate edit streams/{case.stream}.mig.zst{edits} -o - --bare |\n  " if case.edits else ""
        source = "-" if case.edits else f"streams/{case.stream}.mig.zst"
        return f"{edit}vmstate load {source} --on '{case.destination}'"
    if case.edits:
        edits = "".join(f"\n    '{edit}'" for edit in case.edits)
        return f"{case.source}\n  # the stream is changed on its way:{edits}\n{case.destination}"
    if case.snapshot:
        return f"{case.source}\n  # savevm, and the snapshot is loaded by\n{case.destination}"
    options = "" if case.guest is None else f"--guest {shlex.quote(case.guest)} \\\n                "
    return f"vmstate migrate {options}'{case.source}' \\\n                '{case.destination}'"


def _case(case: Case, judged: Judged) -> Iterator[str]:
    yield from _block(command(case))
    if case.guest is not None or case.events:
        yield from ("", _before(case))
    yield from ("", f"**{_verdict(judged)}**")
    yield from _details(case.expected, judged)
    yield from _messages(case, judged)
    if not judged.passed:
        yield from ("", "**Not as expected:**", "")
        yield from _block("\n".join(judged.wrong))


def _before(case: Case) -> str:
    boots = f"the guest boots `{case.guest}`" if case.guest is not None else ""
    events = ", then: ".join(case.events)
    return "Before it is saved, " + ", then: ".join(part for part in (boots, events) if part) + "."


def _verdict(judged: Judged) -> str:
    if judged.found.ending is None:
        return f"could not be run: {judged.found.error}"
    text = _OUTCOMES[judged.found.ending]
    decided = judged.found.decided_by
    if decided is not None and decided.rule == "save":
        text = decided.message
    return text[:1].upper() + text[1:]


def _details(expected: Expected, judged: Judged) -> Iterator[str]:
    """Yield the results that the case expects besides the verdict and lines."""
    details = []
    if expected.machine is not None:
        details.append(f"machine type: `{judged.found.machine}`")
    if expected.sends:
        details.append("sent: " + ", ".join(f"`{name}`" for name in expected.sends))
    if expected.omits:
        details.append("not sent: " + ", ".join(f"`{name}`" for name in expected.omits))
    details += [f"on the wire: `{path}` = {_format_value(value)}" for path, value in expected.wire.items()]
    details += [
        f"on the destination afterwards: `{path}` = {value!r}" for path, value in expected.after.items()
    ]
    found = judged.found
    for title, wanted, got in (
        ("ioctls of the source", (expected.kvm, expected.kvm_source), found.kvm_source),
        ("ioctls of the destination", (expected.kvm, expected.kvm_destination), found.kvm_destination),
    ):
        if any(one is not None for one in wanted):
            details.append(f"{title}: " + (", ".join(f"`{line}`" for line in got) or "none"))
    if expected.guest_after is not None:
        details.append(f"the guest afterwards: {found.guest_after}")
    if details:
        yield ""
        yield from (f"- {detail}" for detail in details)


def _format_value(value: int | str) -> str:
    return f"{value:#x}" if isinstance(value, int) and value > 9 else str(value)


def _messages(case: Case, judged: Judged) -> Iterator[str]:
    found = judged.found
    sides = [("source", found.source_messages), ("destination", found.messages)]
    if case.start is not None:
        sides = [("", found.messages)]
    lines = [f"{side}: {line}" if side else line for side, said in sides for line in said]
    if lines:
        yield ""
        yield from _block("\n".join(lines), "text")


def _block(text: str, language: str = "sh") -> Iterator[str]:
    yield f"```{language}"
    yield text
    yield "```"


def _table(table: Table, judged: Sequence[Judged]) -> Iterator[str]:
    yield from _block(f"vmstate migrate '{table.source}' \\\n                '{table.destination}'")
    yield ""
    yield "| {row} ↓ {column} → | " + " | ".join(f"`{column}`" for column in table.columns) + " |"
    yield "|---" * (1 + len(table.columns)) + "|"
    notes: dict[tuple[str, ...], int] = {}
    for row, cells in groupby(judged, key=lambda one: one.case.row):
        yield f"| `{row}` | " + " | ".join(_cell(cell, notes) for cell in cells) + " |"
    for lines, number in notes.items():
        yield ""
        yield f"({number})"
        yield ""
        yield from _block("\n".join(lines), "text")
    for cell in judged:
        if not cell.passed:
            yield from ("", f"**Not as expected, {cell.case.row} to {cell.case.column}:**", "")
            yield from _block("\n".join(cell.wrong))


def _cell(cell: Judged, notes: dict[tuple[str, ...], int]) -> str:
    found = cell.found
    text = _OUTCOMES[found.ending] if found.ending is not None else str(found.error)
    lines = (
        *(f"source: {line}" for line in found.source_messages),
        *(f"destination: {line}" for line in found.messages),
    )
    if not lines:
        return text
    return f"{text} ({notes.setdefault(lines, len(notes) + 1)})"
