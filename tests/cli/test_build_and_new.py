"""``vmstate build`` and ``vmstate new``: streams made from JSON, and from a command line alone."""

from __future__ import annotations

import json
import os
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus, synthetic
from vmstate.cli import main
from vmstate.errors import EncodeError
from vmstate.front.building import built, document_of
from vmstate.front.opening import open_stream_file
from vmstate.tree.as_json import JsonError, leaf_bytes

TCG = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
MACHINES = [
    f"-nodefaults -machine pseries-7.2,{TCG} -m 256",
    f"-nodefaults -machine pseries-5.2,{TCG},max-cpu-compat=power8 -cpu power9 -m 512 -smp 2",
    f"-nodefaults -machine pseries-6.2,{TCG} -m 256,slots=2,maxmem=4G -device spapr-pci-host-bridge,index=1",
]


def command(*arguments, capsys=None):
    status = main([str(one) for one in arguments])
    return status, "" if capsys is None else "".join(capsys.readouterr())


def shown(path, capsys, *options):
    assert main(["show", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", ["7.2-default", "7.2-no-vmdesc", "x86_64-pc-multi-iteration", "s390x-ccw"])
def test_what_show_printed_is_built_bit_for_bit_with_memory_by_reference(name, tmp_path, capsys):
    answer = shown(corpus.path(name), capsys)
    (tmp_path / "stream.json").write_text(json.dumps(answer))
    assert command("build", tmp_path / "stream.json", "-o", tmp_path / "out", "--bare", capsys=capsys)[0] == 0
    assert (tmp_path / "out").read_bytes() == corpus.load(name)


def test_the_stream_is_built_in_the_containers_that_it_came_in(tmp_path, capsys):
    (tmp_path / "stream.json").write_text(json.dumps(shown(corpus.path("7.2-default"), capsys)))
    assert command("build", tmp_path / "stream.json", "-o", tmp_path / "out")[0] == 0
    with open_stream_file(tmp_path / "out") as again:
        assert [layer.container for layer in again.layers] == ["zstd"]
        assert again.data == corpus.load("7.2-default")


def test_a_document_with_memory_in_it_needs_no_stream(tmp_path, capsys):
    (tmp_path / "a.mig").write_bytes(corpus.load("x86_64-microvm"))
    (tmp_path / "a.json").write_text(json.dumps(shown(tmp_path / "a.mig", capsys, "--ram")))
    (tmp_path / "a.mig").unlink()
    assert command("build", tmp_path / "a.json", "-o", tmp_path / "out")[0] == 0
    assert (tmp_path / "out").read_bytes() == corpus.load("x86_64-microvm")


def test_a_value_changed_in_the_document_is_changed_in_the_stream(tmp_path, capsys):
    answer = shown(corpus.path("7.2-default"), capsys)
    _node(answer, "globalstate", "runstate")
    size = next(n for n in _node(answer, "cpu")["fields"] if n["name"] == "env.nip")
    size["value"] = 0x1234
    (tmp_path / "stream.json").write_text(json.dumps(answer))
    assert command("build", tmp_path / "stream.json", "-o", tmp_path / "out")[0] == 0
    with open_stream_file(tmp_path / "out") as again:
        assert again["cpu.env.nip"] == 0x1234


def _node(answer, *names):
    inside = answer["result"]["stream"]["items"]
    for name in names:
        node = next(one for one in inside if one["name"] == name)
        inside = node.get("fields", [])
    return node


WRONG = {
    "a number that is too large": (("header", "version"), {"value": 1 << 33}, "header.version"),
    "a number that is none": (("header", "version"), {"value": "three"}, "header.version"),
    "a number with a fraction": (("header", "version"), {"value": 3.5}, "header.version"),
    "a text that is too long": (("configuration", "name"), {"value": "pseries-7.22"}, "configuration.name"),
    "a size that is not that of the fields": (("header",), {"size": 9}, "header"),
    "base64 that is none": (("globalstate", "runstate"), {"base64": "!"}, "globalstate.runstate"),
    "fields that are none": (("header",), {"fields": 7}, "header"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_document_that_does_not_fit_is_refused_and_the_place_is_named(what, tmp_path, capsys):
    names, changes, place = WRONG[what]
    answer = shown(corpus.path("7.2-default"), capsys)
    _node(answer, *names).update(changes)
    (tmp_path / "stream.json").write_text(json.dumps(answer))
    status, said = command("build", tmp_path / "stream.json", "-o", tmp_path / "out", capsys=capsys)
    assert status == 2
    assert place in said
    assert not (tmp_path / "out").exists()


def test_another_stream_than_the_one_referred_to_is_noticed(tmp_path, capsys):
    (tmp_path / "stream.json").write_text(json.dumps(shown(corpus.path("7.2-default"), capsys)))
    arguments = ("build", tmp_path / "stream.json", "-o", tmp_path / "out")
    status, said = command(*arguments, "--from", corpus.path("11.1-default"), capsys=capsys)
    assert status == 2
    assert "it is not the stream that the document was made from" in said


@pytest.mark.parametrize("text", ["", "[]", "7", '{"result": {}}', '{"stream": []}', "root:x:0:0"])
def test_what_is_no_document_is_refused_with_the_name_of_its_file(text, tmp_path, capsys):
    (tmp_path / "some.json").write_text(text)
    status, said = command("build", tmp_path / "some.json", "-o", tmp_path / "out", capsys=capsys)
    assert status == 2
    assert "some.json" in said


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_document_gives_a_stream_or_an_error_with_a_place(data):
    """Whatever stands in the place of a member, there is no other exception."""
    source = open_stream_file(synthetic.everything())
    document = json.loads(json.dumps(source.to_json()))
    node = document["stream"]
    while isinstance(node, dict) and (inside := node.get("items") or node.get("fields")):
        node = data.draw(st.sampled_from(inside))
        if data.draw(st.booleans()):
            break
    key = data.draw(st.sampled_from(sorted(node)))
    node[key] = data.draw(
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=3) | st.floats()
    )
    with suppress(JsonError, EncodeError):
        b"".join(built(document_of(document), source))


@pytest.mark.parametrize(("kind", "value"), [("uint32", 1), ("bitmap", 0), ("uint64", [1, 2])])
def test_a_number_of_a_claimed_size_fills_no_memory(kind, value):
    with pytest.raises(EncodeError, match="give base64"):
        leaf_bytes(kind, 30 << 30, value)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("release", ["7.2.22", "10.0"])
def test_a_new_stream_verifies_and_is_what_migrate_sends(release, machine, tmp_path, capsys):
    out = tmp_path / "new.mig"
    assert command("new", f"qemu-{release} {machine}", "-o", out)[0] == 0
    assert command("verify", out, "--json", capsys=capsys)[0] == 0
    assert command("load", out, "--on", f"qemu-{release} {machine}", capsys=capsys)[0] == 0


def test_a_source_that_does_not_start_writes_nothing(tmp_path, capsys):
    out = tmp_path / "new.mig"
    status, said = command("new", "qemu-7.2 -machine pseries-7.2,cap-htm=on", "-o", out, capsys=capsys)
    assert status == 1
    assert "No Transactional Memory support in TCG" in said
    assert not out.exists()


@pytest.mark.qemu
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("release", ["7.2.22", "10.0.13", "11.1.3"])
def test_a_real_qemu_loads_a_new_stream(release, machine, tmp_path):
    from vmstate.qemu import QemuNotFound, find, replay

    try:
        binary = find(release)
    except QemuNotFound as error:
        pytest.skip(str(error))
    out = tmp_path / "new.mig"
    assert command("new", f"qemu-{binary.release} {machine}", "-o", out)[0] == 0
    assert replay(os.fspath(out), f"{binary.path} {machine}").outcome == "accept"
