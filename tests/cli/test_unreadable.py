"""Inputs that no parser can take, and numbers that no command can use: errors, not bugs."""

from __future__ import annotations

import pytest

from tests.support import corpus
from vmstate.cli import main

STREAM = str(corpus.path("7.2-pseries-7.2"))
DEEP = {"deep.json": "[" * 100_000 + "]" * 100_000, "deep.toml": "a=" + "[" * 100_000 + "]" * 100_000}


@pytest.mark.parametrize(
    "words",
    [
        ["build", "deep.json", "-o", "out"],
        ["scenario", "deep.toml"],
        ["host", "deep.toml"],
        ["minimize", "deep.json"],
        ["compare", "deep.json", "deep.json"],
        ["show", "deep.json"],
        ["replay", "--corpus", ".", "--", "qemu-system-ppc64"],
    ],
)
def test_a_document_nested_without_end_is_an_error(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in DEEP.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "deep.jsonl").write_text(DEEP["deep.json"])
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("command", ["migrate", "load"])
def test_a_batch_of_bytes_and_of_deep_rows_has_an_error_for_each_row(command, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"stream": "\xff"}\n{"source": ' + DEEP["deep.json"].encode() + b"}\n")
    assert main([command, "--batch", str(rows)]) == 2
    assert capsys.readouterr().out.count('"error"') == 2


@pytest.mark.parametrize(
    "words",
    [
        ["matrix", "--jobs", "0"],
        ["fuzz", STREAM, "--jobs", "-1"],
        ["fuzz", STREAM, "--runs", "-1"],
        ["find", STREAM, "nip", "--most", "-1"],
        ["show", STREAM, "--depth", "many"],
    ],
)
def test_a_number_that_is_none_is_named(words, capsys):
    assert main(words) == 2
    assert f"{words[-1]!r} is not a number from" in capsys.readouterr().err
