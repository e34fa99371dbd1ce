"""``show`` explains option vectors bit by bit, and the process table."""

from __future__ import annotations

import json

import pytest

from tests.support.corpus import STREAMS
from vmstate.cli import main
from vmstate.pseries.meanings import ProcessTable, meanings

RADIX = str(STREAMS / "7.2-booted-power9-radix-xive.mig.zst")
HASH = str(STREAMS / "7.2-booted-power8-hpt-xics.mig.zst")
BITMAP = "spapr/spapr_option_vector_ov5_cas.ov5_cas.bitmap"


def lines(capsys, *words):
    assert main(["show", *words]) == 0
    return capsys.readouterr().out.splitlines()


def result(capsys, *words):
    assert main(["show", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)["result"]


@pytest.mark.parametrize("path", ["spapr_option_vector_ov5_cas", "spapr/spapr_option_vector_ov5_cas", BITMAP])
def test_each_bit_of_the_vector_has_a_line_with_its_place_in_papr(capsys, path):
    shown = [line.split(maxsplit=5) for line in lines(capsys, RADIX, path) if "byte" in line.split()[:1]]
    assert [(" ".join(words[:4]), words[4]) for words in shown] == [
        ("byte 2, bit 2", "DRCONF_MEMORY"),
        ("byte 5, bit 0", "FORM1_AFFINITY"),
        ("byte 5, bit 2", "FORM2_AFFINITY"),
        ("byte 6, bit 5", "HP_EVT"),
        ("byte 6, bit 7", "HPT_RESIZE"),
        ("byte 22, bit 0", "DRMEM_V2"),
        ("byte 23, bit 1", "XIVE_EXPLOIT"),
        ("byte 24, bit 1", "MMU_RADIX_300"),
        ("byte 26, bit 1", "MMU_RADIX_GTSE"),
    ]


def test_a_subsection_not_named_after_its_section_is_found_with_its_fields(capsys):
    (value,) = result(capsys, RADIX, "spapr_patb_entry.patb_entry")["places"]
    assert value["path"] == "spapr/spapr_patb_entry.patb_entry"


def test_the_json_has_the_parts_of_one_place_and_of_the_whole_stream(capsys):
    whole = result(capsys, RADIX)["explained"]
    one = result(capsys, RADIX, "spapr_option_vector_ov5_cas")["explained"]
    assert one == {BITMAP: whole[BITMAP]}
    assert [part["name"] for part in whole["spapr/spapr_patb_entry.patb_entry"]] == [
        "GR = 1",
        "PRTB = 0x3e000000",
        "PRTS = 12",
    ]
    assert list(result(capsys, HASH)["explained"]) == [BITMAP]


@pytest.mark.parametrize(
    ("value", "text", "parts"),
    [
        (0, "no process table: hash", 0),
        (1 << 63, "radix, no table yet", 1),
        (0x800000003E00000C, "radix, 16777216 bytes at 0x3e000000", 3),
        (0x1000, "hash", 1),
    ],
)
def test_the_parts_of_a_process_table_entry(value, text, parts):
    words = meanings()["spapr_patb_entry", "patb_entry"]
    assert isinstance(words, ProcessTable)
    assert words.text(value) == text
    assert words.value(text) is None
    assert len(words.parts(value)) == parts
