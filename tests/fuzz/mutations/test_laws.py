"""Laws that hold for every mutation."""

from __future__ import annotations

import inspect
import json
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bases import NAMES, base, destination
from vmstate.errors import ConfigurationError, VmstateError
from vmstate.fuzz.mutations import MODULES, MUTATIONS, Mutation
from vmstate.fuzz.recipe import Recipe, Step, drawn
from vmstate.fuzz.splices import Workbench, applied, combined
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.instance import Instance
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.measuring import Measured
from vmstate.tree.paths import walk

SMALL = "7.2-pseries-7.2"
each = pytest.mark.parametrize("mutation", list(MUTATIONS.values()), ids=lambda mutation: mutation.name)
SEEDS = range(25)


def draws(mutation: Mutation, name: str):
    for seed in SEEDS:
        chosen = mutation.draw(base(name), Random(f"{mutation.name} {seed}"))
        if chosen is None:
            return
        yield chosen


@each
def test_a_mutation_has_a_name_and_a_sentence(mutation: Mutation):
    assert mutation.about.endswith(".")
    assert mutation.name == mutation.function.__name__.replace("_", "-")
    given_ = list(inspect.signature(mutation.function).parameters)
    assert given_ == ["base", *mutation.domains]
    assert mutation.function.__module__ in {module.__name__ for module in MODULES}


@each
def test_a_mutation_changes_some_captured_stream(mutation: Mutation):
    for name in NAMES:
        data = base(name).data
        for chosen in draws(mutation, name):
            splices = combined(mutation.splices(base(name), chosen))
            if splices and applied(data, splices) != data:
                return
    pytest.fail(f"{mutation.name} changes none of {NAMES}")


@each
@pytest.mark.parametrize("name", NAMES)
def test_splices_are_inside_the_stream(mutation: Mutation, name: str):
    size = len(base(name).data)
    for chosen in draws(mutation, name):
        for splice in mutation.splices(base(name), chosen):
            assert 0 <= splice.start <= splice.end <= size, chosen


@each
def test_a_mutation_is_determined_by_its_seed_and_survives_json(mutation: Mutation):
    for name in NAMES[:3]:
        for chosen, again in zip(draws(mutation, name), draws(mutation, name), strict=True):
            assert chosen == again
            back = json.loads(json.dumps(chosen))
            assert back == chosen
            assert mutation.splices(base(name), back) == mutation.splices(base(name), chosen)


@each
def test_simplifying_a_mutation_ends(mutation: Mutation):
    for name in NAMES[:3]:
        for chosen in list(draws(mutation, name))[:5]:
            steps = 0
            while (simpler := next(mutation.simpler(base(name), chosen), None)) is not None:
                assert simpler != chosen
                chosen = simpler
                steps += 1
                assert steps < 200


@each
def test_unknown_parameters_are_refused(mutation: Mutation):
    with pytest.raises(ConfigurationError):
        mutation.splices(base(SMALL), {"nothing of the kind": 1})


@given(st.sampled_from(list(MUTATIONS)), st.data())
@settings(max_examples=300, deadline=None)
def test_arbitrary_parameters_raise_our_errors_or_give_splices_inside_the_stream(name, data):
    mutation = MUTATIONS[name]
    anything = st.one_of(
        st.integers(), st.text(max_size=5), st.none(), st.booleans(), st.lists(st.integers(), max_size=2)
    )
    chosen = dict(mutation.draw(base(SMALL), Random(0)) or dict.fromkeys(mutation.domains))
    if chosen:
        chosen[data.draw(st.sampled_from(list(chosen)))] = data.draw(anything)
    try:
        splices = mutation.splices(base(SMALL), chosen)
    except VmstateError:
        return
    assert all(isinstance(splice.new, bytes) for splice in splices)


@given(st.integers(0, 2**32), st.sampled_from(NAMES))
@settings(max_examples=200, deadline=None)
def test_mutations_can_be_combined(seed, name):
    recipe = drawn(base(name), seed)
    assert recipe == drawn(base(name), seed) == Recipe.from_json(json.loads(str(recipe)))
    splices = recipe.splices(base(name))
    assert all(one.end <= other.start for one, other in pairwise(splices))
    changed = applied(base(name).data, splices)
    growth = sum(len(splice.new) - (splice.end - splice.start) for splice in splices)
    assert len(changed) == len(base(name).data) + growth
    bench = Workbench(base(name).data)
    with bench.changed(splices) as view:
        assert view == changed
    with bench.changed([]) as view:
        assert view == base(name).data


def test_the_order_of_steps_matters_only_if_they_overlap():
    one = Step("section-missing", {"section": "timer"})
    other = Step("field-edge", {"field": "icp/server.xirr", "value": "top"})
    there, back = (Recipe(base(SMALL).sha256, SMALL, steps) for steps in ((one, other), (other, one)))
    assert there.splices(base(SMALL)) == back.splices(base(SMALL))


@each
def test_a_destination_handles_each_mutation(mutation: Mutation):
    """The simulator and the parser raise only our own errors, and end."""
    name = next((n for n in NAMES[:5] if mutation.draw(base(n), Random(0)) is not None), None)
    if name is None:
        pytest.skip("needs a stream of another machine")
    bench = Workbench(base(name).data)
    declarations = PseriesDeclarations()
    for chosen in list(draws(mutation, name))[:4]:
        with bench.changed(combined(mutation.splices(base(name), chosen))) as view:
            verdict = Instance(destination(name)).load(view)
            assert (verdict.decided_by is not None) == (verdict.outcome == Outcome.REJECT)
            data = bytes(view)
        try:
            stream = open_stream(data, Measured(declarations))
            assert sum(1 for _ in walk(Contents(stream, declarations)))
        except VmstateError as error:
            assert str(error)  # noqa: PT017 - any refusal must be our own error


def test_drawing_is_quick():
    """Drawing takes far less than a load; the bound is generous, for a busy machine."""
    import time

    anatomy = base(SMALL)
    for seed in range(300):
        drawn(anatomy, seed)
    start = time.process_time()
    for seed in range(2000):
        drawn(anatomy, seed)
    assert (time.process_time() - start) / 2000 < 200e-6
