"""Words of a line: the same as the standard library finds, for any text."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vmstate.pseries.startup.shell_words import shell_words

texts = st.text(st.sampled_from("ab'\"\\ \t\r\n#,=é\x0b\u2003\0"), max_size=30) | st.text(max_size=30)


@given(texts)
@example("""a'b c'"d \\" \\n"\\ e '' x""")
def test_words_are_those_of_shlex(text):
    try:
        expected = shlex.split(text)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            shell_words(text)
    else:
        assert shell_words(text) == expected


@given(st.lists(st.text(max_size=8), max_size=5))
def test_quoted_words_come_back(words):
    assert shell_words(shlex.join(words)) == words


@pytest.mark.parametrize("end", ["", "'", '"', "\\", "'\"\\"])
@pytest.mark.parametrize("part", ["a", "\\a", "'a'", '"a"', '"\\', "'", '"', "''", "a'b'"])
def test_a_line_of_any_length_is_read_once(part, end):
    text = part * 5_000 + end
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - which one is compared above
            shell_words(text)
    else:
        assert shell_words(text) == expected
