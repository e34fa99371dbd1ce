"""Options parsed as in QEMU: QemuOpts, keyval, sizes; any text gives an answer or our own error."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.options import BadOption, Opt, parse_keyval, parse_opts, parse_size, qdict_order
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration

PLAIN = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=8)
NAME = st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True)
TEXT = st.text(st.sampled_from("pseries-7.2,cap-htm=offsmp0123456789x.MGk_:"), max_size=40)


@given(st.lists(st.tuples(NAME.filter(lambda n: n != "id"), st.text("ab,=", max_size=6)), max_size=5))
def test_values_with_doubled_commas_are_read_back(pairs):
    text = ",".join(f"{name}={value.replace(',', ',,')}" for name, value in pairs)
    assert parse_opts(text) == [Opt(name, value) for name, value in pairs]
    keys: dict[str, object] = {}
    parse_keyval(text, keys)
    assert keys == dict(pairs)


def test_flags_and_the_implied_name():
    assert parse_opts("tcg,usb,nographics", "accel") == [
        Opt("accel", "tcg"),
        Opt("usb", "on", short=True),
        Opt("graphics", "off", short=True),
    ]
    with pytest.raises(BadOption, match="Expected '=' after parameter 'usb'"):
        parse_keyval("pseries,usb", {}, "type")


def test_sizes():
    sizes = {"64k": 65536, "16M": 1 << 24, "1.5G": 3 << 29, "0x1000": 4096, "12": 12, "12B": 12}
    assert {text: parse_size(text) for text in sizes} == sizes
    assert [parse_size(text) for text in ("", "x", "64kB", "-1", "1e3")] == [None] * 5


@given(st.lists(NAME, unique=True))
def test_a_qdict_gives_back_every_key_once(keys):
    assert sorted(qdict_order(keys)) == sorted(keys)


NAMES = (
    *("-machine", "-M", "-m", "-smp", "-cpu", "-global", "-accel", "-netdev", "-device", "-object", "-numa"),
    *(
        "-boot",
        "-icount",
        "-blockdev",
        "-drive",
        "-chardev",
        "-mon",
        "-set",
        "-uuid",
        "-audiodev",
        "-vga",
        "-rtc",
    ),
)
JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(), TEXT, st.none()),
    lambda inner: st.dictionaries(st.sampled_from(["id", "driver", "type", "qom-type", "size", "x"]), inner),
    max_leaves=4,
).map(json.dumps)
ARGUMENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.one_of(PLAIN, TEXT, JSON)), max_size=5)


@given(st.sampled_from([str(r) for r in CATALOGUE.newest]), ARGUMENTS)
def test_any_command_line_starts_or_is_refused_or_is_not_modelled(release, arguments):
    flat = [word for pair in arguments for word in pair]
    with contextlib.suppress(ConfigurationError):
        start = build(configuration(release, flat))
        assert all("\n" not in line for line in start.messages)
