"""Defects planted in toy destinations: shrinking leaves only the mutations that trigger the defect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.toy import Toy
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.device import opened_device
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.shrinking import Shrinker
from vmstate.fuzz.splices import Workbench
from vmstate.fuzz.targets import Target
from vmstate.pseries.startup.build import build
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import configuration, save
from vmstate.stream import open_stream

COMMAND = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
RING = Path(__file__).resolve().parents[2] / "docs" / "examples" / "ring.py"

# Mutations that are harmless to the destinations below, as a campaign draws them besides the relevant one.
NOISE = (
    Step("trailing-data", {"what": "zeros"}),
    Step("field-edge", {"field": "nvram@71000000/spapr_nvram.size", "value": "+0"}),
)


@pytest.fixture(scope="module")
def base() -> Anatomy:
    from vmstate.fuzz.compact import compact

    return Anatomy(compact(save(COMMAND)), "7.2")


def shrunk(base: Anatomy, target: Target, *steps: Step, tries: int = 500) -> tuple[Recipe, Shrinker]:
    bench = Workbench(base.data)

    def shows(recipe: Recipe) -> bool:
        with bench.changed(recipe.splices(base)) as stream:
            return any("planted" in fault.text for fault in target.run(stream).faults)

    recipe = Recipe(base.sha256, base.name, steps)
    assert shows(recipe), "the toy must fall for the recipe that is to be shrunk"
    shrinker = Shrinker(base, shows, tries)
    found = shrinker.shrink(recipe)
    assert shows(found)
    return found, shrinker


def sections(base: Anatomy, recipe: Recipe) -> list[str]:
    bench = Workbench(base.data)
    with bench.changed(recipe.splices(base)) as stream:
        return [section.idstr for section in open_stream(bytes(stream)).sections]


def test_order_only_the_repeated_section_is_left(base):
    def load(stream):
        names = [section.idstr for section in open_stream(bytes(stream)).sections]
        if names.count("timer") > 1:
            raise RuntimeError("planted: the timer was registered once")

    toy = Toy(load)
    twice = Step("section-duplicate", {"section": "timer", "before": "globalstate"})
    found, _ = shrunk(base, toy, NOISE[0], twice, NOISE[1])
    assert [step.mutation for step in found.steps] == ["section-duplicate"]
    assert found.steps[0].parameters["section"] == "timer"
    assert set(sections(base, found)) == {"timer"}, "no other section is needed"


def test_value_the_smallest_number_that_is_too_large_is_left(base):
    machine = build(configuration(COMMAND)).machine

    def load(stream):
        instance = Instance(machine)
        instance.load(stream)
        halted = next(e.device for e in instance.entries if e.device.idstr == "cpu_common").halted
        table = [1, 2]
        table[halted]  # the planted defect: one array, two entries
        return halted

    def planted(stream):
        try:
            return load(stream)
        except IndexError:
            raise RuntimeError("planted: an index without a check") from None

    huge = Step("field-edge", {"field": "cpu_common.halted", "value": "top"})
    found, _ = shrunk(base, Toy(planted), huge, *NOISE)
    (step,) = found.steps
    assert step.parameters["field"] == "cpu_common.halted"
    before = list(step.known.simpler(base, step.parameters))
    bench = Workbench(base.data)
    for simpler in before:  # no simpler value shows it
        recipe = replace(found, steps=(replace(step, parameters=simpler),))
        with bench.changed(recipe.splices(base)) as stream:
            assert Toy(planted).run(stream).faults == () or simpler["field"] != "cpu_common.halted"
    assert sections(base, found) == ["cpu_common"]


def test_pair_two_changes_that_fail_only_together_are_both_left(base):
    def load(stream):
        opened = open_stream(bytes(stream))
        names = [section.idstr for section in opened.sections]
        versions = {s.idstr: s.version_id for s in opened.sections}
        if "globalstate" not in names and versions.get("timer") == 0:
            raise RuntimeError("planted: an old timer is taken for that of another machine")

    steps = (
        NOISE[0],
        Step("section-missing", {"section": "globalstate"}),
        NOISE[1],
        Step("section-version", {"section": "timer", "version": "0"}),
    )
    found, _ = shrunk(base, Toy(load), *steps)
    assert found.steps == (steps[1], steps[3])
    assert sections(base, found) == ["timer"]


def test_only_the_count_of_a_users_device_is_left(tmp_path):
    device = opened_device(str(RING), RING.read_text())
    base = Anatomy(device.stream(), "ring")
    bench = Workbench(base.data)

    def shows(recipe: Recipe) -> bool:
        with bench.changed(recipe.splices(base)) as stream:
            return any(fault.kind == "overflow" for fault in device.run(stream).faults)

    steps = (
        Step("field-edge", {"field": "ring.done", "value": "top"}),
        Step("counts-agree", {"array": "ring.requests", "value": "top"}),
        Step("trailing-data", {"what": "zeros"}),
    )
    found = Shrinker(base, shows).shrink(Recipe(base.sha256, base.name, steps))
    assert [step.mutation for step in found.steps] == ["counts-agree"]


def test_a_recipe_that_shows_nothing_is_returned_unchanged(base):
    recipe = Recipe(base.sha256, base.name, NOISE)
    shrinker = Shrinker(base, lambda _: False)
    assert shrinker.shrink(recipe) is recipe
    assert shrinker.runs == 1


def test_shrinking_respects_its_limit_of_tries(base):
    asked = 0

    def shows(recipe: Recipe) -> bool:
        nonlocal asked
        asked += 1
        return recipe.steps == NOISE and not recipe.without

    Shrinker(base, shows, tries=5).shrink(Recipe(base.sha256, base.name, NOISE))
    assert asked == 5


def test_a_recipe_without_sections_survives_its_line(base):
    recipe = Recipe(base.sha256, base.name, NOISE, 7, ("timer", "spapr"))
    assert Recipe.from_json(recipe.as_json()) == recipe
    assert "timer" not in sections(base, recipe)
