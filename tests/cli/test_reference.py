"""Man pages, completions and the page of commands are made of the parsers, are current, and work."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import reference
from vmstate.cli import main
from vmstate.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
FILES = reference.files()
MANUALS = sorted(name for name in FILES if name.endswith(".1"))


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, check=False, **more)


def needed(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def test_every_file_is_current():
    """``python -m tests.support.reference`` writes them."""
    stale = [name for name, text in FILES.items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert stale == []


def test_no_file_is_left_of_a_command_that_went():
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "share").rglob("*") if path.is_file()}
    assert found == {name for name in FILES if name.startswith("share/")}


@pytest.mark.parametrize("shell", reference.COMPLETIONS)
def test_the_command_prints_what_is_installed(shell, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == FILES[reference.COMPLETIONS[shell]]


BASH = """\
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_vmstate
printf '%s\\n' "${COMPREPLY[@]}"
"""


@needed("bash")
@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["sh"], ["show"]),
        ([""], [*COMMANDS, "--help", "--version"]),
        (["show", "--h"], ["--help", "--hex", "--html"]),
        (["show", "gue"], ["guest.mig"]),
        (["show", "guest.mig", "--html", "gue"], ["guest.mig"]),
        (["show", "--depth", ""], []),
        (["matrix", "--ways", ""], ["both", "forward", "backward"]),
        (["matrix", "--ways", "=", "f"], ["forward"]),
        (["wrap", "x", "--as", "zs"], ["zstd"]),
        (["machine", "pseries-7"], ["pseries-7.0", "pseries-7.1", "pseries-7.2"]),
        (["help", "exit"], ["exit-status"]),
        (["--json", "sh"], ["show"]),
        (["capture", "-o", "out", "--", "gue"], ["guest.mig"]),
    ],
    ids=" ".join,
)
def test_bash_completes(words, some, tmp_path):
    (tmp_path / "guest.mig").touch()
    script = str(ROOT / reference.COMPLETIONS["bash"])
    done = run("bash", "-c", BASH, "bash", script, "vmstate", *words, cwd=tmp_path)
    assert done.stderr == ""
    assert sorted(done.stdout.split()) == sorted(some)


@needed("fish")
@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("vmstate sho", ["show"]),
        ("vmstate show --he", ["--help", "--hex"]),
        ("vmstate matrix --ways f", ["forward"]),
    ],
)
def test_fish_completes(line, some, tmp_path):
    script = ROOT / reference.COMPLETIONS["fish"]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = run("fish", "-c", f"source {script}; complete -C '{line}'", cwd=tmp_path, env=environment)
    assert done.stderr == ""
    assert sorted(one.split("\t")[0] for one in done.stdout.splitlines()) == sorted(some)


ZSH = """\
PS1= PS2=; unsetopt prompt_cr prompt_sp; fpath=({folder} $fpath)
autoload -Uz compinit; compinit -u -d {dump}
vmstate() {{ print -r -- "called: $*"; exit }}
print rea''dy
"""


def typed_in_zsh(line, folder, dump):
    """What the command is called with if this line is typed, and the tabulator in it pressed."""
    ours, theirs = pty.openpty()
    words = ["timeout", "-s", "KILL", "60", "zsh", "-f", "-i"]
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True):
        os.close(theirs)
        os.write(ours, ZSH.format(folder=folder, dump=dump).encode())
        text = b""
        try:
            while piece := os.read(ours, 1000):
                before, text = text, text + piece
                if b"ready" in text and b"ready" not in before:
                    os.write(ours, f"{line}\n".encode())
        except OSError:  # the shell has ended
            pass
    os.close(ours)
    return text.decode().rpartition("called: ")[2].strip()


@needed("zsh")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("vmstate sho\t", "show"),
        ("vmstate matrix --ways for\t", "matrix --ways forward"),
        ("vmstate show --he\tx", "show --hex"),
    ],
)
def test_zsh_completes(line, wanted, tmp_path):
    folder = (ROOT / reference.COMPLETIONS["zsh"]).parent
    assert typed_in_zsh(line, folder, tmp_path / "dump") == wanted


@needed("mandoc")
def test_mandoc_accepts_the_manual_pages():
    done = run("mandoc", "-T", "lint", "-W", "warning", *(str(ROOT / name) for name in MANUALS))
    wrong = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert wrong == []


@needed("groff")
@pytest.mark.parametrize("name", MANUALS)
def test_a_manual_page_is_shown(name):
    done = run("groff", "-k", "-man", "-Tutf8", "-ww", "-P-cbou", str(ROOT / name))
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout.replace("\u2010", "-").replace("\u2212", "-")
    command = Path(name).stem
    assert command.upper() in text
    for title in ("NAME", "SYNOPSIS"):
        assert title in text
    if command != "vmstate":
        assert "EXAMPLES" in text
        assert f"vmstate {command.removeprefix('vmstate-')}" in text


def test_every_file_is_installed_by_the_wheel(site):
    for name, text in FILES.items():
        if name.startswith("share/"):
            assert (site / name).read_text(encoding="utf-8") == text
