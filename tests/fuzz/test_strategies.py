"""Laws of the strategies' values, and laws of our own code that use them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from tests.support.bases import base, destination
from tests.support.laws import AFTER, load, plain
from tests.support.twins import twin
from vmstate.describe import Record, Struct, UInt8, UInt32, VMStateDescription, decode, encode
from vmstate.errors import VmstateError
from vmstate.fuzz.mutations import MUTATIONS
from vmstate.fuzz.strategies import (
    descriptions,
    mutated,
    payloads,
    recipes,
    releases,
    sections,
    states,
    streams,
    streams_of_sections,
)
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.instance import Instance
from vmstate.stream import open_stream

SMALL = "7.2-pseries-7.2"
COMMAND = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256 -device virtio-net-pci -serial null"
laws = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))

IRQ = VMStateDescription("irq", 1, 1, fields=[UInt32("server"), UInt8("priority")])
DEVICE = VMStateDescription(
    "device",
    2,
    1,
    fields=[UInt8("n"), Struct("irqs", IRQ)["n"], UInt32("mode", 2)],
    subsections=[
        VMStateDescription("device/late", 1, 1, needed=lambda s: s.mode > 1, fields=[UInt8("late")])
    ],
).at("7.2")


@laws
@given(st.data(), releases())
def test_anything_drawn_loads_as_it_was_saved(data, release):
    vmsd = data.draw(descriptions()).at(release)
    state = data.draw(states(vmsd))
    saved = encode(vmsd, state)
    other = twin(vmsd, state)
    load(vmsd, saved + AFTER, other)
    assert encode(vmsd, other) == saved


@laws
@given(states(DEVICE))
def test_a_state_of_a_users_description_survives(state):
    saved = encode(DEVICE, state)
    _, back, error = decode(DEVICE, memoryview(saved), 0, 2, state=Record())
    assert error is None
    assert plain(back) == {k: v for k, v in plain(state).items() if k != "late" or state.mode > 1}


@pytest.mark.parametrize("value", [0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF])
def test_fields_draw_edge_values(value):
    """An edge value is found at once; random 32-bit numbers would need billions of tries."""
    assert find(states(DEVICE), lambda state: state.mode == value, settings=settings(max_examples=500))


@laws
@given(payloads(DEVICE))
def test_a_payload_has_as_many_structs_as_its_count_says(payload):
    assert len(payload) >= 1 + 5 * payload[0] + 4


@laws
@given(sections())
def test_a_section_is_framed_as_qemu_frames_it(drawn):
    stream = open_stream(b"QEVM\0\0\0\3" + drawn.data + b"\0")
    [section] = stream.sections
    assert section.idstr == drawn.description.name
    assert bytes(stream.payload(section)) == encode(drawn.description, drawn.state)
    assert section.footer == section.section_id


@laws
@given(streams_of_sections(DEVICE, IRQ))
def test_a_stream_of_sections_is_read_to_its_end(data):
    stream = open_stream(data)
    assert [section.idstr for section in stream.sections] == ["device", "irq"]
    assert stream.findings == []


@laws
@given(streams(COMMAND))
def test_a_stream_of_a_configuration_is_valid_with_any_values(data):
    stream = open_stream(data)
    assert stream.findings == []
    sent = Instance(build(parse(COMMAND)).machine).save()
    assert [section.idstr for section in stream.sections] == [s.idstr for s in open_stream(sent).sections]


@laws
@given(streams(COMMAND))
def test_a_destination_accepts_or_refuses_it_by_its_rules(data):
    verdict = Instance(build(parse(COMMAND)).machine).load(memoryview(data))
    framing = {"section-footer", "footer-missing", "unknown-type", "unknown-section", "trailing-error"}
    assert verdict.decided_by is None or verdict.decided_by.rule not in framing, verdict


def test_a_command_that_does_not_start_has_no_streams():
    with pytest.raises(ValueError, match="does not start"):
        find(streams("qemu-7.2 -machine pseries-7.2,cap-htm=on -cpu power9"), lambda data: True)


@laws
@given(mutated(base(SMALL)))
def test_mutated_streams_raise_only_our_errors(data):
    assert Instance(destination(SMALL)).load(memoryview(data))
    try:
        open_stream(data)
    except VmstateError as error:
        assert str(error)  # noqa: PT017 - any refusal must be our own error


@laws
@given(recipes(base(SMALL), ["section-version", MUTATIONS["field-edge"]], most=2))
def test_recipes_have_only_the_mutations_asked_for(recipe):
    assert {step.mutation for step in recipe.steps} <= {"section-version", "field-edge"}
    assert 1 <= len(recipe.steps) <= 2


def test_hypothesis_shrinks_a_recipe_to_the_mutation_that_matters():
    def refused(recipe):
        splices = recipe.splices(base(SMALL))
        return any(
            base(SMALL).by_path["cpu"].start < splice.start < base(SMALL).by_path["cpu"].end
            for splice in splices
        )

    found = find(recipes(base(SMALL)), refused, settings=settings(max_examples=2000, deadline=None))
    assert len(found.steps) <= 2  # hypothesis 6.100 sometimes keeps one that does not matter


def test_only_the_strategies_need_hypothesis():
    program = "import sys, vmstate.fuzz.mutations, vmstate.fuzz.recipe; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "hypothesis" not in run.stdout.split()


def test_the_examples_of_the_document_run():
    text = (Path(__file__).resolve().parents[2] / "docs" / "fuzzing.md").read_text()
    examples = [part.split("```", 1)[0] for part in text.split("```python\n")[1:]]
    example = next(example for example in examples if "def test_what_was_saved_is_loaded" in example)
    names: dict = {}
    exec(example, names)
    names["test_what_was_saved_is_loaded"]()
