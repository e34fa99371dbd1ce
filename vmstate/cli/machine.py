"""``vmstate machine``: all known machine types, or one of them as a release has it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from vmstate.cli.report import Report
from vmstate.cli.table_text import asked, columns, not_known, plural, since_text, span_text
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with
from vmstate.describe import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.summaries import (
    FILES,
    Lifespan,
    Link,
    MachineSummary,
    changes_among,
    lifespan,
    line,
    summarize_machine,
)

_ALIAS = "pseries"


EXAMPLES = (
    ("all machine types", "vmstate machine"),
    ("one, as a release has it", "vmstate machine pseries-7.2 --release 10.0"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "type", metavar="TYPE", nargs="?", help="a machine type: pseries-9.1; pseries is the default"
    )
    parser.add_argument(
        "--release", metavar="R", help="the release (default: the newest that offers the type)"
    )
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """List all machine types, or show one."""
    catalogue, release = asked(options, options.release)
    if options.type is None:
        return _list(catalogue, release)
    name = options.type
    if name == _ALIAS:
        name = catalogue.binary(release or max(catalogue.newest)).default_type
    types = {machine_type.name: machine_type for machine_type in catalogue.machine_types}
    if name not in types:
        raise not_known("machine type", name, types)
    span = lifespan(catalogue, types[name])
    release = _offering(catalogue, name, release)
    summary = summarize_machine(catalogue, name, release)
    among = changes_among(catalogue, name, _releases(catalogue, name))
    return Report(
        _Lines(summary, span, among).lines(),
        lambda: {
            **vars(summary),
            "lifespan": span,
            "changes": [{"release": str(one), "changed": changed} for one, changed in among],
            "files": FILES,
        },
    )


def _releases(catalogue: Catalogue, name: str) -> list[Release]:
    return [
        release for release in sorted(catalogue.newest) if name in catalogue.binary(release).machine_types
    ]


def _offering(catalogue: Catalogue, name: str, release: Release | None) -> Release:
    offering = _releases(catalogue, name)
    if release is not None:
        if name not in catalogue.binary(release).machine_types:
            names = ", ".join(line(one) for one in offering) or "none"
            raise ConfigurationError(f"QEMU {release} does not offer {name}; releases that do: {names}")
        return release
    if not offering:
        raise ConfigurationError(f"no known release offers {name}")
    return offering[-1]


def _list(catalogue: Catalogue, release: Release | None) -> Report:
    types = [
        t
        for t in catalogue.machine_types
        if release is None or t.name in catalogue.binary(release).machine_types
    ]
    spans = {t.name: lifespan(catalogue, t) for t in types}
    head = ("machine type", "offered by", "deprecated in", "removed in")
    rows = [
        (name, span_text(span.offered_by), span.deprecated_since or "", span.removed_in or "")
        for name, span in spans.items()
    ]
    note = f"declared in {FILES['machine types']} and {FILES['lifecycle']}; future releases by QEMU's policy"
    lines = [*columns([head, *rows]), "", note]
    return Report(lines, {"machine_types": spans, "files": FILES})


class _Lines:
    """The answer as text."""

    def __init__(
        self, summary: MachineSummary, span: Lifespan, among: list[tuple[Release, dict[str, Any]]]
    ) -> None:
        self.summary = summary
        self.span = span
        self.among = among
        self.style = Style.of(sys.stdout)

    def lines(self) -> Iterator[str]:
        summary = self.summary
        mark = ", the default type" if summary.default else ""
        yield self.style.paint("bold", f"{summary.name} in QEMU {summary.release}{mark}")
        yield from self._life()
        yield f"  default CPU    {summary.default_cpu}{self._cpu()}"
        yield ""
        yield from self._levels()
        yield ""
        yield from self._flags()
        yield ""
        yield from self._compat()
        yield ""
        yield from self._chain()
        yield ""
        yield from self._among()

    def _life(self) -> Iterator[str]:
        span = self.span
        count = plural(len(span.offered_by), "release")
        since = f", since {since_text(span.since)}" if span.since else ", and by earlier ones"
        yield f"  offered by     {span_text(span.offered_by)} ({count}{since})"
        if self.summary.deprecated:
            yield f"  deprecated     {self.summary.deprecated}"
        if span.deprecated_since:
            yield f"  deprecated in  {span.deprecated_since} and later"
        if span.removed_in:
            yield f"  removed in     {span.removed_in} and later"

    def _cpu(self) -> str:
        cpu = self.summary.cpu
        if cpu is None:
            return ""
        alias = f", also {', '.join(cpu.aliases)}" if cpu.aliases else ""
        return f"{alias}, PVR {cpu.pvr}, runs as {', '.join(cpu.modes) or 'itself only'}"

    def _levels(self) -> Iterator[str]:
        yield self.style.paint("bold", f"default capability levels  ({FILES['machine types']})")
        if not self.summary.levels:
            yield "  none: this release has no capabilities"
            return
        for cap, (level, effective) in self.summary.levels.items():
            note = "" if level == effective else f", but {effective} with the default CPU"
            yield f"  {cap}={level}{note}"

    def _flags(self) -> Iterator[str]:
        summary = self.summary
        yield self.style.paint("bold", f"class flags that differ from those of {summary.newest_type}")
        if not summary.different:
            yield "  none"
            return
        rows = [
            (name, shown(name, value), f"({summary.newest_type}: {shown(name, newest)})")
            for name, (value, newest) in summary.different.items()
        ]
        yield from columns(rows, "  ")

    def _compat(self) -> Iterator[str]:
        yield self.style.paint(
            "bold", "device properties that it sets (GlobalProperty; those that affect the stream)"
        )
        effective = {f"{driver}.{prop}": value for driver, prop, value in self.summary.compat}
        yield from (f"  {name}={value}" for name, value in effective.items())
        if not effective:
            yield "  none"

    def _chain(self) -> Iterator[str]:
        yield self.style.paint("bold", "derivation: each type's differences from the next newer one")
        for link in self.summary.links:
            yield f"  {link.name}: {_differences(link) or 'no difference that the simulator models'}"

    def _among(self) -> Iterator[str]:
        yield self.style.paint("bold", "changes from release to release")
        for number, (release, changed) in enumerate(self.among):
            if number == 0:
                keys = ("flag default_cpu", "PVR of the default CPU", "default type")
                texts = [f"{key.removeprefix('flag ')} {changed[key]}" for key in keys]
                yield f"  {line(release)}: {', '.join(texts)}"
            elif changed:
                texts = [f"{key.removeprefix('flag ')} {value}" for key, value in changed.items()]
                yield f"  {line(release)}: {', '.join(texts)}"


def shown(name: str, value: object) -> str:
    """Return a flag's value as users of QEMU write it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if name in {"rma_limit", "nr_xirqs"} and isinstance(value, int):
        return f"{value:#x}"
    return str(value)


def _differences(link: Link) -> str:
    texts = [
        *(f"{name}={shown(name, value)}" for name, value in link.flags.items()),
        *(f"cap-{name} level {level}" for name, level in link.caps.items()),
        *(f"{driver}.{prop}={value}" for driver, prop, value in link.compat),
    ]
    return ", ".join(texts)
