"""``vmstate cpu``: the processors that pseries may have: all, those of one release, or one of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.cli.report import Report
from vmstate.cli.table_text import asked, not_known, span_text, table
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with
from vmstate.describe import Release
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.summaries import FILES, CpuSummary, line, summarize_cpu

EXAMPLES = (
    ("all of all releases", "vmstate cpu"),
    ("those of a release", "vmstate cpu --release 7.2"),
    ("one, by its name or alias", "vmstate cpu power9"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="one processor: power9_v2.0, or an alias: power9"
    )
    parser.add_argument("--release", metavar="R", help="as this release has it (default: the newest)")
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """List processors, or show one."""
    catalogue, release = asked(options, options.release)
    found = _found(catalogue, sorted(catalogue.newest) if release is None else [release])
    if options.name is not None:
        wanted = options.name.lower()
        names = {name.lower() for cpu, _ in found for name in _names(cpu)}
        if wanted not in names:
            raise not_known("processor", options.name, sorted(names))
        found = [(cpu, lines) for cpu, lines in found if wanted in map(str.lower, _names(cpu))]
    result = [{**vars(cpu), "releases": lines} for cpu, lines in found]
    return Report(_table(found), {"processors": result, "files": FILES})


def _names(cpu: CpuSummary) -> tuple[str, ...]:
    return (cpu.name, *cpu.aliases)


def _found(catalogue: Catalogue, releases: list[Release]) -> list[tuple[CpuSummary, list[str]]]:
    """Return each processor as the newest of these releases has it, and the releases that have it."""
    having: dict[str, list[Release]] = {}
    for release in releases:
        for name in catalogue.binary(release).cpus:
            having.setdefault(name.lower(), []).append(release)
    found = []
    for name, those in having.items():
        binary = catalogue.binary(those[-1])
        (cpu,) = (one for known, one in binary.cpus.items() if known.lower() == name)
        found.append((summarize_cpu(binary, cpu), [line(one) for one in those]))
    return sorted(found, key=lambda pair: pair[0].pvr)


def _table(found: list[tuple[CpuSummary, list[str]]]) -> Iterator[str]:
    rows = [("processor", "PVR", "family", "aliases", "runs as", "releases", "deprecated")]
    rows += [
        (
            cpu.name,
            str(cpu.pvr),
            cpu.family,
            ", ".join(cpu.aliases),
            ", ".join(cpu.modes) or "itself only",
            span_text(lines),
            cpu.deprecated,
        )
        for cpu, lines in found
    ]
    yield from table(rows, Style.of(sys.stdout).paint)
