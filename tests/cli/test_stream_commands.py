"""show, verify, edit, diff, strip: their output, the files that they write, and their exit status."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest

from tests.support import corpus
from vmstate.cli import main
from vmstate.containers import rewrap
from vmstate.containers.registry import layer
from vmstate.tree.as_json import from_json

NAME = "7.2-booted-power9-compat8"


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "one.mig"
    path.write_bytes(corpus.load(NAME))
    return str(path)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        status = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_show_prints_the_tree_with_readable_values(run, stream):
    status, out, _ = run("show", stream)
    assert status == 0
    assert "compat_pvr uint32" in out
    assert "(power8)" in out
    assert "power9_v2.0" in out
    assert "0 (broken)" in out


def test_show_of_a_path_shows_only_that(run, stream):
    status, out, _ = run("show", stream, "cpu[0]/compat.compat_pvr")
    assert (status, len(out.splitlines())) == (0, 1)


def test_show_of_a_missing_path_is_unusable_input_and_suggests_near_ones(run, stream):
    status, _, err = run("show", stream, "cpu[0].env.gpx")
    assert status == 2
    assert "env.gpr" in err


def test_show_json_gives_the_stream_back(run, stream):
    status, out, _ = run("show", "--json", stream)
    answer = json.loads(out)
    assert status == 0
    assert from_json(answer["result"], corpus.load(NAME)) == corpus.load(NAME)


def test_show_hex_names_bytes(run, stream):
    _, out, _ = run("show", "--hex", stream, "cpu/compat.compat_pvr")
    assert "0f 00 00 04" in out
    assert "cpu/compat.compat_pvr" in out


def test_verify_reports_fine_and_the_possible_releases(run, stream):
    status, out, _ = run("verify", stream)
    assert status == 0
    assert ": fine: " in out
    assert "7.2.0" in out


def test_verify_of_several_streams_is_as_bad_as_the_worst(run, stream, tmp_path):
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"this is no stream")
    assert run("verify", stream, nothing)[0] == 2
    cut = tmp_path / "cut"
    cut.write_bytes(corpus.load(NAME)[:100000])
    status, out, _ = run("verify", stream, cut)
    assert status == 1
    assert "stream.truncated" in out


def test_edit_writes_into_the_same_container(run, tmp_path):
    data = corpus.load("7.2-pseries-7.2")
    source, target = tmp_path / "in.zst", tmp_path / "out.zst"
    source.write_bytes(b"".join(rewrap([layer("zstd")], [data], len(data))))
    status, *_ = run("edit", source, "+cpu[0]/compat.compat_pvr=0x0f000004", "-o", target)
    assert status == 0
    assert target.read_bytes()[:4] == source.read_bytes()[:4]
    assert run("verify", target)[0] == 0
    status, out, _ = run("diff", source, target)
    assert (status, out.splitlines()) == (1, ["cpu/compat: only right"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["cpu.nip=1", "-o", "OUT"],
        ["-o", "OUT", "cpu.nip=1"],
        ["-o", "OUT", "--set", "cpu.nip=1"],
    ],
)
def test_changes_may_be_before_and_after_options(run, stream, tmp_path, arguments):
    target = tmp_path / "out"
    assert run("edit", stream, *[target if a == "OUT" else a for a in arguments])[0] == 0
    assert run("show", target, "cpu.nip")[1].split()[-1] == "1"


def test_an_impossible_edit_writes_nothing(run, stream, tmp_path):
    target = tmp_path / "out"
    status, _, err = run("edit", stream, "cpu.nip=green", "-o", target)
    assert status == 2
    assert "green" in err
    assert not target.exists()


def test_diff_of_equal_streams_is_silent(run, stream):
    assert run("diff", stream, stream)[:2] == (0, "")


def test_diff_as_json_has_both_values(run, stream, tmp_path):
    target = tmp_path / "out"
    run("edit", stream, "cpu.nip=1", "-o", target)
    status, out, _ = run("diff", "--json", stream, target)
    [one] = json.loads(out)["result"]["differences"]
    assert (status, one["path"], one["right"]) == (1, "cpu.env.nip", 1)
    assert run("diff", stream, target, "--ignore", "cpu.env.nip")[0] == 0


def test_strip_leaves_a_stream_that_verifies_and_differs_only_in_memory(run, tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(corpus.load("x86_64-pc-multi-iteration"))
    assert run("strip", source, "-o", target)[0] == 0
    assert run("verify", target)[0] == 0
    assert run("diff", source, target, "--ignore", "ram")[0] == 0


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_damaged_stream_is_shown_as_far_as_possible(run, tmp_path, command):
    path = tmp_path / "cut"
    path.write_bytes(corpus.load(NAME)[:-5000])
    status, out, _ = run(command, path)
    assert status == 1
    assert "at offset" in out


@pytest.fixture
def piped(monkeypatch):
    """Put bytes on a standard input that cannot seek."""

    def put(data):
        reading, writing = os.pipe()
        feeder = threading.Thread(target=_feed, args=(writing, data), daemon=True)
        feeder.start()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(os.fdopen(reading, "rb")))

    return put


def _feed(descriptor, data):
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def test_a_stream_from_a_pipe_is_verified_without_keeping_its_memory(run, piped):
    piped(corpus.load(NAME))
    status, out, _ = run("verify", "-")
    assert status == 0
    assert "ram.elided" in out


def test_a_stream_from_a_pipe_is_compared_with_its_memory(run, piped, stream):
    piped(corpus.load(NAME))
    assert run("diff", "-", stream)[:2] == (0, "")


def test_a_stream_from_a_pipe_is_edited_with_its_memory(run, piped, stream, tmp_path):
    piped(corpus.load(NAME))
    assert run("edit", "-", "cpu.nip=1", "-o", tmp_path / "out")[0] == 0
    _, out, _ = run("diff", stream, tmp_path / "out")
    assert out.splitlines() == ["cpu.env.nip: 805240848 (0x2fff0010) | 1"]
