"""Expectations: how they are written, what they compare, where they stand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import ConfigurationError
from vmstate.expectations import WORDS, Ended, Expectation, Tally, beside, from_json, read, recorded
from vmstate.savevm.verdict import Outcome, Verdict

LINES = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), max_size=3)
EXPECTATIONS = st.builds(
    Expectation,
    st.sampled_from(["", *WORDS]),
    LINES.map(tuple),
    st.none() | LINES.map(tuple),
    st.none() | LINES.map(tuple),
)
ENDINGS = st.builds(Ended, st.sampled_from(list(Outcome)), LINES.map(tuple), LINES.map(tuple))


@given(EXPECTATIONS)
def test_an_expectation_is_its_json(expectation):
    assert from_json(json.loads(json.dumps(expectation.as_json()))) == expectation


@given(ENDINGS)
def test_what_came_is_as_expected_if_all_of_it_was_expected(ended):
    word = next(word for word, outcomes in WORDS.items() if ended.outcome in outcomes)
    whole = Expectation(word, ended.messages, ended.messages, ended.source_messages)
    assert list(whole.differences(ended)) == []


@given(EXPECTATIONS, ENDINGS)
def test_another_outcome_is_never_as_expected(expectation, ended):
    if expectation.outcome and ended.outcome not in WORDS[expectation.outcome]:
        assert list(expectation.differences(ended))


@given(ENDINGS, LINES.map(tuple))
def test_other_lines_are_never_as_expected(ended, lines):
    met = not list(Expectation(messages=lines).differences(ended))
    assert met == (lines == ended.messages)


@pytest.mark.parametrize(
    ("text", "expectation"),
    [
        ("accept", Expectation("accept")),
        ("reject: cap-htm higher level", Expectation("reject", ("cap-htm higher level",))),
        ("reject: error: 22", Expectation("reject", ("error: 22",))),
        ("reject\none\n\ntwo\n", Expectation("reject", (), ("one", "", "two"))),
        ('{"outcome": "refused", "prints": "x", "messages": []}', Expectation("refused", ("x",), ())),
        ('{"messages": ["a"]}', Expectation(messages=("a",))),
    ],
)
def test_texts(text, expectation):
    assert read(text) == expectation


@pytest.mark.parametrize(
    "text", ["", "accepted", "passed", "reject,x", "{", '{"outcome": 3}', '{"lines": []}']
)
def test_a_wrong_text_is_refused(text):
    with pytest.raises(ConfigurationError):
        read(text)


@pytest.mark.parametrize("value", [None, 3, [], {"messages": "one"}, {"prints": [1]}, {"outcome": "ok"}])
def test_a_wrong_value_is_refused(value):
    with pytest.raises(ConfigurationError):
        from_json(value)


def test_refused_is_either_side():
    for outcome in (Outcome.SOURCE_REFUSED, Outcome.DESTINATION_REFUSED):
        assert not list(read("refused").differences(Ended(outcome)))
    assert list(read("source-refused").differences(Ended(Outcome.DESTINATION_REFUSED)))


def test_a_qemu_that_ends_by_itself_has_not_rejected():
    ended = Ended.of(Verdict(Outcome.REJECT, aborted=True))
    assert list(read("reject").differences(ended)) == ["expected reject, found crash"]
    assert not list(read("crash").differences(ended))


def test_what_cannot_be_judged_is_neither():
    ended = Ended.of(Verdict(Outcome.NOT_MODELLED))
    assert all(list(read(word).differences(ended)) for word in WORDS if word != "not-modelled")


def test_beside_a_stream_and_in_the_record_of_a_folder(tmp_path):
    stream = tmp_path / "guest.mig.zst"
    assert beside(stream) is None
    assert recorded(tmp_path) == {}
    (tmp_path / "guest.mig.zst.expect").write_text("reject: xive\n")
    (tmp_path / "expect.json").write_text('{"a.jsonl:2": {"outcome": "crash"}}')
    assert beside(stream) == Expectation("reject", ("xive",))
    assert recorded(tmp_path) == {"a.jsonl:2": Expectation("crash")}


def test_a_wrong_file_is_named(tmp_path):
    (tmp_path / "s.expect").write_text("perhaps")
    (tmp_path / "expect.json").write_text("[]")
    with pytest.raises(ConfigurationError, match=r"s\.expect: expected one of"):
        beside(tmp_path / "s")
    with pytest.raises(ConfigurationError, match=r"expect\.json: expected an object"):
        recorded(tmp_path)


def test_a_tally_says_what_had_no_expectation():
    tally = Tally()
    for differences in ((), ("no",), None, ()):
        tally.count(differences)
    assert str(tally) == "2 as expected, 1 not as expected, 1 without an expectation"
