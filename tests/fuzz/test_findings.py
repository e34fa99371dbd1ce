"""Findings of campaigns in real QEMUs: the recipes still make their streams, and their ends are predicted."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.plan import Base
from vmstate.fuzz.recipe import Recipe, read_recipes
from vmstate.fuzz.splices import Workbench
from vmstate.fuzz.targets import Real, Simulated
from vmstate.savevm.verdict import Outcome
from vmstate.shipped import shipped, shipped_streams

CAMPAIGNS = sorted(shipped("findings").rglob("*.jsonl"))
CASES = [
    (path, number)
    for path in CAMPAIGNS
    for number, _ in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], 1)
]


def named(value: Path | int) -> str:
    return f"{value.parent.name}-{value.stem}" if isinstance(value, Path) else str(value)


@cache
def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def is_simulated(path: Path) -> bool:
    """False for the campaigns on machines of other architectures."""
    return "agreement" in lines(path)[0]


each = pytest.mark.parametrize(("path", "number"), CASES, ids=named)


@cache
def bench(stream: str) -> tuple[Anatomy, Workbench]:
    anatomy = Anatomy(Base.read(str(shipped_streams() / f"{stream}.mig.zst")).data(), stream)
    return anatomy, Workbench(anatomy.data)


@cache
def simulated(command: str) -> Simulated:
    return Simulated(command)


def answer(target, path, number):
    head, finding = lines(path)[0], lines(path)[number]
    anatomy, there = bench(head["stream"])
    recipe = Recipe.from_json(finding["recipe"])
    assert recipe.base == anatomy.sha256
    with there.changed(recipe.splices(anatomy)) as stream:
        assert len(stream) == finding["stream_bytes"]
        return target.run(stream)


@pytest.mark.parametrize(("path", "number"), [case for case in CASES if is_simulated(case[0])], ids=named)
def test_the_simulator_still_gives_the_recorded_answer(path, number):
    run = answer(simulated(lines(path)[0]["campaign"]), path, number)
    assert not run.faults
    finding = lines(path)[number]
    if run.answer.outcome == Outcome.NOT_MODELLED:
        recorded = finding["simulated"]["outcome"]
        assert finding["kind"].startswith("disagreement") or recorded == run.answer.outcome, (
            "it was predicted"
        )
    else:
        assert run.answer.outcome == finding["simulated"]["outcome"]


def test_each_campaign_agrees_on_99_of_100_verdicts_and_each_release_has_one_of_twenty_thousand_runs():
    releases = set()
    for path in CAMPAIGNS:
        head = lines(path)[0]
        if "only" in head or not is_simulated(path):
            continue
        every = head["agreement"]["all"]
        assert 0.99 < every["runs"] / head["runs"] <= 1, "the others are not modelled"
        assert every["outcome"] / every["runs"] >= 0.99
        if head["runs"] >= 20_000:
            releases.add(head["release"].rsplit(".", 1)[0])
    assert releases >= {"7.2", "10.0", "11.1"}


@each
def test_the_recipe_still_makes_its_stream(path, number):
    head, finding = lines(path)[0], lines(path)[number]
    anatomy, there = bench(head["stream"])
    with there.changed(Recipe.from_json(finding["recipe"]).splices(anatomy)) as stream:
        assert len(stream) == finding["stream_bytes"]


@pytest.mark.qemu
@each
def test_real_qemu_still_ends_as_recorded(path, number):
    finding = lines(path)[number]
    if finding["kind"].startswith("disagreement") or finding["kind"] == "hang":
        pytest.skip("no end of QEMU; or one that takes its time")
    if not finding["reproduced"]:
        pytest.skip("it was seen once: memory that QEMU had used before decides")
    run = answer(real(lines(path)[0]["campaign"]), path, number)
    assert run.answer.outcome == finding["real"]["outcome"]
    assert str(run.faults[0].kind) == finding["kind"]


@cache
def real(command: str) -> Real:
    from vmstate.qemu.binary import find

    program, *words = command.split()
    if program.startswith("qemu-system-"):
        pytest.skip("tools/findings runs it, with the disk image that the machine needs")
    try:
        return Real([str(find(program.removeprefix("qemu-")).path), *words])
    except Exception as error:  # noqa: BLE001 - any reason why that QEMU cannot be run
        pytest.skip(f"{program} is not available: {error}")


@pytest.mark.parametrize("path", CAMPAIGNS, ids=named)
def test_a_file_of_findings_is_a_file_of_recipes(path):
    assert [recipe.as_json() for recipe in read_recipes(str(path))] == [
        line["recipe"] for line in lines(path)[1:]
    ]
