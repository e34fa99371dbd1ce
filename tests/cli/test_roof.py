"""The frame of all commands: exit statuses, the JSON shape, output streams, interruptions."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from vmstate import cli
from vmstate.cli import terminal
from vmstate.cli.commands import COMMANDS, Group, Subcommand
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, progress
from vmstate.errors import Finding, Severity, Truncated

WARNING = Finding("some.rule", Severity.WARNING, "odd")
INFO = Finding("some.rule", Severity.INFO, "by the way")


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command made of one function: (status, standard output, standard error)."""

    def caller(run, *arguments):
        module = types.ModuleType("test_command")
        module.configure = lambda parser: parser.add_argument("--flag", action="store_true")
        module.run = run
        monkeypatch.setitem(sys.modules, "test_command", module)
        monkeypatch.setitem(COMMANDS, "try", Subcommand("test_command", "try something", Group.READ))
        status = cli.main(["try", *arguments])
        return int(status), *capsys.readouterr()

    return caller


def raising(error):
    def run(options):
        raise error

    return run


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (Report(["text"]), 0),
        (Report(["text"], findings=[INFO]), 0),
        (Report(["text"], findings=[INFO, WARNING]), 1),
        (Report(["text"], ok=False), 1),
        (Report(["text"], findings=[WARNING], ok=True), 0),
        (Report(["text"], unusable=True), 2),
    ],
)
def test_exit_status_distinguishes_success_findings_and_unusable(call, report, status):
    assert call(lambda options: report)[0] == status


