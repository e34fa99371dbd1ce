"""vmstate.open: fields read, set, added and removed by path; the stream saved as it came."""

from __future__ import annotations

import enum
import io
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import vmstate
from tests.support import corpus
from vmstate.containers import layer, open_input, rewrap
from vmstate.tree.nodes import is_open
from vmstate.tree.paths import walk

NAME = "7.2-booted-power9-compat8"
PVR = "cpu[0]/compat.compat_pvr"
STREAMS = corpus.STREAMS
LIBVIRT = Path(__file__).resolve().parents[2] / "fixtures" / "containers" / "libvirt-9.0-raw.save.zst"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "guest.mig.zst"
    file.write_bytes((STREAMS / f"{NAME}.mig.zst").read_bytes())
    return file


@pytest.fixture
def stream():
    with vmstate.open(corpus.load(NAME)) as opened:
        yield opened


def test_what_is_set_is_read_and_saved_in_the_container_it_came_in(path, tmp_path):
    with vmstate.open(path) as stream:
        assert stream[PVR] == 0x0F000004
        stream[PVR] = 0x0F000003
        assert stream[PVR] == 0x0F000003
        size = stream.save(tmp_path / "edited.mig")
        verdict = vmstate.load(stream, on="qemu-7.2 -nodefaults -machine pseries-7.2 -m 256")
    assert (tmp_path / "edited.mig").stat().st_size == size
    assert verdict.outcome == vmstate.Outcome.REJECT or verdict.accepted
    with vmstate.open(tmp_path / "edited.mig") as again:
        assert [layer.container for layer in again.layers] == ["zstd"]
        assert again[PVR] == 0x0F000003
        changed = [i for i, (a, b) in enumerate(zip(again.data, corpus.load(NAME), strict=True)) if a != b]
    assert len(changed) == 1


def test_an_unchanged_stream_is_saved_as_the_very_file(path, tmp_path):
    with vmstate.open(path) as stream:
        stream[PVR] = stream[PVR]
        stream.save(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "2.12.1-pseries-2.1", "x86_64-microvm", "riscv64-virt"])
def test_every_field_can_be_set_to_what_it_is(name):
    with vmstate.open(corpus.load(name)) as stream:
        for place in list(walk(stream.contents)):
            if place.node.kind in ("opaque", "pages") or len(stream.find(place.path)) > 1:
                continue
            value = stream[place.path]
            if not is_open(place.node):
                stream[place.path] = value
        assert stream.data == corpus.load(name)


def test_a_struct_is_a_dict_and_can_be_set_as_one(stream):
    state = stream["cpu[0]"]
    assert state["cpu/compat"] == {"compat_pvr": 0x0F000004}
    stream["cpu[0]"] = {**state, "cpu/compat": {"compat_pvr": 0x0F000003}}
    assert stream[PVR] == 0x0F000003
    stream["cpu[0]"] = state
    assert stream.data == corpus.load(NAME)


def test_an_array_of_structs_is_a_list_of_dicts(stream):
    irqs = stream["ics.irqs"]
    assert set(irqs[0]) >= {"server", "status"}
    irqs[3]["server"] = 7
    stream["ics.irqs"] = irqs
    assert stream["ics.irqs[3].server"] == 7
    with pytest.raises(vmstate.EncodeError, match="elements"):
        stream["ics.irqs"] = irqs[1:]


class Mode(enum.IntEnum):
    POWER7 = 0x0F000003


