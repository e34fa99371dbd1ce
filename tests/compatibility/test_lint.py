"""Linting: one seeded example for each rule, and our own declarations under their written allowances."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from vmstate.compatibility import RULES, judged, lint, read_policy
from vmstate.front.schemas import schema_of
from vmstate.schema import (
    Description,
    DescriptionFacts,
    FieldFacts,
    Knows,
    Origin,
    Schema,
    SchemaField,
)

KNOWN = frozenset(Knows)
ARRAY, SINGLE = 0x004, 0x001
OURS = Path(__file__).resolve().parents[2] / "fixtures" / "policies" / "pseries.toml"


def u32(name, **more):
    return SchemaField(name, "uint32", size=4, **more)


def at(offset, size=4, num=None):
    return FieldFacts(offset=offset, size=size, num=num, flags=ARRAY if num else SINGLE)


def dev(*fields, version=1, oldest=1, subsections=(), **more):
    return Description("dev", version, oldest, tuple(fields), tuple(subsections), **more)


def sub(name="dev/more", **more):
    return Description(name, 1, 1, (u32("x"),), **{"conditional": True, **more})


def schema(*descriptions, **more):
    named = {f"{one.name}@{i}": one for i, one in enumerate(descriptions)}
    return Schema("seeded", more.pop("origin", Origin.BINARY), named, KNOWN, **more)


PART = Description("part", 1, 1, (u32("x"),))
SEEDS = {
    "lint.equal": schema(dev(SchemaField("ports", "uint32 equal", size=4))),
    "lint.version.bumped": schema(dev(u32("a"), u32("b", version_id=2), version=2)),
    "lint.version.needless": schema(dev(u32("a"), version=3)),
    "lint.version.window": schema(dev(u32("a"), version=1, oldest=2)),
    "lint.field.never-sent": schema(dev(u32("a", version_id=3))),
    "lint.subsection.duplicate": schema(dev(subsections=[sub(), sub()])),
    "lint.subsection.orphan": schema(dev(u32("a")), sub()),
    "lint.subsection.prefix": schema(dev(subsections=[sub("vitio/more")])),
    "lint.subsection.unneeded": schema(dev(subsections=[sub(conditional=False)])),
    "lint.pointer.array": schema(dev(u32("buttons", count=8, facts=at(16, 4, 8)), u32("n", facts=at(24)))),
    "lint.memory.overlap": schema(dev(u32("vsr", count=64, facts=at(0, 4, 64)), u32("cr", facts=at(128)))),
    "lint.memory.beyond": schema(
        dev(u32("vsr", count=64, facts=at(0, 4, 64)), facts=DescriptionFacts(struct_size=128))
    ),
    "lint.memory.twice": schema(dev(u32("a", facts=at(8)), u32("a", facts=at(8)))),
    "lint.size.unsent": schema(dev(SchemaField("buffer", "buffer", size=""))),
    "lint.size.late": schema(dev(u32("a", count="n"), u32("n"))),
    "lint.size.signed": schema(dev(SchemaField("n", "int32", size=4), u32("a", count="n"))),
    "lint.state.twice": schema(dev(SchemaField("s", "struct", vmsd=PART)), PART, origin=Origin.STREAM),
    "lint.struct.undescribed": schema(dev(SchemaField("s", "struct"))),
    "lint.description.empty": schema(dev()),
    "lint.capability.unsent": schema(
        dev(u32("a"), subsections=[sub("dev/cap/old")]), capabilities=("dev/cap/old", "dev/cap/new")
    ),
    "lint.not-read": schema(dev(u32("a")), notes=("the layout of a field is not understood",)),
}


@pytest.mark.parametrize("rule", [name for name in RULES if name.startswith("lint.")])
def test_each_rule_finds_its_seeded_example(rule):
    assert rule in SEEDS, "a rule without an example"
    assert rule in {issue.rule for issue in lint(SEEDS[rule])}


@pytest.mark.parametrize("rule", sorted(SEEDS))
def test_a_seeded_example_trips_no_other_error(rule):
    errors = {issue.rule for issue in lint(SEEDS[rule]) if RULES[issue.rule].severity == "error"}
    assert errors <= {rule}


def test_a_sound_description_has_no_issue():
    sound = dev(
        u32("n", facts=at(0)),
        u32("table", count="n"),
        u32("old", conditional=True, facts=at(64)),
        u32("new", conditional=True, facts=at(64)),
        subsections=[sub()],
    )
    assert lint(schema(sound)) == ()


def test_a_struct_covers_only_what_its_description_names():
    inner = Description("inner", 1, 1, (u32("x", facts=at(0)),))
    struct = SchemaField("parent", "struct", vmsd=inner, facts=at(0, 64))
    apart = dev(struct, u32("log", facts=at(32)))
    inside = dev(struct, u32("log", facts=at(0)))
    assert lint(schema(apart)) == ()
    assert {issue.rule for issue in lint(schema(inside))} == {"lint.memory.twice"}


@pytest.mark.parametrize("release", ["2.9", "5.2", "7.2", "10.0", "11.1"])
def test_our_own_declarations_have_a_written_allowance_for_each_issue(release):
    policy = read_policy(OURS)
    result = judged(lint(schema_of(f"pseries@{release}")), policy, date(2026, 12, 1))
    assert [str(one.issue) for one in result.weighed if one.allowed is None and one.severity != "info"] == []


def test_every_allowance_of_our_own_declarations_is_needed():
    policy = read_policy(OURS)
    needed = set()
    for release in ("2.9", "5.2", "7.2", "10.0", "11.1"):
        result = judged(lint(schema_of(f"pseries@{release}")), policy, date(2026, 12, 1))
        needed |= {one.allowed for one in result.weighed if one.allowed}
    assert set(policy.allowances) == needed