@pytest.mark.parametrize("error", [Truncated(8, 3, offset=5), FileNotFoundError(2, "No such file", "x.mig")])
def test_unusable_input_is_reported_on_stderr_without_a_traceback(call, error):
    status, out, err = call(raising(error))
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert "error." not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["empty", "qcow", "notes"])
@pytest.mark.parametrize(
    "words", [["show"], ["verify"], ["strip", "-o", "out"], ["diff", "notes"], ["show", "--quiet"]]
)
def test_an_error_begins_with_the_file_that_it_is_about(tmp_path, monkeypatch, capsys, name, words):
    monkeypatch.chdir(tmp_path)
    for one, data in (("empty", b""), ("qcow", b"QFI\xfb\0\0\0\3"), ("notes", b"some text, no stream")):
        (tmp_path / one).write_bytes(data)
    assert cli.main([*words, name]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: notes: " if words[0] == "diff" else f"error: {name}: "), err


def test_a_bug_is_reported_as_one_with_the_traceback(call):
    status, out, err = call(raising(KeyError("x")))
    assert (status, out) == (3, "")
    assert "Traceback" in err
    assert "this is a bug in vmstate" in err


def test_every_json_result_has_the_same_shape(call):
    report = Report(["text"], result=lambda: {"bytes": b"\1\2", "n": 2**70}, findings=[WARNING])
    status, out, err = call(lambda options: report, "--json")
    finding = {"rule": "some.rule", "severity": "warning", "message": "odd"}
    result = {"bytes": "0102", "n": 2**70}
    assert json.loads(out) == {"command": "try", "ok": False, "findings": [finding], "result": result}
    assert (status, err) == (1, "")


def test_unusable_input_has_that_shape_too(call):
    status, out, _ = call(raising(Truncated(8, 3, offset=5)), "--json")
    answer = json.loads(out)
    assert (status, answer["ok"], answer["result"]) == (2, False, None)
    assert answer["findings"][0]["rule"] == "error.truncated"
    assert answer["findings"][0]["offset"] == 5


def test_an_error_while_lines_are_generated_is_unusable_input(call):
    def lines():
        yield "first"
        raise Truncated(8, 3)

    status, out, err = call(lambda options: Report(lines()))
    assert (status, out) == (2, "first\n")
    assert "requested 8 bytes" in err


def test_the_report_goes_to_stderr_when_stdout_has_a_stream(call):
    status, out, err = call(lambda options: Report(["text"], findings=[WARNING], output_taken=True))
    assert (status, out) == (1, "")
    assert err.splitlines()[0] == "text"


def test_interruption_has_the_shells_status(call):
    assert call(raising(KeyboardInterrupt()))[0] == 130


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_not_reported_as_an_error(tmp_path, unbuffered):
    (tmp_path / "stream").write_bytes(b"QEVM")
    process = subprocess.Popen(
        [sys.executable, "-m", "vmstate", "unwrap", str(tmp_path / "stream")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(), errors) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_not_reported_as_a_bug(tmp_path):
    (tmp_path / "stream").write_bytes(b"QEVM")
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "vmstate", "unwrap", str(tmp_path / "stream")]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_is_unusable_and_help_succeeds(call, capsys):
    assert call(lambda options: Report(), "--wrong")[0] == 2
    assert cli.main([]) == 2
    assert cli.main(["--help"]) == 0
    assert cli.main(["try", "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_help_imports_no_command_and_nothing_heavy():
    script = (
        "import sys; from vmstate.cli import main; main(['--help']);"
        "print([m for m in ('numpy', 'construct', 'bitstring', 'vmstate.stream') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_can_be_configured(capsys):
    for name, command in COMMANDS.items():
        assert cli.main([name, "--help"]) == 0
        assert command.summary.split()[0] in capsys.readouterr().out


def in_a_terminal(script, **environment):
    """The output of a script to a terminal that is both its standard output and error."""
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal available: {error}")
    env = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=theirs, env=env):
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 1000):
                text += piece
        except OSError:  # the terminal is closed at the other end
            pass
    os.close(ours)
    return text.decode()


STYLED = "import sys; from vmstate.cli.terminal import Style; print(Style.of(sys.stdout).paint('red', 'x'))"


def test_colour_only_on_a_terminal_that_supports_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert in_a_terminal(STYLED) == "\x1b[31mx\x1b[0m\r\n"
    assert in_a_terminal(STYLED, NO_COLOR="1") == "x\r\n"
    assert in_a_terminal(STYLED, TERM="dumb") == "x\r\n"
    assert Style.of(sys.stdout).paint("red", "x") == "x"


def test_progress_only_on_a_terminal_and_after_a_while(capsys):
    with progress("reading", 10) as tick:
        tick(5)
    assert capsys.readouterr() == ("", "")
    script = (
        "import vmstate.cli.terminal as t; t.PATIENCE = {patience}\n"
        "with t.progress('reading', 10) as tick: tick(5)\n"
    )
    assert in_a_terminal(script.format(patience=60)) == ""
    assert in_a_terminal(script.format(patience=-1)) == "\rreading  50 %\x1b[K\r\x1b[K"


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "LINES_EVERY", -1)
    monkeypatch.setattr(terminal, "SETTLED", -1)
    with progress("reading", 10) as tick:
        tick(5)
        tick(10)
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"reading  50 %, \d+ s left", first)
    assert second == "reading 100 %"


def test_quiet_prints_neither_lines_nor_progress(call, monkeypatch):
    monkeypatch.setattr(terminal, "LINES_EVERY", -1)

    def run(options):
        with progress("reading", 10) as tick:
            tick(5)
        terminal.note("by the way")
        return Report(["text"], findings=[INFO, WARNING])

    status, out, err = call(run, "--quiet")
    assert (status, out, err) == (1, "warning some.rule: odd\n", "")
    status, out, err = call(run)
    assert (status, out.splitlines()[0], "by the way" in err) == (1, "text", True)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [(100, ""), (1_000_000, "1,000,000 pairs to judge on 2 processes: 17 min or more; less\n")],
)
def test_long_work_is_announced(capsys, pairs, said):
    terminal.announce_pairs(pairs, 2, "less")
    assert capsys.readouterr().err == said
