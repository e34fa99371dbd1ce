"""``vmstate convert``: what it prints, what it writes, and when it refuses to."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.machines import command
from vmstate.cli import main
from vmstate.conversion.change import Notice
from vmstate.conversion.mending import PSERIES
from vmstate.conversion.silent import STOPPED
from vmstate.describe.diagnostics import Diagnostic
from vmstate.qemu import QemuNotFound, find
from vmstate.simulate.migration import load, save

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "convert.md").read_text()
OLD, NEW = command("pseries-7.2"), command("pseries-7.2", "10.0.13")
#: Checks of hooks, which no diagnostic is named after, and one that QEMU does not make.
OF_HOOKS = {"machine-type", "capability", "pvr_match", "ppc_set_compat", STOPPED}


@pytest.fixture
def new(tmp_path, monkeypatch):
    """A stream of 10.0.13 that 7.2.22 refuses."""
    monkeypatch.chdir(tmp_path)
    Path("new.mig").write_bytes(save(NEW))
    return "new.mig"


def test_the_document_shows_what_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("guest.mig").write_bytes(save("qemu-10.0 -nodefaults -machine pseries-10.0 -m 256"))
    line, shown = re.search(r"```sh\n(.*?)\n```\n\n```text\n(.*?)```", DOCUMENT, re.DOTALL).groups()
    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out == shown


def test_the_document_has_every_rule_that_can_be_mended():
    assert set(
        re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\| (`.*?) \|", DOCUMENT, re.MULTILINE)))
    ) >= set(PSERIES)


def test_every_rule_in_the_table_is_that_of_a_check():
    def below(kind):
        return {kind.rule()}.union(*(below(one) for one in kind.__subclasses__()))

    assert set(PSERIES) - OF_HOOKS <= below(Diagnostic)


def test_the_converted_stream_is_written_in_its_containers_and_accepted(tmp_path, capsys):
    (tmp_path / "in.zst").write_bytes((corpus.STREAMS / "11.1-booted-power10.mig.zst").read_bytes())
    machine = "pseries-10.0,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
    to = f"qemu-10.0 -nodefaults -machine {machine} -cpu power10 -m 512"
    out = tmp_path / "out.zst"
    assert main(["convert", str(tmp_path / "in.zst"), "--to", to, "-o", str(out)]) == 0
    assert "accepted with these" in capsys.readouterr().out
    assert out.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert main(["load", str(out), "--on", to]) == 0


def test_a_stream_that_is_accepted_stays_as_it_is(new, capsys):
    assert main(["convert", new, "--to", NEW, "-o", "same.mig"]) == 0
    assert capsys.readouterr().out.startswith("accepted as it is\n")
    assert Path("same.mig").read_bytes() == Path(new).read_bytes()


def test_without_o_nothing_is_written(new):
    assert main(["convert", new, "--to", OLD]) == 0
    assert [path.name for path in Path().iterdir()] == [new]


@pytest.mark.parametrize("notice", list(Notice))
def test_nothing_is_done_beyond_what_the_guest_may_notice(notice, tmp_path, capsys):
    (tmp_path / "in.mig").write_bytes(save("qemu-10.0 -nodefaults -machine pseries-10.0 -m 256"))
    to = "qemu-7.2 -nodefaults -machine pseries-7.2 -m 256"
    main(["convert", str(tmp_path / "in.mig"), "--to", to, "--at-most", notice.word, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (notice is Notice.GUEST)
    made = [Notice[change["notice"].upper()] for change in answer["result"]["changes"]]
    assert all(one <= notice for one in made)
    if not answer["ok"]:
        assert f"more than --at-most {notice.word}" in answer["result"]["unmended"]


def test_what_no_change_mends_is_said_and_nothing_is_written(new, capsys):
    status = main(["convert", new, "--to", OLD.replace("-m 256", "-m 256 -device nonsense"), "-o", "out.mig"])
    assert status == 1
    shown = capsys.readouterr().out
    assert "no change of the stream mends this: the destination does not start" in shown
    assert not Path("out.mig").exists()


def test_a_processor_that_the_destination_lacks_is_not_left_out(tmp_path, capsys):
    (tmp_path / "in.mig").write_bytes(save(command("pseries-7.2,ic-mode=xics", rest="-m 256 -smp 2")))
    assert main(["convert", str(tmp_path / "in.mig"), "--to", command("pseries-7.2,ic-mode=xics")]) == 1
    assert "may not be left out: no guest goes on without it" in capsys.readouterr().out


def test_other_ports_and_vectors_of_a_device_are_mended_by_its_reset(tmp_path, capsys):
    """The check has lists of values here, not numbers."""
    ports = "-m 256 -device virtio-serial-pci,max_ports=1"
    (tmp_path / "in.mig").write_bytes(save(command("pseries-4.0", rest=ports)))
    to = command("pseries-4.0", rest=f"{ports},vectors=1")
    assert main(["convert", str(tmp_path / "in.mig"), "--to", to, "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["result"]["changes"]
    assert [change["what"].partition(" pci@")[0] for change in changes] == ["leave out the section"]


def test_a_destination_that_is_not_modelled_is_not_guessed(new, capsys):
    assert main(["convert", new, "--to", f"{OLD} -loadvm x", "-o", "out.mig"]) == 2
    assert "not modelled" in capsys.readouterr().err
    assert not Path("out.mig").exists()


def test_a_state_that_is_not_modelled_ends_the_conversion(tmp_path, capsys):
    """A recorded device judges no other state than the one that was recorded."""
    device = "-device dc390"
    stream = bytearray(save(command("pseries-7.2", rest=f"-m 256 {device}")))
    place = stream.index(b"pciespscsi") + 300
    stream[place] ^= 0xFF
    path = tmp_path / "in.mig"
    path.write_bytes(stream)
    to = command("pseries-6.2", rest=f"-m 256 {device}")
    assert main(["convert", str(path), "--to", to, "-o", str(tmp_path / "out.mig")]) == 2
    shown = capsys.readouterr()
    assert "cannot judge: what follows is not modelled: the machine type pseries-7.2 becomes" in shown.out
    assert "only its own code can judge it" in shown.err
    assert not (tmp_path / "out.mig").exists()


@pytest.mark.qemu
def test_a_real_qemu_loads_the_stream_before_and_after(new, capsys):
    try:
        program = find("7.2.22").path
    except QemuNotFound as error:
        pytest.skip(str(error))
    assert main(["convert", new, "--to", OLD, "--against", program, "-o", "out.mig"]) == 0
    assert "real QEMU 7.2.22, the stream as it was: reject, and changed: accept" in capsys.readouterr().out
    assert load(Path("out.mig").read_bytes(), OLD).outcome == "accept"
    assert main(["convert", new, "--to", NEW, "--against", program]) == 2
    assert "--against is QEMU 7.2.22, --to is QEMU 10.0.13" in capsys.readouterr().err


def test_the_document_has_every_guest_that_went_on():
    rows = [
        json.loads(line) for line in (ROOT / "fixtures/conversions/guests.jsonl").read_text().splitlines()
    ]
    table = DOCUMENT.partition("| from | to |")[2].partition("\n\n")[0]
    assert table.count("| yes") == len(rows)
    assert all(row["answers"] and row["after"] == "accept" for row in rows)
