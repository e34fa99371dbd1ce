"""``vmstate describe``: a summary, descriptions by name, a schema, a check against streams."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.support import corpus
from tests.support.elf_builder import SHAPES, program
from tests.support.schemas import plain, real_schema
from vmstate.cli import main
from vmstate.front.schemas import schema_of
from vmstate.schema import schema_from_json


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "qemu-system-ppc64"
    path.write_bytes(program(real_schema("7.2"), SHAPES["7.2"]))
    return str(path)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("stream") / "guest.mig"
    path.write_bytes(corpus.load("7.2-pseries-7.2"))
    return str(path)


def test_the_summary_counts_and_lists(binary, capsys):
    assert main(["describe", binary]) == 0
    out = capsys.readouterr().out
    assert out.startswith("qemu-system-ppc64 for x86_64 hosts\n")
    assert "a VMStateField               104 bytes" in out
    assert "a VMStateDescription         88 bytes, 6 hooks" in out
    assert " spapr_pci " in out


def test_a_description_is_shown_with_its_place_in_memory(binary, capsys):
    assert main(["describe", binary, "spapr_pci/msi", "cpu/tm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "spapr_pci/msi  version 1, a struct of 12 bytes"
    assert lines[1].split() == ["key", "uint32", "at", "0"]
    assert lines[4] == "cpu/tm  version 1, sent if needed"
    assert lines[6].split() == ["env.tm_vsr", "avr[64]", "at", "93680", "16", "bytes", "each"]


def test_an_unknown_name_is_an_error_with_similar_ones(binary, capsys):
    assert main(["describe", binary, "spapr_pcj"]) == 2
    assert "similar names: spapr_pci" in capsys.readouterr().err


def test_the_schema_is_written_and_read_again(binary, tmp_path, capsys):
    out = tmp_path / "schema.json"
    assert main(["describe", binary, "-o", str(out)]) == 0
    assert plain(schema_of(str(out))) == plain(schema_of(binary)) == plain(real_schema("7.2"))
    capsys.readouterr()
    assert main(["describe", "--json", binary, "timebase"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["host"] == "x86_64"
    assert list(schema_from_json(json.dumps(result["schema"])).descriptions) == ["timebase"]


def test_a_stream_is_compared(binary, stream, tmp_path, capsys):
    assert main(["describe", binary, "--check", stream]) == 0
    assert "17 sections  17 described alike" in capsys.readouterr().out
    other = tmp_path / "qemu-system-ppc64"
    other.write_bytes(program(real_schema("5.2"), SHAPES["5.2"]))
    assert main(["describe", str(other), "--check", stream]) == 1
    out = capsys.readouterr().out
    assert "error describe.differs" in out
    assert "differs" in out


def test_without_pyelftools_it_says_what_to_install(binary, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "elftools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "elftools", None)
    assert main(["describe", binary]) == 2
    assert "pip install 'qemu-vmstate[describe]'" in capsys.readouterr().err


def test_what_is_not_a_file_is_refused_at_once(tmp_path, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert main(["describe", str(pipe)]) == 2
    assert main(["describe", str(tmp_path)]) == 2
    assert main(["describe", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("error: ") == 3


def test_modules_are_files_or_folders_of_them(binary, tmp_path, capsys):
    (tmp_path / "one.so").write_bytes(b"\x7fELF")
    assert main(["describe", binary, "-m", str(tmp_path)]) == 2
    assert "one.so: not a readable ELF file" in capsys.readouterr().err
