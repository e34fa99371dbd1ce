"""``vmstate releases``: the releases that are known, or one of them in full."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.cli.report import Report
from vmstate.cli.table_text import asked, columns, plural, runs_text, since_text, table
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.summaries import (
    FILES,
    CapabilitySummary,
    ReleaseSummary,
    oldest_first,
    summarize_release,
)
from vmstate.pseries.tables.accelerators import shipped_hosts

EXAMPLES = (
    ("all releases", "vmstate releases"),
    ("one in full", "vmstate releases 10.0"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "release", metavar="RELEASE", nargs="?", help="one release in full: 10.0, 10.0.2, 4.2+NAME"
    )
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """List all releases, or show one."""
    catalogue, release = asked(options, options.release)
    if release is None:
        return _list(catalogue)
    summary = summarize_release(catalogue, release)
    return Report(
        _lines(summary),
        lambda: {**vars(summary), "hosts": _hosts(catalogue), "guests": _guests(), "files": FILES},
    )


def _list(catalogue: Catalogue) -> Report:
    summaries = [summarize_release(catalogue, release) for release in sorted(catalogue.newest)]
    return Report(_table(catalogue, summaries), lambda: _result(catalogue, summaries))


def _result(catalogue: Catalogue, summaries: list[ReleaseSummary]) -> object:
    return {
        "releases": [
            {
                "line": one.line,
                "release": one.release,
                "default_type": one.default_type,
                "machine_types": [t.name for t in one.machine_types],
                "deprecated_types": [t.name for t in one.machine_types if t.deprecated],
                "capabilities": [c.name for c in one.capabilities],
                "cpus": [cpu.name for cpu in one.cpus],
                "compat_modes": [mode.name for mode in one.compat_modes],
            }
            for one in summaries
        ],
        "proposals": [name for name, _ in catalogue.forks],
        "packages": [package.program for package in catalogue.packages],
        "hosts": _hosts(catalogue),
        "guests": _guests(),
        "files": FILES,
    }


def _table(catalogue: Catalogue, summaries: list[ReleaseSummary]) -> Iterator[str]:
    style = Style.of(sys.stdout)
    head = ("line", "newest", "default type", "types", "deprecated types", "capabilities", "compat modes")
    rows = [
        (
            one.line,
            one.release,
            one.default_type,
            str(len(one.machine_types)),
            str(sum(t.deprecated is not None for t in one.machine_types)),
            _new_capabilities(one, summaries[number - 1] if number else None),
            _modes(one),
        )
        for number, one in enumerate(summaries)
    ]
    yield from table([head, *rows], style.paint)
    yield ""
    if catalogue.forks:
        yield f"proposals:      {', '.join(name for name, _ in catalogue.forks)}"
    if catalogue.packages:
        yield f"packages:       {', '.join(one.program for one in catalogue.packages)}"
    yield f"hosts (KVM):    {', '.join(_hosts(catalogue))}"
    yield f"guest kernels:  {', '.join(_guests())}"
    yield f"declared in {FILES['releases']}; vmstate releases RELEASE shows one in full"


def _new_capabilities(one: ReleaseSummary, before: ReleaseSummary | None) -> str:
    """Return the number of capabilities, and the names of those that the previous release lacks."""
    known = {c.name for c in before.capabilities} if before is not None else set()
    new = [c.name.removeprefix("cap-") for c in one.capabilities if c.name not in known]
    return f"{len(one.capabilities)} (+ {', '.join(new)})" if new else str(len(one.capabilities))


def _modes(one: ReleaseSummary) -> str:
    return f"{one.compat_modes[0].name} … {one.compat_modes[-1].name}"


def _hosts(catalogue: Catalogue) -> list[str]:
    return [*(host.name for host in catalogue.hosts), *shipped_hosts()]


def _guests() -> list[str]:
    """List the kernels that come with the package."""
    from vmstate.pseries.cas.guests import shipped_kernels

    return ["linux-VERSION", *shipped_kernels()]


def _lines(summary: ReleaseSummary) -> Iterator[str]:
    style = Style.of(sys.stdout)
    yield style.paint("bold", f"QEMU {summary.release}")
    if summary.package:
        yield f"  as packaged in {summary.package}"
    yield ""
    yield style.paint(
        "bold", f"{plural(len(summary.machine_types), 'machine type')}  ({FILES['machine types']})"
    )
    rows = [
        (
            t.name,
            t.default_cpu,
            "default" if t.default else "",
            f"deprecated: {t.deprecated}" if t.deprecated else "",
        )
        for t in summary.machine_types
    ]
    yield from columns(rows, "  ")
    yield ""
    yield style.paint("bold", f"{plural(len(summary.capabilities), 'capability')}  ({FILES['capabilities']})")
    order = oldest_first(t.name for t in summary.machine_types)
    for capability in summary.capabilities:
        yield from capability_lines(capability, order)
    yield ""
    yield style.paint("bold", f"{plural(len(summary.cpus), 'processor')} for pseries  ({FILES['cpus']})")
    cpus = [
        (
            cpu.name,
            str(cpu.pvr),
            cpu.family,
            f"alias {', '.join(cpu.aliases)}" if cpu.aliases else "",
            f"runs as {', '.join(cpu.modes)}" if cpu.modes else "no compat mode",
            f"deprecated: {cpu.deprecated}" if cpu.deprecated else "",
        )
        for cpu in summary.cpus
    ]
    yield from columns(cpus, "  ")
    yield ""
    modes = plural(len(summary.compat_modes), "compat mode")
    yield style.paint("bold", f"{modes}  ({FILES['compat modes']})")
    yield from columns([(mode.name, str(mode.pvr)) for mode in summary.compat_modes], "  ")


def capability_lines(summary: CapabilitySummary, order: list[str]) -> Iterator[str]:
    """Yield a capability: values, first release, subsection, default by machine type."""
    values = "|".join(summary.values)
    yield f"  {summary.name}={values}  since {since_text(summary.since)}, subsection {summary.subsection}"
    if summary.help:
        yield f"      {summary.help}"
    for levels in summary.defaults:
        yield f"      default {levels.name} (level {levels.level}): {runs_text(levels.machine_types, order)}"
    if summary.needs:
        yield f"      off, or its lowest level, on a processor that cannot run as {summary.needs}"
    yield f"      in a stream: {summary.migrated}"
