"""docs/inspect.md: its commands print what it says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.example_folder import fill
from vmstate.cli import main

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "inspect.md").read_text()
SHOWN = [
    (line.removeprefix("$ vmstate "), output)
    for block in re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL)
    for line, output in re.findall(r"^(\$ vmstate [^\n]+)\n((?:(?!\$ )[^\n]+\n)*)", block, re.MULTILINE)
]
REFUSED = re.findall(r"^error: (guest\.mig: [^\n]+)$", DOCUMENT, re.MULTILINE)
WRONG = [
    *("show guest.mig cpu[7]", "show guest.mig cpu.npi", "show guest.mig spapr.compat_pvr"),
    "edit guest.mig cpu.gpr=1 -o out.mig",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    fill(tmp_path)
    for name in ("cortex-a57", "max"):
        shutil.copy(corpus.path(f"aarch64-virt-{name}"), tmp_path / f"{name}.mig")
    shutil.copy(corpus.path("x86_64-q35"), tmp_path / "q35.mig")
    shutil.copy(corpus.path("7.2-booted-virtio"), tmp_path / "booted.mig")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("line", "output"), SHOWN)
def test_a_command_prints_what_the_document_says(line, output, capsys):
    main(shlex.split(line))
    printed = capsys.readouterr().out
    if output.endswith("…\n"):
        assert [one for one in output.splitlines()[:-1] if one not in printed.splitlines()] == []
    else:
        assert printed == output


@pytest.mark.usefixtures("folder")
def test_what_is_refused_is_refused_in_these_words(capsys):
    said = []
    for line in WRONG:
        assert main(shlex.split(line)) == 2
        said.append(capsys.readouterr().err.removeprefix("error: ").rstrip("\n"))
    assert sorted(said) == sorted(REFUSED)


def test_the_document_has_examples():
    assert len(SHOWN) == 6
