"""The answer of ``vmstate device``, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmstate.cli.releases import capability_lines
from vmstate.cli.table_text import columns, runs_text, since_text, span_text
from vmstate.cli.terminal import Style
from vmstate.dataclass import dataclass
from vmstate.describe import Release
from vmstate.pseries.history import Change, Row, in_force
from vmstate.pseries.known_devices import CAPABILITY, Found
from vmstate.pseries.summaries import CapabilitySummary, oldest_first
from vmstate.simulate.census import Sent, SentRun
from vmstate.simulate.default_machines import DefaultMachine, SectionName

_PROTOCOL = "sent while the machine runs, by a separate protocol (docs/stream-format.md)"
_NOT_THERE = "this machine does not register it"
_NOT_SHOWN = "no machine that can be built here registers it"
_ALL = {
    Sent.AT_REST: "every machine type, at rest",
    Sent.CONDITIONAL: "every machine type, if its condition holds",
    Sent.NEVER: "no machine type",
    Sent.ABSENT: "not registered",
}
_SOME = {
    Sent.AT_REST: "at rest",
    Sent.CONDITIONAL: "if its condition holds",
    Sent.NEVER: "never",
    Sent.ABSENT: "not registered",
}


@dataclass(frozen=True)
class DeviceSummary:
    """Everything that is known about a section, or about some of its rows.

    ``names`` are the section's names in ``machine``, and ``at_rest`` the subsections that it sends at rest.
    ``modelled``: a machine can be built that registers the section.  ``sent`` has the runs of releases by
    section and subsection; ``migrated`` says when capabilities are sent.
    """

    found: Found
    release: Release
    drivers: list[str]
    machine: DefaultMachine
    names: list[SectionName]
    modelled: bool
    at_rest: list[str]
    sent: dict[str, list[SentRun]]
    capability: CapabilitySummary | None
    migrated: dict[str, str]

    @property
    def title(self) -> str:
        """The requested name, and its kind."""
        device, named = self.found.device, self.found.named
        if not named:
            return f"section {device.name}"
        return f"{named[0].kind} {named[0].path} of section {device.name}"

    @property
    def file(self) -> str:
        """The file that declares it."""
        device, named = self.found.device, self.found.named
        return device.file_of(named[0]) if named else device.file

    def events(self) -> list[tuple[str, str]]:
        """List the changes by release, oldest first: ``("2.10", "+ subsection cpu/compat")``."""
        found = self._registered()
        rows = self.found.rows
        inner = {id(row): [other for other in rows if other is not row and row.is_in(other)] for row in rows}
        for row in rows:
            outer = inner[id(row)]
            name = f"{row.kind} {row.path}{f' ({row.type})' if row.type else ''}"
            if row.since and all(other.since != row.since for other in outer):
                found.append((since_text(row.since), f"+ {name}"))
            if row.until and all(other.until != row.until for other in outer):
                found.append((since_text(row.until), f"- {name}"))
            if row.description is not None:
                found += [(since_text(p), f"{row.path} has version {value}") for p, value in row.versions[1:]]
                found += [
                    (since_text(p), f"{row.path} loads from version {value}")
                    for p, value in row.minimum_versions[1:]
                ]
                found += [
                    (since_text(p), f"{row.path} is sent {value or 'always'}")
                    for p, value in row.conditions[1:]
                ]
        return sorted(found, key=lambda event: Release.parse(event[0].split()[0]))

    def _registered(self) -> list[tuple[str, str]]:
        """List the releases in which machines began and ceased to register the section."""
        name = self.found.device.name
        lines = [(run.releases, set(run.machine_types) != {Sent.ABSENT}) for run in self.sent.get(name, [])]
        there = [line for releases, registered in lines if registered for line in releases]
        every = [line for releases, _ in lines for line in releases]
        found = []
        if there and there[0] != every[0]:
            found.append((there[0], f"+ section {name} is registered"))
        if there and there[-1] != every[-1]:
            found.append((every[every.index(there[-1]) + 1], f"- section {name} is no longer registered"))
        return found

    def as_json(self) -> dict[str, object]:
        """Return the answer as a JSON object."""
        device = self.found.device
        return {
            "name": self.title.split()[1],
            "section": device.name,
            "about": device.about,
            "file": self.file,
            "drivers": self.drivers,
            "release": str(self.release),
            "command_line": self.machine.command_line,
            "in_stream": self.names,
            "modelled": self.modelled,
            "subsections_at_rest": self.at_rest,
            "also_in": list(self.found.others),
            "rows": [
                {**row.as_json(), "file": device.file_of(row), "in_release": row.exists(self.release)}
                for row in self.found.rows
            ],
            "sent": {
                path: [
                    {
                        "releases": run.releases,
                        "at_rest": run.machine_types.get(Sent.AT_REST, ()),
                        "on_condition": run.machine_types.get(Sent.CONDITIONAL, ()),
                        "never": run.machine_types.get(Sent.NEVER, ()),
                        "not_registered": run.machine_types.get(Sent.ABSENT, ()),
                    }
                    for run in runs
                ]
                for path, runs in self.sent.items()
            },
            "events": [{"release": release, "change": change} for release, change in self.events()],
            "capability": self.capability,
        }


class DeviceLines:
    """The answer as text."""

    def __init__(self, summary: DeviceSummary, style: Style) -> None:
        self.summary = summary
        self.style = style

    def now(self) -> Iterator[str]:
        """Yield the section as a release has it."""
        yield from self._head(f"{self.summary.title} in QEMU {self.summary.release}")
        rows = [row for row in self.summary.found.rows if row.exists(self.summary.release)]
        yield from self._rows(rows, "fields and subsections, in wire order", history=False)
        yield from self._sent()

    def history(self) -> Iterator[str]:
        """Yield every field and subsection that ever existed, with its releases."""
        yield from self._head(self.summary.title)
        yield from self._rows(self.summary.found.rows, "fields and subsections of all releases", history=True)
        yield from self._events()
        yield from self._sent()

    def _head(self, title: str) -> Iterator[str]:
        summary = self.summary
        yield self.style.paint("bold", title)
        yield f"  {summary.found.device.about}"
        yield f"  declared in {summary.file}"
        if summary.drivers:
            yield f"  -device {', '.join(summary.drivers)}"
        if summary.found.others:
            yield f"  also in the sections {', '.join(summary.found.others)}"
        for row in summary.found.named or summary.found.device.rows[:1]:
            yield f"  {', '.join(text for text in (_span(row), self._about(row, None)) if text)}"
        if not summary.found.device.rows:
            yield f"  {_PROTOCOL}: {summary.found.device.behaviour}"
        yield ""
        if summary.capability is not None:
            named = (name for levels in summary.capability.defaults for name in levels.machine_types)
            order = oldest_first(named)
            yield self.style.paint("bold", "the capability, and its default level by machine type")
            yield from capability_lines(summary.capability, order)
            yield ""
        yield from self._names()

    def _about(self, row: Row, release: Release | None) -> str:
        """Return versions and conditions in one release, or over all."""
        texts = []
        if row.description is not None:
            minimum = _over(row.minimum_versions, release)
            texts.append(f"version {_over(row.versions, release)}, loads from {minimum}")
        elif row.versions != [((), 0)]:
            texts.append(f"from version {_over(row.versions, release)} on")
        if row.name in self.summary.migrated:
            texts.append(f"sent {self.summary.migrated[row.name]}")
        elif row.name.startswith(CAPABILITY):
            texts.append("sent if the capability says so")
        elif row.conditions != [((), "")]:
            texts.append(f"when: {_over(row.conditions, release)}")
        return "; ".join(texts)

    def _names(self) -> Iterator[str]:
        summary = self.summary
        yield self.style.paint("bold", f"in a stream of {summary.machine.command_line}")
        if summary.machine.refusal and summary.machine.instance is not None:
            refusal = [line for line in summary.machine.refusal if not line.startswith("warning:")]
            yield f"  without the addition QEMU refuses to start: {' / '.join(refusal) or 'no message'}"
        if summary.machine.instance is None:
            yield f"  QEMU refuses to start: {' / '.join(summary.machine.messages)}"
        elif not summary.names:
            yield f"  {_NOT_THERE if summary.modelled else _NOT_SHOWN}"
        else:
            head = ("idstr", "instance", "alias", "older name", "version", "section id", "priority", "sent")
            table = [
                (
                    one.idstr,
                    _number(one.instance_id),
                    "none" if one.alias_id is None else str(one.alias_id),
                    "none" if one.compat is None else f"{one.compat[0]} {one.compat[1]}",
                    str(one.version_id),
                    "none" if one.section_id is None else str(one.section_id),
                    str(one.priority),
                    "at rest" if one.sent else "not at rest",
                )
                for one in summary.names
            ]
            yield from columns([head, *table], "  ")
            if summary.found.device.rows:
                yield f"  subsections at rest: {', '.join(summary.at_rest) or 'none'}"
        yield ""

    def _rows(self, rows: Sequence[Row], title: str, *, history: bool) -> Iterator[str]:
        if not rows:
            return
        yield self.style.paint("bold", title)
        least = min(row.depth for row in rows)
        table = [
            (
                f"{'  ' * (row.depth - least)}{row.name}",
                row.type or row.kind,
                *((_span(row),) if history else ()),
                self._about(row, None if history else self.summary.release),
            )
            for row in rows
        ]
        yield from columns(table, "  ")
        yield ""

    def _events(self) -> Iterator[str]:
        events = self.summary.events()
        yield self.style.paint("bold", "changes by release")
        if not events:
            yield "  none since QEMU 2.9, the oldest known release"
        yield from columns(events, "  ") if events else ()
        yield ""

    def _sent(self) -> Iterator[str]:
        yield self.style.paint("bold", "which machine types send it, by release (default machines under TCG)")
        for path, runs in self.summary.sent.items():
            answers = {sent for run in runs for sent in run.machine_types}
            if not runs:
                yield f"  {path}: not in the requested releases"
            elif not self.summary.modelled:
                yield f"  {path}: not known: {_NOT_SHOWN}"
            elif len(answers) == 1:
                yield f"  {path}: {_releases(runs)}: {_ALL[answers.pop()]}"
            elif len(runs) == 1:
                yield f"  {path}: {span_text(runs[0].releases)}: {_senders(runs[0])}"
            else:
                yield f"  {path}:"
                yield from (f"    {span_text(run.releases)}: {_senders(run)}" for run in runs)


def _senders(run: SentRun) -> str:
    if len(run.machine_types) == 1:
        return _ALL[next(iter(run.machine_types))]
    order = oldest_first(name for names in run.machine_types.values() for name in names)
    return "; ".join(f"{_SOME[sent]}: {runs_text(names, order)}" for sent, names in run.machine_types.items())


def _releases(runs: Sequence[SentRun]) -> str:
    return span_text([release for run in runs for release in run.releases])


def _number(instance: int) -> str:
    return str(instance) if instance < 0x10000 else f"{instance:#x}"


def _span(row: Row) -> str:
    if row.kind == "section":
        return ""  # the declaration does not decide whether machines register it
    since = f"since {since_text(row.since)}" if row.since else ""
    until = f"before {since_text(row.until)}" if row.until else ""
    return " ".join(text for text in (since, until) if text) or "all releases"


def _over(history: list[Change], release: Release | None) -> str:
    """Return a value in one release, or over all: ``1, 2 since 9.2``."""
    if release is not None:
        return str(in_force(history, release)) or "always"
    first, *later = history
    return ", ".join(
        [str(first[1]) or "always", *(f"{value or 'always'} since {since_text(p)}" for p, value in later)]
    )
