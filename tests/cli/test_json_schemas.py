"""``--json``: what every command writes fits the schema that is published for it, and numbers are numbers."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.support.example_folder import MACHINE, fill
from tests.support.qcow2_image import image
from vmstate.cli import main
from vmstate.cli.commands import COMMANDS, Group
from vmstate.qemu import QemuNotFound, find

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {path.name: json.loads(path.read_text()) for path in (ROOT / "vmstate/cli/schemas").glob("*.json")}
REGISTRY = Registry().with_resources(
    (name, Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
ELSEWHERE = "qemu-10.0 -nodefaults -machine pseries-7.2 -m 256"
WITH_JSON = [name for name, command in COMMANDS.items() if command.group is not Group.HELP]

#: Lines for each command: each form of its result, rejects, and what cannot be judged.
LINES = [
    "show guest.mig",
    "show guest.mig timer 'cpu*'",
    "show guest.mig --html page.html",
    "show other.mig --ram",
    "find guest.mig nip '*pvr*' ics ram",
    "find guest.mig nothing",
    "find guest.mig --value power8 --most 1",
    "verify guest.mig other.mig",
    "verify guest.log",
    "diff guest.mig other.mig",
    "diff guest.mig guest.mig",
    "snapshots disk.qcow2",
    "unwrap guest.mig -o bare.mig",
    "unwrap guest.mig",
    "edit guest.mig 'cpu.gpr[*]=7' --remove timer -o edited.mig",
    "strip guest.mig -o stripped.mig",
    "wrap bare.mig --as gzip -o bare.gz",
    "memory guest.mig",
    "memory guest.mig --at 0x100 --length 16",
    "memory guest.mig --find hex:0000",
    "memory guest.mig -o ram.raw",
    "build guest.json -o built.mig",
    f"convert guest.mig --to '{MACHINE}'",
    f"convert guest.mig --to '{ELSEWHERE}' -o converted.mig",
    f"convert guest.mig --to '{ELSEWHERE}' --at-most nothing",
    "convert guest.mig --to 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 512 -smp 3'",
    f"new '{MACHINE}' -o new.mig",
    "new 'qemu-7.2 -machine pseries-7.2,cap-htm=on' -o new.mig",
    f"load guest.mig --on '{MACHINE}' --trace",
    f"load guest.mig --on '{ELSEWHERE}' --expect accept",
    "load --batch rows.jsonl",
    f"migrate '{MACHINE}' '{ELSEWHERE}' --trace --explain",
    f"migrate '{MACHINE}' '{MACHINE}' --both-ways --expect reject",
    f"migrate '{MACHINE}' '{MACHINE} -device nonsense'",
    "migrate --batch rows.jsonl",
    "explain 'load of migration failed: Invalid argument'",
    "explain 'good morning'",
    "explain --bugs virtio",
    f"explain '{MACHINE}' '{ELSEWHERE}'",
    "matrix --releases 7.2,10.0 --machine pseries-7.2",
    "whatif mine.py --releases 7.2 --types pseries-7.2 --hosts tcg",
    "scenario --list",
    "scenario a20-pvr-or-compat-mode",
    "bump --old pseries@11.1 --draft release.py --machine pseries-11.1 --no-replays",
    "compare pseries@7.2 pseries@10.0",
    "lint pseries@11.1",
    "describe pseries@11.1",
    "fuzz --list",
    "fuzz --device ring.py --runs 50 --jobs 1 -o found",
    "releases",
    "releases 7.2",
    "machine",
    "machine pseries-7.2 --release 10.0",
    "device",
    "device cpu/compat --history",
    "capability",
    "capability cap-htm",
    "cpu",
    "cpu power9",
    "host",
    "host p9-hv",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("examples")
    fill(path)
    (path / "bare.mig").write_bytes((path / "guest.mig").read_bytes())
    (path / "disk.qcow2").write_bytes(image([b"QEVM" + bytes(100)]))
    return path


def answer_of(line, capsys):
    words = shlex.split(line)
    main([words[0], "--json", *words[1:]])
    out, err = capsys.readouterr()
    return json.loads(out or err)


def declared(schema):
    """The names that a schema has for the members of an object, in any of its forms."""
    if "$ref" in schema:
        name, _, place = schema["$ref"].partition("#/$defs/")
        return declared(SCHEMAS[name]["$defs"][place])
    names = set(schema.get("properties", ()))
    for form in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        names |= declared(form)
    return names


def check(answer):
    schema = SCHEMAS[f"{answer['command']}.json"]
    Draft202012Validator(schema, registry=REGISTRY).validate(answer)
    names = declared(schema["properties"]["result"])
    if names and isinstance(answer["result"], dict):
        assert set(answer["result"]) <= names
    assert set(answer) == set(schema["properties"])


@pytest.mark.parametrize("line", LINES)
def test_what_a_command_writes_fits_its_schema(line, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    answer = answer_of(line, capsys)
    check(answer)
    assert answer["command"] == shlex.split(line)[0]


@pytest.mark.parametrize("name", WITH_JSON)
def test_every_command_has_a_schema_and_a_line_here_or_needs_a_real_qemu(name):
    schema = SCHEMAS[f"{name}.json"]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"{name}.json"
    assert schema["properties"]["command"] == {"const": name}
    needs_qemu = COMMANDS[name].group is Group.REAL or name in ("minimize", "record", "record-device")
    assert needs_qemu or any(line.split()[0] == name for line in LINES)


def test_there_is_no_schema_of_a_command_that_is_gone():
    assert {name.removesuffix(".json") for name in SCHEMAS} == {*WITH_JSON, "common"}


@pytest.mark.parametrize(
    "line", ["show nothing.mig", f"migrate '{MACHINE}' 'qemu-7.2 -loadvm x'", "releases 1.0"]
)
def test_an_error_has_the_same_shape(line, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    answer = answer_of(line, capsys)
    check(answer)
    assert not answer["ok"]
    assert answer["findings"]


def test_no_number_is_written_as_text(folder, capsys, monkeypatch):
    """A value that reads as a number is one, wherever it is not what somebody typed or QEMU prints."""
    monkeypatch.chdir(folder)
    typed = {"changes", "messages", "source_messages", "message", "release", "line", "values", "meaning"}
    typed |= {"since", "offered_by", "deprecated_since", "removed_in", "left_text", "right_text"}
    typed |= {"incoming_text", "local_text", "releases", "fixed_in", "name", "fix", "compat"}
    for line in LINES:
        if line.split()[0] in ("show", "find", "verify", "diff", "edit", "new", "load", "migrate", "machine"):
            found = [pair for pair in _texts(answer_of(line, capsys), "") if pair[0] not in typed]
            assert [pair for pair in found if re.fullmatch(r"-?\d+|0x[0-9a-f]+( \(.*\))?", pair[1])] == []


def _texts(value, key):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str):
        yield key, value


def test_integers_of_64_bits_are_exact(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert main(["edit", "guest.mig", "cpu.nip=0xfedcba9876543211", "-o", "high.mig"]) == 0
    capsys.readouterr()
    assert answer_of("find high.mig nip", capsys)["result"]["found"][0]["value"] == 0xFEDCBA9876543211
    [one] = answer_of("diff guest.mig high.mig", capsys)["result"]["differences"]
    assert (one["left"], one["right"]) == (0x100, 0xFEDCBA9876543211)
    assert one["right_text"] == "0xfedcba9876543211"


def test_the_document_has_every_schema(folder):
    text = (ROOT / "docs" / "json.md").read_text()
    for name in SCHEMAS:
        assert f"`{name}`" in text


@pytest.mark.qemu
@pytest.mark.parametrize(
    "words", ["capture -o a.mig", "replay guest.mig", "record -o kept --machine pseries-7.2"]
)
def test_what_commands_with_a_real_qemu_write_fits(words, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    try:
        binary = find("7.2.22")
    except QemuNotFound as error:
        pytest.skip(str(error))
    machine = "" if "record" in words else "-nodefaults -machine pseries-7.2,max-cpu-compat=power8 -m 256"
    answer = answer_of(f"{words} -- {binary.path} {machine}", capsys)
    check(answer)
    assert answer["result"] is not None
