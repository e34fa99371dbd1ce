"""What streams say they sent, against the descriptions in the programs that sent them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.schemas import RELEASES, real_schema
from vmstate.describe.from_vmdesc import parse_json
from vmstate.front.opening import open_stream_file
from vmstate.schema import Description, Schema
from vmstate.schema.fitting import misfits
from vmstate.schema.fitting_streams import fits
from vmstate.tree.decoded import Entries

STREAMS = {
    name: release
    for release in RELEASES
    for name in corpus.names(described=True)
    if name.startswith(f"{release}-")
}
#: Sections that C code writes by itself.
BY_HAND = {"slirp"}


def sections(name: str, schema: Schema):
    with open_stream_file(corpus.load(name)) as opened:
        return list(fits(schema, opened.stream))


@pytest.mark.parametrize("name", STREAMS)
def test_each_section_is_what_the_program_describes(name):
    found = sections(name, real_schema(STREAMS[name]))
    assert [(one.idstr, str(misfit)) for one in found for misfit in one.misfits] == []
    assert {one.idstr for one in found if one.described and one.label is None} == set()
    assert {one.idstr for one in found if not one.described} <= BY_HAND


def changed(one: Description) -> list[tuple[str, Description]]:
    """Return variants of a description that could not have sent what it did send."""
    found: list[tuple[str, Description]] = [
        ("renamed", replace(one, name="other")),
        ("older", replace(one, version_id=one.version_id - 1)),
    ]
    for i, field in enumerate(one.fields):
        before, after = one.fields[:i], one.fields[i + 1 :]
        if field.conditional or field.must_exist or isinstance(field.count, str):
            continue
        found.append((f"without {field.name}", replace(one, fields=before + after)))
        found.append((f"{field.name} twice", replace(one, fields=(*before, field, field, *after))))
        other = replace(field, kind="other")
        found.append((f"{field.name} of another type", replace(one, fields=(*before, other, *after))))
        if isinstance(field.size, int) and not field.pointers:
            wider = replace(field, size=field.size + 1)
            found.append((f"{field.name} wider", replace(one, fields=(*before, wider, *after))))
        if isinstance(field.count, int) and field.count > 1:
            longer = replace(field, count=field.count + 1)
            found.append((f"{field.name} longer", replace(one, fields=(*before, longer, *after))))
    for i, sub in enumerate(one.subsections):
        found.append(
            (f"without {sub.name}", replace(one, subsections=one.subsections[:i] + one.subsections[i + 1 :]))
        )
    return found


@settings(max_examples=200)
@given(st.data())
def test_any_change_of_what_was_sent_is_a_misfit(data):
    name = data.draw(st.sampled_from(["7.2-devices", "7.2-peripherals", "11.1-pseries-8.2-smp4"]))
    entries, stream = entries_of(name)
    section = data.draw(st.sampled_from([s for s in stream.devices if entries.text_of(s)]))
    text = entries.text_of(section)
    if b'"vmsd_name"' not in text:
        return
    entry = parse_json(text)
    one = next(d for d in real_schema(STREAMS[name]).descriptions.values() if not misfits(d, entry))
    what, other = data.draw(st.sampled_from(changed(one)))
    if what.startswith("without ") and what.removeprefix("without ").encode() not in text:
        return  # a subsection that was not sent is not missed
    assert misfits(other, entry), what


def entries_of(name: str):
    opened = open_stream_file(corpus.load(name))
    return Entries(opened.stream), opened.stream


def test_a_misfit_says_where_and_what():
    entries, stream = entries_of("7.2-devices")
    section = next(s for s in stream.devices if s.idstr == "spapr")
    entry = parse_json(entries.text_of(section))
    spapr = real_schema("7.2").descriptions["spapr"]
    at, rtc = next((i, f) for i, f in enumerate(spapr.fields) if f.name == "tb")
    other = replace(spapr, fields=(*spapr.fields[:at], replace(rtc, kind="uint16"), *spapr.fields[at + 1 :]))
    assert [str(one) for one in misfits(other, entry)] == ["spapr.tb: type struct was sent, not uint16"]
    other = replace(spapr, subsections=())
    assert str(misfits(other, entry)[0]).endswith(
        "the description has no such subsection, or in another place"
    )
