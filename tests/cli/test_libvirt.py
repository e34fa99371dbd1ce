"""``vmstate migrate --libvirt``: the last command line of libvirt's logs."""

from __future__ import annotations

import pytest

from tests.support.libvirt_lines import FOLDER, NOT_SIMULATED, command_lines, log
from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.startup.libvirt_log import last_start

LINES = command_lines()
ANSWERED = [name for name in LINES if name not in NOT_SIMULATED]


def migrate(capsys, *words) -> tuple[int, str, str]:
    status = main(["migrate", "--libvirt", *map(str, words)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_there_are_thirty_command_lines_ten_of_them_logs():
    logs = list(FOLDER.glob("*.log"))
    assert len(logs) == 10
    assert len(LINES) + len(logs) >= 30


@pytest.mark.parametrize("name", ANSWERED)
def test_a_guest_of_libvirt_migrates_to_itself(capsys, name):
    status, out, _ = migrate(capsys, FOLDER / f"{name}.args", "--release", "7.2")
    assert (status, out.splitlines()[1]) == (0, "accepted")


@pytest.mark.parametrize(("name", "driver"), NOT_SIMULATED.items())
def test_a_device_that_is_not_simulated_is_named(capsys, name, driver):
    status, _, err = migrate(capsys, FOLDER / f"{name}.args", "--release", "7.2")
    assert status == 2
    assert f"{driver} is not modelled" in err


@pytest.mark.parametrize(
    "name", ["running", "stopped", "started-twice", "cut-off", "migrated-in", "real-guest"]
)
def test_a_log_gives_the_command_line_and_the_release(capsys, name):
    status, out, _ = migrate(capsys, log(name))
    first, outcome, *_ = out.splitlines()
    assert (status, outcome) == (0, "accepted")
    assert first.startswith("qemu-7.2.22 ")


def test_the_last_complete_start_counts():
    assert "size=2097152k" in last_start(log("started-twice").read_text()).command
    cut_off = last_start(log("cut-off").read_text())
    assert (cut_off.release, "size=1048576k" in cut_off.command) == ("7.2.22", True)
    assert last_start(log("upgraded").read_text()).release == "10.0.2"


def test_a_newer_qemu_on_the_other_host(capsys):
    status, out, _ = migrate(capsys, log("running"), log("upgraded"))
    assert "  →  qemu-10.0.2 " in out.splitlines()[0]
    assert "pvr_match" in out  # POWER9 is another model there
    assert status == 1


def test_an_old_log_has_all_words_in_one_line(capsys):
    status, out, _ = migrate(capsys, log("one-line"))
    assert out.splitlines()[0].startswith(
        "qemu-2.11.1 -name guest=guest,debug-threads=on -S -machine pseries-2.7"
    )
    assert "No Transactional Memory support in TCG" in out
    assert status == 1


def test_a_log_without_the_release_needs_it(capsys):
    status, _, err = migrate(capsys, log("without-release"))
    assert status == 2
    assert "the release of /usr/bin/qemu-system-ppc64 is not known: give --release" in err
    assert migrate(capsys, log("without-release"), "--release", "2.9,5.2")[1].count("qemu-5.2.0") == 1


def test_a_log_of_kvm_needs_its_host(capsys):
    status, _, err = migrate(capsys, log("kvm"))
    assert (status, "give its host with --host" in err) == (2, True)
    status, out, _ = migrate(capsys, log("kvm"), "--host", "p9-hv")
    assert (status, out.splitlines()[1]) == (0, "accepted")


def test_a_domain_xml_is_a_job_of_virsh(capsys, tmp_path):
    (tmp_path / "guest.xml").write_text("<domain type='kvm'><name>guest</name></domain>\n")
    status, _, err = migrate(capsys, tmp_path / "guest.xml")
    assert (status, "virsh domxml-to-native qemu-argv" in err) == (2, True)


@pytest.mark.parametrize(
    "text", ["", "nothing\nof the kind\n", "LC_ALL=C \\\n/usr/bin/qemu-system-ppc64 \\\n-m 1 \\"]
)
def test_a_text_without_a_command_line_is_an_error(text):
    with pytest.raises(ConfigurationError, match="no command line of QEMU"):
        last_start(text)


def test_a_command_line_may_have_an_environment_and_line_ends():
    made = parse("LC_ALL=C A='b c' \\\n/usr/bin/qemu-system-ppc64 \\\n-m 256 \\\n-nodefaults", release="7.2")
    assert made.text == "qemu-7.2.22 -m 256 -nodefaults"
    with pytest.raises(ConfigurationError, match="give --release"):
        parse("/usr/libexec/qemu-kvm -m 256")
    with pytest.raises(ConfigurationError, match="only pseries is simulated"):
        parse("qemu-system-x86_64 -m 256", release="7.2")


def test_a_command_line_that_is_shown_can_be_given_again():
    first = parse(LINES["everything"], release="7.2")
    assert parse(first.text) == first


def test_the_release_is_for_both_command_lines(capsys):
    line = "/usr/bin/qemu-system-ppc64 -nodefaults -m 256"
    assert main(["migrate", "--release", "7.2,7.1", line, f"{line} -machine pseries-7.1"]) == 1
    assert "qemu-7.2.22 -nodefaults -m 256  →  qemu-7.1.0 " in capsys.readouterr().out
