"""``vmstate compare``: find out if two QEMUs read each other's sections, by their wire layouts."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase

from vmstate.cli.issue_options import add_issue_options, report_of, weighed
from vmstate.cli.report import Report
from vmstate.compatibility import Direction, Issue, compare
from vmstate.dataclass import replace
from vmstate.errors import ConfigurationError
from vmstate.front.schemas import schema_of
from vmstate.schema import Schema

SOURCE = (
    "a qemu-system program, a record, the output of -dump-vmstate, a stream or its vmdesc, a schema in JSON, "
    "a release (pseries@7.2), or a Python file of declarations (FILE.py or FILE.py@7.2)"
)


EXAMPLES = (
    ("two releases as they are declared here", "vmstate compare pseries@7.2 pseries@10.0"),
    (
        "two programs, as a check of CI",
        "vmstate compare old/qemu-system-x86_64 new/qemu-system-x86_64 --policy policy.toml --junit out.xml",
    ),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("old", metavar="OLD", help=SOURCE)
    parser.add_argument("new", metavar="NEW", help="another, of any kind")
    parser.add_argument(
        "--direction", choices=[*Direction, "both"], default="both",
        help="old to new (forward), new to old (backward), or both (default)",
    )  # fmt: skip
    parser.add_argument(
        "--uses", metavar="STREAM", action="append", default=[],
        help="a machine has the sections of this stream: if a side lacks one, it is an error",
    )  # fmt: skip
    parser.add_argument(
        "--section", metavar="PATTERN", action="append", default=[],
        help="compare only sections, and report only paths, of this name (* matches any text)",
    )  # fmt: skip
    add_issue_options(parser)


def run(options: argparse.Namespace) -> Report:
    """Compare; the status is 1 if an issue of severity error is neither allowed nor known."""
    old, new = (_chosen(schema_of(text), options.section) for text in (options.old, options.new))
    for side in (old, new):
        if side.in_use and all(one.opaque for one in side.descriptions.values()):
            raise ConfigurationError(f"{side.source}: nothing to compare: {'; '.join(side.notes)}")
    directions = list(Direction) if options.direction == "both" else [Direction(options.direction)]
    uses = frozenset(one.name for text in options.uses for one in schema_of(text).descriptions.values())
    comparison = compare(old, new, directions, uses)
    issues: list[Issue] = list(comparison.issues)
    result = weighed(issues, options)
    head = [f"old: {described(old)}", f"new: {described(new)}", f"{len(comparison.pairs)} sections compared"]
    members: dict[str, object] = {
        "old": described(old),
        "new": described(new),
        "compared": len(comparison.pairs),
        "compatible": {str(way): comparison.compatible(way) for way in directions},
    }
    return report_of(result, options, head, options.new, members)


def _chosen(schema: Schema, patterns: list[str]) -> Schema:
    if not patterns:
        return schema
    chosen = {
        label: one
        for label, one in schema.descriptions.items()
        if any(fnmatchcase(label, p) or fnmatchcase(one.name, p) for p in patterns)
    }
    return replace(schema, descriptions=chosen)


def described(schema: Schema) -> str:
    """Return a schema's source, kind and size in a few words."""
    facts = [str(schema.origin), f"QEMU {schema.qemu}" if schema.qemu else "", schema.machine or ""]
    number = len(schema.descriptions)
    words = ", ".join(fact for fact in facts if fact)
    return f"{schema.source} ({words}; {number} description{'s' * (number != 1)})"
