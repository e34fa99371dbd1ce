"""Help: the overview, topics, and every command's examples, which parse, and run where no QEMU is needed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.example_folder import fill
from vmstate.cli import main
from vmstate.cli.commands import COMMANDS, Group
from vmstate.cli.help import topics
from vmstate.cli.parsers import command_parser

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [(name, says, line) for name in COMMANDS for says, line in command_parser(name).examples]
#: What needs a real QEMU or its program, an image, a KVM, or a folder that another example makes.
ELSEWHERE = re.compile(r"qemu-system-|qcow2|--probe|guest\.save|minimize|--scheduler|vmstate build")


@pytest.fixture
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that examples name."""
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_fits_in_80_columns(name, capsys, eighty_columns):
    parser = command_parser(name)
    assert any(line.startswith(f"vmstate {name}") for _, line in parser.examples)
    for says, _ in parser.examples:
        assert says[0].islower() or says[0].isupper()
        assert not says.endswith(".")
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize(("name", "says", "line"), EXAMPLES, ids=[line for *_, line in EXAMPLES])
def test_every_example_parses(name, says, line):
    words = shlex.split(line.partition(" > ")[0].partition(" < ")[0])
    assert words[0] == "vmstate"
    command_parser(words[1]).read(words[2:])


RUN = [
    line
    for name, _, line in EXAMPLES
    if COMMANDS[name].group is not Group.REAL and not ELSEWHERE.search(line)
]


@pytest.mark.parametrize("line", RUN)
def test_every_example_that_needs_no_qemu_runs(line, folder, capsys, monkeypatch):
    command, _, redirected = line.partition(" < ")
    words = shlex.split(command.partition(" > ")[0])[1:]
    if redirected:
        monkeypatch.setattr("sys.stdin", Path(redirected).open())  # noqa: SIM115 - as a shell opens it
    status = main(words)
    err = capsys.readouterr().err
    assert (status in (0, 1), "error: " in err) == (True, False), err


def test_the_overview_has_every_command_in_its_group(capsys, eighty_columns):
    for words in (["help"], ["--help"], []):
        assert main(words) == (0 if words else 2)
        out, err = capsys.readouterr()
        assert err == ""
        lines = out.splitlines()
        assert [line for line in lines if len(line) > 80] == []
        places = {group: lines.index(f"{group}:") for group in Group}
        assert sorted(places.values()) == list(places.values())
        for name, command in COMMANDS.items():
            (at,) = (place for place, line in enumerate(lines) if line.startswith(f"  {name} "))
            assert max((group for group in Group if places[group] < at), key=places.get) is command.group


def test_every_topic_is_listed_and_shown(capsys, eighty_columns):
    main(["help"])
    overview = capsys.readouterr().out
    wanted = {"paths", "command-lines", "hosts", "exit-status", "environment", "files", "options"}
    assert wanted <= topics().keys()
    for name, title in topics().items():
        assert f"  {name} " in overview
        assert title in overview
        assert main(["help", name]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"{name}: {title}")
        assert [line for line in text.splitlines() if len(line) > 80] == []


def test_commands_that_topics_show_parse(capsys):
    """Each line of a topic that begins with the command is one that parses."""
    shown = 0
    for name in topics():
        main(["help", name])
        text = capsys.readouterr().out.replace("\\\n", " ")
        for line in re.findall(r"^  (vmstate .*)$", text, re.MULTILINE):
            _, command, *words = shlex.split(line)
            command_parser(command).read(words)
            shown += 1
    assert shown >= 4


def test_every_variable_of_the_environment_is_in_its_topic(capsys):
    main(["help", "environment"])
    text = capsys.readouterr().out
    code = "".join(path.read_text() for path in (ROOT / "vmstate").rglob("*.py"))
    assert set(re.findall(r'"(VMSTATE_\w+)"', code)) == set(re.findall(r"VMSTATE_\w+", text))


def test_a_wrong_topic_is_answered_with_the_near_ones(capsys):
    assert main(["help", "path"]) == 2
    assert capsys.readouterr().err == "error: no command and no topic 'path'; did you mean paths?\n"


def test_options_of_one_name_mean_the_same():
    """--limit, --quiet, --jobs and others are declared alike in every command that has them."""
    kinds = {}
    for name in COMMANDS:
        for action in command_parser(name).options():
            for text in action.option_strings:
                kinds.setdefault(text, {}).setdefault((action.nargs, action.type, action.dest), []).append(
                    name
                )
    same = (
        "--limit",
        "--quiet",
        "--jobs",
        "--json",
        "--output",
        "--with",
        "--expect",
        "--junit",
        "--html",
        "-o",
    )
    assert {text: kinds[text] for text in same if len(kinds[text]) > 1} == {}
    assert set(next(iter(kinds["--quiet"].values()))) == set(COMMANDS)
