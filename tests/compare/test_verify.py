"""verify: real streams pass; each kind of damage has a finding with a rule and an offset."""

from __future__ import annotations

import pytest

from tests.support import corpus
from vmstate.compare.verify import verify
from vmstate.containers import open_input, rewrap
from vmstate.containers.registry import layer
from vmstate.errors import Severity
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.measuring import Measured
from vmstate.tree.paths import find_one
from vmstate.tree.typed_changes import changed

DECLARATIONS = PseriesDeclarations()
#: A hundred thousand small sections: too slow for this test.
MANY = "x86_64-q35-dirty-bitmaps"
NAME = "7.2-pseries-7.2"


def contents_of(data: bytes) -> Contents:
    return Contents(open_stream(data, Measured(DECLARATIONS)), DECLARATIONS)


def is_pseries(name: str) -> bool:
    return "pseries" in name or name[0].isdigit()


@pytest.mark.parametrize("name", [n for n in corpus.names(described=True) if n != MANY])
def test_a_described_stream_is_fine(name):
    verified = verify(contents_of(corpus.load(name)))
    assert [str(f) for f in verified.findings if f.severity != Severity.INFO] == []


@pytest.mark.parametrize("name", [n for n in corpus.names(described=True) if is_pseries(n)])
def test_our_declarations_give_the_exact_text_of_the_vmdesc_at_the_release_that_wrote_it(name):
    verified = verify(contents_of(corpus.load(name)))
    unknown = [f for f in verified.findings if f.rule == "declared.unknown"]
    assert verified.agreed >= verified.described - 16 if unknown else verified.agreed == verified.described
    release = corpus.manifest()[name].get("release")
    if release is not None:
        line = tuple(int(part) for part in str(release).split(".")[:2])
        assert line in {found.line for found in verified.releases}


@pytest.mark.parametrize(
    "name", [n for n in corpus.names() if n.endswith("-pseries-2.1") or n == "7.2-no-vmdesc"]
)
def test_a_stream_without_a_vmdesc_is_fine_by_our_declarations(name):
    verified = verify(contents_of(corpus.load(name)))
    assert [str(f) for f in verified.findings if f.severity != Severity.INFO] == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("cpu.footer.section_id=77", "footer.id"),
        ("-spapr.footer", "footer.missing"),
        ("-vmdescription", None),
        ("cpu.header.version_id=9", "declared.mismatch"),
        ("+cpu/unheard@1=00", "declared.mismatch"),
    ],
)
def test_what_is_wrong_has_a_rule_and_an_offset(change, rule):
    found = verify(contents_of(changed(contents_of(corpus.load(NAME)), [change]))).findings
    if rule is None:
        assert [f.rule for f in found if f.severity != Severity.INFO] == []
        return
    assert rule in {f.rule for f in found}
    assert all(f.place.offset is not None for f in found)


@pytest.mark.parametrize(
    ("path", "byte", "rule"),
    [("cpu.unused", 1, "value.unused"), ("spapr_iommu[0x80000000].bypass", 2, "value.bool")],
)
def test_bytes_that_a_destination_does_not_keep_are_reported_as_information(path, byte, rule):
    data = bytearray(corpus.load(NAME))
    data[find_one(contents_of(bytes(data)), path).node.start] = byte
    verified = verify(contents_of(bytes(data)))
    assert rule in {f.rule for f in verified.findings}
    assert verified.fine


def test_a_vmdesc_that_lies_about_a_size_is_found():
    data = corpus.load(NAME)
    text = b'"name": "env.nip", "type": "uint64", "size": 8'
    assert data.count(text) == 1
    found = verify(contents_of(data.replace(text, text[:-1] + b"9"))).findings
    assert {"section.length", "vmdesc.mismatch"} & {f.rule for f in found}


def test_a_vmdesc_that_lies_about_the_configuration_is_found():
    data = corpus.load("10.0-pseries-10.0")
    text = b'"name": "name", "type": "buffer", "size": 12'
    assert data.count(text) == 1
    found = verify(contents_of(data.replace(text, text[:-1] + b"1"))).findings
    assert [(f.rule, f.place.section) for f in found] == [("vmdesc.mismatch", "configuration")]


def test_a_vmdesc_that_names_a_field_differently_is_found():
    data = corpus.load(NAME)
    found = verify(contents_of(data.replace(b'"env.nip"', b'"env.pin"'))).findings
    assert [(f.rule, f.place.section) for f in found] == [("declared.fields", "cpu")]


def test_a_section_that_could_not_be_compared_is_a_finding():
    contents = Contents(open_stream(corpus.load("7.2-no-vmdesc")))
    rules = {f.rule for f in verify(contents).findings}
    assert rules == {"section.opaque"}


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
def test_containers_are_rewritten(kind):
    data = corpus.load("x86_64-microvm")
    packed = b"".join(rewrap([layer(kind)], [data], len(data)))
    with open_input(packed) as opened:
        verified = verify(Contents(open_stream(opened.data)), opened)
    assert [f for f in verified.findings if f.rule.startswith(("rewrite", "container"))] == []