@pytest.mark.parametrize("value", [0x0F000003, Mode.POWER7, np.uint32(0x0F000003), "power7"])
def test_values_of_a_number(stream, value):
    stream[PVR] = value
    assert stream[PVR] == 0x0F000003


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (PVR, 1 << 32, "outside the range of uint32, 0 to 4294967295"),
        (PVR, -1, "outside the range of uint32"),
        (PVR, 1.5, "takes an int, not float 1.5"),
        (PVR, None, "takes an int, not NoneType None"),
        (PVR, "0x0f000003", "takes an int, not str '0x0f000003'"),
        (PVR, b"\x0f\0\0\3", "takes an int, not bytes"),
        (PVR, [1], "takes an int, not list"),
        ("cpu.env.gpr", [0] * 31, "takes 32 elements, not 31"),
        ("cpu.env.gpr", 5, "takes a list of 32 values, not int 5"),
        ("cpu.env.gpr", "text", "takes a list of 32 values, not str"),
        ("cpu.env.gpr", [0] * 31 + [-1], "-1 is outside the range of uint64"),
        ("cpu.env.gpr", [0] * 31 + ["x"], "takes an int, not str 'x'"),
        ("cpu.env.gpr[3]", 1 << 64, "outside the range of uint64"),
        ("configuration.name", b"pseries", "takes a str, not bytes"),
        ("globalstate.runstate", b"short", "takes 100 bytes, not 5"),
        ("globalstate.runstate", "running", "takes 100 bytes, not str 'running'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_nothing_changes(stream, path, value, said):
    with pytest.raises(vmstate.EncodeError, match=said) as caught:
        stream[path] = value
    assert caught.value.path.startswith(path.replace("[0]", ""))
    assert f"(field {caught.value.path})" in str(caught.value)
    assert stream.data == corpus.load(NAME)


def test_signed_numbers_take_their_own_range():
    with vmstate.open(corpus.load("x86_64-q35")) as stream:
        path = next(p.path for p in walk(stream.contents) if p.node.type == "int32" and p.section)
        stream[path] = -1
        assert stream[path] == -1
        with pytest.raises(vmstate.EncodeError, match="int32, -2147483648 to 2147483647"):
            stream[path] = 1 << 31


def test_bools_texts_bytes_and_arrays(stream):
    flag = next(p.path for p in walk(stream.contents) if p.node.type == "bool")
    stream[flag] = True
    assert stream[flag] is True
    stream["cpu.env.gpr"] = range(32)
    assert stream["cpu.env.gpr"] == list(range(32))
    stream["cpu.env.gpr[3]"] = 99
    assert stream["cpu.env.gpr"][2:5] == [2, 99, 4]
    stream["globalstate.runstate"] = b"paused".ljust(100, b"\0")
    assert stream["globalstate.runstate"].rstrip(b"\0") == b"paused"
    stream["configuration.name"] = "pseries-2.12-sxxm"
    assert stream.machine == "pseries-2.12-sxxm"
    assert stream.findings == ()


def test_the_same_field_may_be_set_again_and_again(stream):
    for value in (1, 2, 3):
        stream["cpu.env.gpr[0]"] = value
    stream["cpu.env.gpr"] = [7] * 32
    stream["cpu.env.gpr[1]"] = 8
    assert stream["cpu.env.gpr"][:3] == [7, 8, 7]


@pytest.mark.parametrize(
    ("path", "near"), [("cpu[0].env.gpx", "env.gpr"), ("cpuu", "cpu"), ("", "nothing"), ("cpu[7]", "cpu")]
)
def test_a_path_that_leads_nowhere_is_a_key_error_of_ours(stream, path, near):
    with pytest.raises(vmstate.PathError, match=near) as caught:
        stream[path]
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, vmstate.VmstateError)
    assert not str(caught.value).startswith('"')
    assert path not in stream
    assert stream.get(path, 5) == 5
    with pytest.raises(vmstate.PathError):
        stream[path] = 1
    with pytest.raises(vmstate.PathError):
        del stream[path]


def test_a_path_must_be_text(stream):
    assert 5 not in stream
    with pytest.raises(TypeError, match="a path is a str"):
        stream[5]


def test_a_path_to_several_things_is_refused():
    with vmstate.open(corpus.load("4.1.1-booted-power9-compat8-smp2")) as stream:
        for call in (
            lambda: stream["cpu"],
            lambda: stream.get("cpu"),
            lambda: stream.__setitem__("cpu.nip", 1),
        ):
            with pytest.raises(vmstate.PathError, match="may mean"):
                call()
        assert "cpu" in stream
        assert len(stream.find("cpu")) == 2


