"""``vmstate capability``: all capabilities of pseries, those of one release, or one of them in full."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from vmstate.cli.releases import capability_lines
from vmstate.cli.report import Report
from vmstate.cli.table_text import asked, not_known, since_text, span_text, table
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with
from vmstate.describe import Release
from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.summaries import FILES, CapabilitySummary, line, oldest_first, summarize_capability
from vmstate.pseries.tables.capabilities import Capability

EXAMPLES = (
    ("all of all releases", "vmstate capability"),
    ("those of a release", "vmstate capability --release 7.2"),
    ("one, with its default in each machine type", "vmstate capability cap-htm"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="one capability: cap-htm, or htm")
    parser.add_argument("--release", metavar="R", help="as this release has it (default: the newest)")
    add_with(parser)


def run(options: argparse.Namespace) -> Report:
    """List capabilities, or show one."""
    catalogue, release = asked(options, options.release)
    known = {one.property_name: one for one in catalogue.capabilities}
    if options.name is None:
        having = [one for one in known.values() if _having(catalogue, one, release)]
        found = [_summary(catalogue, one, release) for one in having]
        return Report(_table(found), {"capabilities": found, "files": FILES})
    wanted = options.name if options.name in known else f"cap-{options.name}"
    if wanted not in known:
        raise not_known("capability", options.name, known)
    capability = known[wanted]
    if not _having(catalogue, capability, release):
        lines = span_text([line(one) for one in _having(catalogue, capability, None)])
        raise ConfigurationError(f"QEMU {release} does not have {wanted}; releases that do: {lines}")
    return _one(catalogue, capability, release)


def _having(catalogue: Catalogue, capability: Capability, release: Release | None) -> list[Release]:
    """Return the releases that have a capability, oldest first; of one, if it is given."""
    known = sorted(catalogue.newest) if release is None else [release]
    return [one for one in known if capability.span.covers(one)]


def _summary(catalogue: Catalogue, capability: Capability, release: Release | None) -> CapabilitySummary:
    having = _having(catalogue, capability, release)
    return summarize_capability(catalogue, having[-1], capability, having)


def _table(found: list[CapabilitySummary]) -> Iterator[str]:
    rows = [("capability", "values", "since", "subsection", "in a stream")]
    rows += [(c.name, "|".join(c.values), since_text(c.since), c.subsection, c.migrated) for c in found]
    yield from table(rows, Style.of(sys.stdout).paint)


def _one(catalogue: Catalogue, capability: Capability, release: Release | None) -> Report:
    having = _having(catalogue, capability, release)
    summary = _summary(catalogue, capability, release)
    types = {name for one in having for name in catalogue.binary(one).machine_types}
    title = f"{summary.name} in QEMU {having[-1]}"
    lines = [Style.of(sys.stdout).paint("bold", title), *capability_lines(summary, oldest_first(types))]
    return Report(lines, {"release": str(having[-1]), "capability": summary, "files": FILES})
