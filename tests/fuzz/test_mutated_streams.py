"""Laws for damaged streams: JSON gives the bytes back, edits raise only our errors, diffs end."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random

import pytest

from tests.support.bases import base
from tests.support.share import times
from vmstate.compare.streams import Diff
from vmstate.errors import VmstateError
from vmstate.fuzz.recipe import Recipe, Step, drawn
from vmstate.fuzz.splices import applied
from vmstate.fuzz.targets import Reader
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.as_json import from_json, to_json
from vmstate.tree.paths import walk
from vmstate.tree.typed_changes import changed

DECLARATIONS = PseriesDeclarations()
NAMES = ["x86_64-microvm", "s390x-ccw", "7.2-pseries-7.2"]
COUNT = times(15, 100)


def mutated(name: str, seed: int):
    """Changed streams that can still be opened, each with its random numbers."""
    whole = base(name)
    for number in range(seed, seed + COUNT):
        changed = applied(whole.data, drawn(whole, number).splices(whole))
        with suppress(VmstateError):
            yield Contents(open_stream(changed), DECLARATIONS), Random(number)


@pytest.mark.parametrize("name", NAMES)
def test_json_gives_a_damaged_stream_back(name):
    for contents, _ in mutated(name, 1000):
        document = json.loads(json.dumps(to_json(contents)))
        assert from_json(document, contents.stream.data) == contents.stream.data


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_stream_can_be_compared(name):
    whole = Contents(open_stream(base(name).data), DECLARATIONS)
    for contents, _ in mutated(name, 2000):
        assert all(one.path for one in Diff(whole, contents).differences())


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_of_a_damaged_stream_is_done_or_refused(name):
    values = ["0", "-1", "0xffff", "hex:00", "text:a", "true", "1,2", "9" * 25]
    for contents, random in mutated(name, 3000):
        path = random.choice([place.path for place in walk(contents)])
        for change in (f"{path}={random.choice(values)}", f"-{path}", f"+{path}/x@1=00", f"+{path}=3"):
            try:
                changed(contents, [change])
            except VmstateError as error:
                assert str(error)  # noqa: PT017 - any refusal must be our own error


def test_half_a_surrogate_pair_in_a_description_is_not_text():
    """A campaign found this: JSON can spell characters that UTF-8 cannot."""
    anatomy = base("7.2-pseries-7.2")
    for number in range(0, 200, 40):
        value = {"text": number, "value": '"\\ud800"', "repaired": True}
        recipe = Recipe(anatomy.sha256, anatomy.name, (Step("vmdesc-text", value),))
        changed = applied(anatomy.data, recipe.splices(anatomy))
        assert Reader().run(memoryview(changed)).faults == ()