def test_a_subsection_goes_and_comes_back(stream):
    before = bytes(stream.data)
    del stream["cpu[0]/compat"]
    assert "cpu[0]/compat" not in stream
    assert vmstate.verify(stream).fine
    stream.add("cpu[0]/compat", {"compat_pvr": 0x0F000004})
    assert stream.data == before
    with pytest.raises(vmstate.PathError, match="already"):
        stream.add("cpu[0]/compat")
    with pytest.raises(vmstate.PathError, match="cannot be removed"):
        del stream["cpu.env.nip"]


def test_a_subsection_added_without_fields_is_zero(stream):
    del stream["cpu[0]/compat"]
    stream.add("cpu[0]/compat")
    assert stream[PVR] == 0
    with pytest.raises(vmstate.PathError, match="no declaration"):
        stream.add("cpu[0]/nonsense")


def test_sections_and_subsections_of_bytes(stream):
    stream.add("foo[3]", payload=b"\0\xff", version_id=2)
    stream.add("cpu[0]/bar", payload=b"\1\2\3")
    section = next(one for one in stream.sections if one.idstr == "foo")
    assert (section.instance_id, section.version_id, section.payload) == (3, 2, b"\0\xff")
    assert stream["cpu[0]/bar"] == {"data": b"\1\2\3"}
    with pytest.raises(vmstate.EncodeError):
        stream.add("baz[0]", {"x": 1}, payload=b"")
    del stream["foo[3]"]
    del stream["cpu[0]/bar"]
    assert stream.data == corpus.load(NAME)


def test_what_a_field_counts_follows(stream):
    with vmstate.open(corpus.load("7.2-pseries-7.2")) as other:
        other["ics.nr_irqs"] = 8
        assert len(other["ics.irqs"]) == 8
        assert vmstate.verify(other).findings == ()
        with pytest.raises(vmstate.EncodeError):
            other["ics.nr_irqs"] = 0xFFFFFFFF


def test_sections_tell_where_they_are(stream):
    sections = {one.path: one for one in stream.sections}
    cpu = sections["cpu"]
    assert (cpu.idstr, cpu.instance_id, cpu.version_id) == ("cpu", 0, 5)
    start, end = cpu.span
    assert cpu.payload in bytes(stream.data[start:end])
    assert cpu.tree.find("env.gpr").start > start
    assert cpu.value == stream["cpu"]
    assert set(sections) <= set(stream)
    assert len(stream) == len(list(stream))
    assert "cpu" in repr(cpu)
    for path in stream:
        stream[path]


def test_a_file_is_saved_over_itself(path):
    with vmstate.open(path) as stream:
        stream[PVR] = 0x0F000003
        stream.save()
        stream["cpu.env.gpr[1]"] = 1
        stream.save(path)
        assert stream["cpu.env.gpr[1]"] == 1
    with vmstate.open(path) as stream:
        assert (stream[PVR], stream["cpu.env.gpr[1]"]) == (0x0F000003, 1)


def test_a_stream_is_saved_to_files_that_are_open(path, tmp_path):
    with vmstate.open(path) as stream:
        stream[PVR] = 0x0F000003
        stream.save(tmp_path / "a")
        buffer = io.BytesIO()
        assert stream.save(buffer) == len(buffer.getvalue())
        assert buffer.getvalue() == (tmp_path / "a").read_bytes()
        with (tmp_path / "b").open("wb", buffering=0) as raw:
            stream.save(raw, bare=True)
        assert (tmp_path / "b").read_bytes() == stream.data
        with pytest.raises(TypeError, match="binary mode"):
            stream.save(io.StringIO())
        with pytest.raises(vmstate.VmstateError, match="cannot write"):
            stream.save(tmp_path / "missing" / "file")


def test_a_stream_without_its_magic_can_still_be_saved(stream):
    stream["header.magic"] = 0
    out = io.BytesIO()
    stream.save(out)
    stream.save(out)
    assert out.getvalue() == 2 * (bytes(4) + corpus.load(NAME)[4:])
    with pytest.raises(vmstate.StreamError):
        stream["cpu.nip"]


