"""Capabilities: a machine's levels at its start, those that it sends, and a destination's comparison."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import lines
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.rules.capability_levels import default_levels, is_sent, post_migration
from vmstate.pseries.startup.build import Machine, build
from vmstate.pseries.startup.command_line import parse

HEAD, *ROWS = lines("default-levels.txt")
NAMES = {"hpt": "hpt-max-page-size", "nhv": "nested-hv", "ldec": "large-decr", "ccf": "ccf-assist"} | {
    "rpt": "rpt-invalidate",
    "ail3": "ail-mode-3",
    "npapr": "nested-papr",
}
RELEASES = [CATALOGUE.release(f"{release.major}.{release.minor}") for release in CATALOGUE.newest]


def machine(text: str) -> Machine:
    found = build(parse(text)).machine
    assert found is not None
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(row[:4]))
def test_levels_by_release_type_processor_and_limit(row):
    release, kind, cpu, limit, *expected = row
    table = CATALOGUE.binary(CATALOGUE.release(release))
    mode = table.compat.by_name(limit)
    machine = table.machine()
    machine.max_compat = mode.pvr if mode else 0
    processor = next(
        c for c in table.cpus.values() if cpu in {c.name, *c.aliases} or c.name == _own(release, kind, cpu)
    )
    machine.cpu = processor
    machine.become(table.machine_class(kind))
    levels = default_levels(machine)
    found = {c.name: str(levels[c.name]) for c in table.capabilities}
    assert [found.get(NAMES.get(name, name), "-") for name in HEAD[4:]] == expected


def _own(release: str, kind: str, cpu: str) -> str | None:
    return (
        CATALOGUE.binary(CATALOGUE.release(release)).machine_class(kind).flags.default_cpu
        if cpu == "-"
        else None
    )


def sent(text: str) -> list[str]:
    source = machine(text)
    return [c.name for c in source.capabilities if is_sent(source, c)]


def test_a_level_is_sent_if_it_was_given_and_is_not_the_default():
    assert sent("qemu-3.1 -machine pseries,cap-cfpc=broken,cap-vsx=off") == ["vsx"]
    assert sent("qemu-11.1 -machine pseries,cap-fwnmi=off,cap-vsx=on") == ["fwnmi"]


def test_the_page_size_is_sent_always_or_never_from_4_1_to_10_1():
    assert sent("qemu-7.2 -machine pseries") == ["hpt-max-page-size"]
    assert sent("qemu-7.2 -machine pseries-4.0,cap-hpt-max-page-size=16M") == []
    assert sent("qemu-4.0 -machine pseries,cap-hpt-max-page-size=16M") == []
    assert sent("qemu-10.2 -machine pseries") == []


def test_all_levels_are_compared_in_the_order_of_the_table():
    source = machine("qemu-7.2 -machine pseries,cap-cfpc=broken,cap-sbbc=workaround,cap-ibs=broken")
    incoming = [*source.default_levels]
    incoming[3:6] = [2, 0, 3]
    messages = [c.message for c in post_migration(source, incoming)]
    assert [line for line in messages if line] == [
        "cap-cfpc higher level (2) in incoming stream than on destination (0)",
        "warning: cap-sbbc lower level (0) in incoming stream than on destination (1)",
        "cap-ibs higher level (3) in incoming stream than on destination (0)",
    ]


@given(st.sampled_from(RELEASES), st.data())
def test_levels_missing_from_the_stream_never_fail_where_none_was_given(release, data):
    """Law: a destination without options takes its own defaults, whatever processor and type it has."""
    table = CATALOGUE.binary(release)
    kind = table.machine_class(data.draw(st.sampled_from(sorted(table.machine_types))))
    cpu = data.draw(st.sampled_from(sorted(table.cpus)))
    machine = table.machine()
    machine.cpu = table.cpus[cpu]
    machine.become(kind)
    levels = machine.effective_levels = tuple(default_levels(machine).values())
    assert not any(check.fails for check in post_migration(machine, levels))
