"""Tests that need no QEMU: parsing command lines and versions, finding programs, a missing ``qemu.qmp``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.errors import ConfigurationError
from vmstate.judge.recording import Recorder, edited
from vmstate.qemu import QemuCommand, QemuNotFound, find, find_all
from vmstate.qemu.binary import parse_version
from vmstate.qemu.replay import RealOutcome, RealVerdict

WORDS = st.lists(
    st.sampled_from(["-m", "256", "-S", "--incoming", "defer", "-nodefaults", "-daemonize", "x,y=1"])
)


@given(WORDS)
def test_a_driven_command_line_starts_paused_once_and_waits_only_if_asked(words):
    command = QemuCommand.parse(["qemu-system-ppc64", *words])
    argv = command.argv(qmp="/run/qmp", incoming=False)
    assert argv.count("-S") == 1
    assert not {"-incoming", "--incoming", "-daemonize"} & set(argv)
    assert command.argv(qmp="/run/qmp", incoming=True).count("-incoming") == 1


@given(WORDS)
def test_reading_a_command_line_again_changes_nothing(words):
    command = QemuCommand.parse(["qemu", *words])
    assert QemuCommand.parse([command.program, *command.arguments]) == command


def test_a_command_line_may_be_one_string():
    command = QemuCommand.parse("qemu-system-ppc64 -name 'a guest' -S -m 256")
    assert command.arguments == ("-name", "a guest", "-m", "256")


@pytest.mark.parametrize("command", ["", [], ["-m", "256"]])
def test_a_command_line_without_a_program_is_a_configuration_error(command):
    with pytest.raises(ConfigurationError, match="program"):
        QemuCommand.parse(command)


def test_the_users_display_is_kept():
    assert "-display" in QemuCommand.parse("qemu").argv(qmp="q", incoming=False)
    assert "-display" not in QemuCommand.parse("qemu -nographic").argv(qmp="q", incoming=False)


def test_a_comma_in_the_sockets_path_is_doubled():
    assert "unix:/a,,b" in QemuCommand.parse("qemu").argv(qmp="/a,b", incoming=False)


@pytest.mark.parametrize(
    ("line", "plain"),
    [
        ("qemu-system-ppc64: load of migration failed", "load of migration failed"),
        ("/usr/bin/qemu-system-ppc64: not so", "/usr/bin/qemu-system-ppc64: not so"),
        ("my-qemu: cannot", "cannot"),
        ("2026-01-02T03:04:05.678901Z qemu-system-ppc64: cannot", "cannot"),
        ("Use -machine help to list supported machines", "Use -machine help to list supported machines"),
        ("GLib: failed to allocate", "GLib: failed to allocate"),
        ("qemu-system-ppc64: -foo: invalid option", "-foo: invalid option"),
    ],
)
def test_only_the_programs_name_is_removed_from_a_line(line, plain):
    assert QemuCommand.parse("/opt/my-qemu").plain(line) == plain


@pytest.mark.parametrize(
    ("text", "release", "package"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright", "7.2.22", "Debian 1:7.2+dfsg-7"),
        ("QEMU emulator version 2.12.1 (v2.12.1-dirty)", "2.12.1", "v2.12.1-dirty"),
        ("QEMU emulator version 2.11.0(v2.11.0)", "2.11.0", ""),
        ("QEMU emulator version 3.1.1.1", "3.1.1.1", ""),
        ("QEMU emulator version 6.1.0\n", "6.1.0", ""),
    ],
)
def test_the_release_is_read_from_the_version(text, release, package):
    found = parse_version(text)
    assert found is not None
    assert (str(found[0]), found[1]) == (release, package)


def test_the_version_of_another_program_is_refused():
    assert parse_version("GNU ld 2.40") is None


def _fake(path, version):
    path.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version}'\n")
    path.chmod(0o755)


def test_qemus_are_found_by_path_and_by_the_variable_and_by_release(tmp_path, monkeypatch):
    first, more = tmp_path / "bin", tmp_path / "more"
    first.mkdir()
    more.mkdir()
    _fake(first / "qemu-system-ppc64", "7.2.22")
    _fake(more / "qemu-10.0", "10.0.13")
    _fake(more / "qemu-old", "2.9.1")
    (more / "qemu-readme.txt").write_text("not a program")
    monkeypatch.setenv("PATH", f"{first}:/usr/bin:/bin")
    monkeypatch.setenv("VMSTATE_QEMU", str(more))
    assert [str(binary.release) for binary in find_all()] == ["7.2.22", "10.0.13", "2.9.1"]
    assert str(find().release) == "7.2.22"
    assert str(find("10.0").release) == "10.0.13"
    with pytest.raises(QemuNotFound, match=r"of release 10\.0\.2; found: 7\.2\.22, 10\.0\.13, 2\.9\.1"):
        find("10.0.2")


def test_edits_apply_in_order_to_the_bytes_edited_so_far():
    assert edited(b"abcdef", [[0, "61", ""], [1, "", "2121"], [6, "66", "67"]]) == b"b!!cdeg"


def test_an_edit_of_other_bytes_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="offset 2"):
        edited(b"abcdef", [[2, "00", "01"]])


@pytest.mark.parametrize("row", [{}, {"destination": 5}, {"source": {"release": "9.9"}}])
def test_a_row_that_cannot_be_replayed_is_a_configuration_error(row):
    with pytest.raises(ConfigurationError):
        Recorder({}, lambda name: b"").record(row)


def test_a_verdict_is_recorded_in_the_form_of_the_recordings():
    assert RealVerdict(RealOutcome.CRASH, ("assertion",), -6).recorded() == {
        "verdict": "crash rc=-6",
        "stderr": ["assertion"],
    }
    assert RealVerdict(RealOutcome.DESTINATION_REFUSED, (), 1).recorded()["verdict"] == "refused-to-start"


def test_importing_the_package_and_this_part_imports_no_qmp():
    code = "import sys, vmstate, vmstate.qemu; sys.exit('qemu.qmp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_qmp_the_error_names_what_to_install():
    code = (
        "import sys; sys.modules['qemu.qmp'] = None\n"
        "from vmstate.qemu import QmpUnavailable, replay\n"
        "try: replay(b'QEVM', ['true'])\n"
        "except QmpUnavailable as error: sys.exit('qemu-vmstate[qemu]' not in str(error))\n"
        "sys.exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