def test_bytes_have_no_file_to_be_saved_to(stream):
    with pytest.raises(ValueError, match="does not come from a file"):
        stream.save()


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
def test_streams_come_as_bytes_files_and_pipes_in_any_container(kind):
    data = corpus.load("7.2-pseries-7.2")
    packed = b"".join(rewrap((layer(kind),), [data]))
    for source in (packed, bytearray(packed), memoryview(packed), io.BytesIO(packed)):
        with vmstate.open(source) as stream:
            assert stream.data == data
            stream["cpu.env.nip"] = 0x100
            out = io.BytesIO()
            stream.save(out)
        again = open_input(out.getvalue())
        assert [one.container for one in again.layers] == [kind]


@pytest.mark.parametrize("whole", [True, False])
def test_a_stream_comes_through_a_pipe(whole):
    read, write = os.pipe()
    data = corpus.load("7.2-pseries-7.2")

    def feed():
        with os.fdopen(write, "wb") as out:
            out.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(read, "rb") as pipe, vmstate.open(pipe, whole=whole) as stream:
        stream["cpu.env.nip"] = 0x100
        assert stream["cpu.env.nip"] == 0x100
    thread.join()


def test_the_standard_streams_are_a_dash(tmp_path):
    program = "import vmstate; s = vmstate.open('-'); s['cpu.env.nip'] = 5; s.save('-')"
    data = corpus.load("7.2-pseries-7.2")
    run = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    with vmstate.open(run.stdout) as stream:
        assert stream["cpu.env.nip"] == 5


def test_a_stream_goes_back_into_a_save_image_of_libvirt(tmp_path):
    image = tmp_path / "guest.save"
    image.write_bytes(bytes(open_input(LIBVIRT.read_bytes()).wrapped))
    with vmstate.open(image) as stream:
        before = [one.container for one in stream.layers]
        assert "libvirt" in before
        number = next(p.path for p in walk(stream.contents) if p.node.type == "uint32" and p.section)
        stream[number] = 1
        stream.save()
    with vmstate.open(image) as stream:
        assert [one.container for one in stream.layers] == before
        assert stream[number] == 1


@pytest.mark.parametrize("source", [b"", b"nonsense", bytes(100), b"QEVM"])
def test_what_is_no_stream_is_refused(source):
    with pytest.raises(vmstate.StreamError):
        vmstate.open(source)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for source in (tmp_path / "missing", tmp_path):
        with pytest.raises(vmstate.StreamError, match=r"cannot read|is a folder"):
            vmstate.open(source)


@pytest.mark.parametrize("source", [None, 5, io.StringIO("text"), object()])
def test_what_cannot_hold_a_stream_is_a_type_error(source):
    with pytest.raises(TypeError, match="a stream is opened from"):
        vmstate.open(source)


def test_a_limit_bounds_what_is_decompressed(path):
    with pytest.raises(vmstate.TooLarge):
        vmstate.open(path, limit=1000)


@pytest.mark.parametrize("cut", [100, 5000, 20000])
def test_a_damaged_stream_opens_with_findings(cut):
    data = corpus.load(NAME)[:-cut]
    with vmstate.open(data) as stream:
        assert not vmstate.verify(stream).fine
        for path in stream:
            stream[path]
        assert stream["configuration.name"] == "pseries-7.2"
        out = io.BytesIO()
        stream.save(out)
        assert out.getvalue() == data


def test_a_closed_stream_says_so(path):
    stream = vmstate.open(path)
    section = stream.sections[0]
    stream.close()
    stream.close()
    for call in (lambda: stream[PVR], stream.save, lambda: stream.sections, lambda: stream.data):
        with pytest.raises(ValueError, match="closed"):
            call()
    assert "closed" in repr(stream)
    assert section.idstr == "ram"


def test_json_gives_the_stream_again(stream):
    document = stream.to_json()
    assert document["layers"] == []
    text = json.dumps(document)
    for source in (stream, corpus.load(NAME)):
        with vmstate.from_json(text, source) as again:
            assert again.data == stream.data
    with vmstate.from_json(stream.to_json(ram=True)) as again:
        assert again.data == stream.data
    for wrong in ("{", "[]", "{}", {"stream": 5}):
        with pytest.raises(vmstate.JsonError):
            vmstate.from_json(wrong)


def test_show_is_the_text_of_the_command(path, capsys):
    from vmstate.cli import main

    with vmstate.open(path) as stream:
        for arguments, given in (
            ([], {}),
            (["cpu[0]"], {"path": "cpu[0]"}),
            (["--depth", "1"], {"depth": 1}),
        ):
            assert main(["show", str(path), *arguments]) == 0
            assert stream.show(**given) + "\n" == capsys.readouterr().out


def test_guest_memory_is_stripped():
    with vmstate.open(corpus.load("x86_64-pc-multi-iteration")) as stream:
        before = len(stream.data)
        stream.strip()
        assert len(stream.data) <= before
        assert stream.findings == ()


def test_paths_lead_to_every_node(stream):
    paths = list(stream.paths())
    assert "cpu/compat.compat_pvr" in paths
    assert "configuration.name" in paths


def test_two_streams_are_compared(path, stream):
    assert vmstate.diff(path, stream) == []
    stream[PVR] = 0x0F000003
    (difference,) = vmstate.diff(path, stream)
    assert difference.path == "cpu/compat.compat_pvr"
    assert vmstate.diff(path, stream, ignore=["cpu/compat"]) == []


def test_streams_are_verified_by_path_too(path):
    verified = vmstate.verify(path)
    assert verified.fine
    assert verified.sections > 10


@pytest.mark.parametrize(
    ("path", "value", "error", "said"),
    [
        ("cpu[0]", 5, "EncodeError", "takes a dict, not int"),
        ("ics.irqs", {}, None, ""),
        ("ics.irqs", 5, "EncodeError", "takes a list of 4096"),
        ("cpu[0]", {"nothing": 1}, "PathError", "nothing"),
        ("cpu[0]", {"env.gpr": [0] * 3}, "EncodeError", "takes 32 elements"),
        ("cpu[0]", {"compat": {"compat_pvr": 1 << 40}}, "EncodeError", "outside the range"),
    ],
)
def test_a_struct_that_does_not_fit_is_refused(stream, path, value, error, said):
    if error is None:
        stream[path] = value
    else:
        with pytest.raises(getattr(vmstate, error), match=said):
            stream[path] = value
    assert stream.data == corpus.load(NAME)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("cpu.env.gpr", {1, 2}, "not set"),
        ("cpu.env.gpr", {1: 2}, "not dict"),
        ("configuration.name", "\ud800", "not text"),
        ("cpu.header.idstr", "x" * 300, "at most 255 bytes"),
        ("ram#1.pages[0]", b"", "has no value"),
        ("cpu.gpr[99]", 1, r"cpu.env.gpr has no element \[99\]"),
        ("cpu.gpr[-1]", 1, "has no element"),
    ],
)
def test_what_has_no_meaning_is_refused(stream, path, value, said):
    with pytest.raises((vmstate.EncodeError, vmstate.PathError), match=said):
        stream[path] = value
    assert stream.data == corpus.load(NAME)


def test_an_array_takes_anything_that_can_be_iterated(stream):
    for values in (range(32), (i for i in range(32)), np.arange(32), tuple(range(32))):
        stream["cpu.gpr"] = [0] * 32
        stream["cpu.gpr"] = values
        assert stream["cpu.gpr"] == list(range(32))


@pytest.mark.parametrize("seed", range(6))
def test_damaged_streams_are_read_in_every_form_without_a_bug(seed):
    chosen = random.Random(seed)
    data = bytearray(corpus.load("7.2-pseries-7.2"))
    for _ in range(20):
        data[chosen.randrange(8, len(data))] = chosen.randrange(256)
    with vmstate.open(data) as stream:
        for path in stream:
            stream.find(path)
            stream[path]
        stream.show()
        with vmstate.from_json(stream.to_json(), stream) as again:
            assert again.data == data
        vmstate.verify(stream)
