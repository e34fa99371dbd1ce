"""The logic of the lab (tools/kvm_lab), on recorded answers and verdicts: no host is booted."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from kvm_lab import outer, packages
from kvm_lab.guesses import DESTINATIONS, Guesses
from kvm_lab.initramfs import Entry, entries_of_modules, write_cpio
from kvm_lab.jobs import Jobs
from kvm_lab.kinds import KINDS, kind_of
from kvm_lab.packages import STABLE, MissingTool, Packages, Root
from kvm_lab.recorder import Recorder, read, without_zero_pages
from kvm_lab.results import Answer, compare, predicted, real, verdicts

from tests.support.recorded import VERDICTS, rows
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration
from vmstate.pseries.tables.accelerators import read_host
from vmstate.qemu.failures import QemuStalled

KVM = VERDICTS.parent / "kvm"
MANIFEST = read(KVM / "streams" / "manifest.jsonl")
#: Hosts on which guests start.
ABLE = [path for path in sorted((KVM / "hosts").glob("*.toml")) if read_host(path).creates_vm]
RELEASES = [CATALOGUE.release(text) for text in ("7.2", "10.0", "11.1")]


def jobs(name: str, release) -> list[dict]:
    made = Jobs(name, KINDS[name], release)
    return [*made.all(), *made.loads(MANIFEST)]


@pytest.mark.parametrize("release", RELEASES, ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_each_question_is_asked_once_of_machines_that_can_be_written(name, release):
    found = jobs(name, release)
    questions = [json.dumps({**row, "id": ""}) for row in found]
    assert len(set(questions)) == len(questions) > 200
    assert found[0]["keep"] == "base.mig"
    assert found[0]["source"] == found[0]["destination"]
    for row in found:
        for side in (row.get("source"), row.get("destination"), *row.get("destinations", ())):
            if side is not None:
                configuration(release, ["-nodefaults", *side], host=read_host(KVM / "hosts/p9-hv.toml"))


def test_every_capability_and_every_machine_type_is_asked():
    asked = json.dumps(jobs("p9-hv", RELEASES[-1]))
    binary = CATALOGUE.binary(RELEASES[-1])
    assert [name for name in (*binary.capability, *binary.machine_types) if name not in asked] == []


def test_an_option_that_is_asked_for_replaces_the_one_that_a_guest_needs():
    machine = Jobs("p9-hv", KINDS["p9-hv"], RELEASES[0]).machine(",cap-ibs=workaround")
    assert machine[1].count("cap-ibs") == 1


def test_a_stream_is_loaded_by_a_machine_as_it_was_saved_from():
    load = next(
        row for row in jobs("p8-pr", RELEASES[0]) if row.get("stream") == "x86-7.2-power9-compat8.mig"
    )
    words = load["destinations"][0][1].split(",")
    assert words[0] == "pseries-7.2"
    assert {"accel=kvm", "max-cpu-compat=power8", "cap-fwnmi=off"} < set(words)


@pytest.mark.parametrize("release", RELEASES, ids=str)
@pytest.mark.parametrize("path", ABLE, ids=lambda path: path.stem)
def test_a_real_hosts_guests_go_without_what_its_kvm_lacks_and_start(path, release):
    host = read_host(path)
    if host.family not in {cpu.family.name for cpu in CATALOGUE.binary(release).cpus.values()}:
        pytest.skip(f"{release} does not know {host.family}")
    guest = Jobs("mine", kind_of(host), release).machine()
    start = build(configuration(release, ["-nodefaults", *guest], host=host))
    assert start.machine is not None, start.messages


@pytest.mark.parametrize("release", RELEASES, ids=str)
@pytest.mark.parametrize("name", KINDS)
def test_random_groups_are_the_same_for_a_seed_and_can_be_written(name, release):
    found, again = (list(Guesses(7, KINDS[name], release).jobs(name, 6, MANIFEST)) for _ in range(2))
    assert found == again
    assert {row["op"] for row in found} == {"group"}
    assert sum("stream" in row for row in found) == 6
    for row in found:
        assert len(set(map(str, row["destinations"]))) == DESTINATIONS
        for side in (*row["destinations"], row.get("source", [])):
            configuration(release, ["-nodefaults", *side], host=read_host(KVM / "hosts/p9-hv.toml"))
    assert found != list(Guesses(8, KINDS[name], release).jobs(name, 6, MANIFEST))


PAIR = {"id": "one", "op": "pair", "source": ["-m", "256"], "destination": ["-m", "512"]}
LOAD = {"id": "two", "op": "load", "stream": "x86-2.12.mig", "destination": ["-m", "512"]}


class Played(Recorder):
    """A recorder whose jobs are not done, but answered."""

    def _do(self, job):
        if job["id"] == "stalled":
            raise QemuStalled("QEMU did not answer")
        return {"load": {"verdict": "accept", "stderr": [job["id"]]}}


def record(folder: Path) -> list[dict]:
    (folder / "answers.txt").write_text("")
    Played(folder, "qemu-system-ppc64").run()
    return read(folder / "results.jsonl")


def write(path: Path, *lines: dict) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_guest_that_ran_is_loaded_with_other_controllers_too():
    load = next(row for row in jobs("p9-nested", RELEASES[0]) if row.get("stream") == "p9-hv-booted-0.mig")
    machines = [words[1] for words in load["destinations"]]
    assert len(set(machines)) == len(machines) == 8
    assert sum(",ic-mode=dual,kernel-irqchip=on" in words for words in machines) == 1
    assert all(words[-2:] == ["-serial", "null"] for words in load["destinations"])  # as it was saved
    assert all(words.count("ic-mode") <= 1 for words in machines)


def test_what_was_answered_is_not_asked_again(tmp_path, capsys):
    write(tmp_path / "jobs.jsonl", PAIR)
    first = record(tmp_path)
    write(tmp_path / "jobs.jsonl", {**PAIR, "id": "renamed"}, LOAD, LOAD)
    assert [row["id"] for row in record(tmp_path)] == ["one", "two"]
    assert first[0]["load"]["stderr"] == ["one"]
    assert capsys.readouterr().out.startswith("one: ")


GROUP = {"id": "g", "op": "group", "source": ["-m", "256"], "destinations": [["-m", "512"], ["-m", "1G"]]}


def test_a_group_is_a_pair_for_each_destination_and_asks_none_again(tmp_path):
    load = {**GROUP, "id": "h", "stream": "x86-2.12.mig"}
    del load["source"]
    write(tmp_path / "jobs.jsonl", PAIR, GROUP, load)
    found = record(tmp_path)
    assert [row["id"] for row in found] == ["one", "g-1", "h-0", "h-1"]
    assert found[1] | {"seconds": 0} == {
        "id": "g-1",
        "op": "pair",
        "source": ["-m", "256"],
        "destination": ["-m", "1G"],
        "load": {"verdict": "accept", "stderr": ["g-1"]},
        "seconds": 0,
    }
    assert (found[2]["op"], found[2]["stream"]) == ("load", "x86-2.12.mig")


def test_a_group_whose_source_was_refused_goes_no_further(tmp_path):
    write(tmp_path / "jobs.jsonl", GROUP)
    refused = {**PAIR, "id": "g-0", "save": {"ok": False, "stderr": ["no"]}}
    write(tmp_path / "results.jsonl", refused)
    assert record(tmp_path) == [refused]


def test_a_stream_loses_its_pages_of_zeros_and_nothing_else():
    def page(address: int) -> bytes:
        return (address | 0x22).to_bytes(8, "big") + b"\0"

    kept = [b"begin", b"\x5a" * 4096, page(0) * 63, (0x5028).to_bytes(8, "big"), b"end"]
    run = b"".join(page(0x1000 * number) for number in range(100))
    assert without_zero_pages(kept[0] + run + b"".join(kept[1:])) == b"".join(kept)


def test_a_result_that_was_cut_short_is_asked_again(tmp_path):
    write(tmp_path / "jobs.jsonl", PAIR)
    record(tmp_path)
    results = tmp_path / "results.jsonl"
    results.write_text(results.read_text()[:-20] + "\n")
    assert [row["id"] for row in record(tmp_path)] == ["one"]


def test_a_stalled_host_gives_no_verdict(tmp_path):
    write(tmp_path / "jobs.jsonl", {**PAIR, "id": "stalled"}, LOAD)
    found = record(tmp_path)
    assert "did not answer" in found[0]["failed"]
    assert len(list(verdicts(found, "p9-hv", "7.2.22"))) == 1


def test_results_become_recorded_verdicts():
    saved = {
        "ok": True,
        "stderr": [],
        "guest": {"booted": True, "seconds": 50, "console": "cpu\t\t: POWER9\nx\n"},
    }
    accepted = {"verdict": "accept", "stderr": []}
    ran = {**PAIR, "until": "BOOTED", "keep": "b.mig", "save": saved, "load": accepted}
    load = {**LOAD, "load": accepted}
    machine = {"release": "7.2.22", "args": ["-m", "512"]}
    assert list(verdicts([ran, load], "p9-hv", "7.2.22")) == [
        {
            "host": "p9-hv",
            "guest": {"booted": True, "seconds": 50, "cpuinfo": ["cpu\t\t: POWER9"]},
            "stream": "b",
            "source": {**machine, "args": ["-m", "256"]},
            "save": {"ok": True, "stderr": []},
            "destination": machine,
            "load": accepted,
        },
        {"host": "p9-hv", "stream": "x86-2.12", "destination": machine, "load": accepted},
    ]


def test_predictions_are_compared_with_every_line():
    recorded = [row for row in rows("kvm") if row["host"] == "p9-nested"][::20]
    host = read_host(KVM / "hosts" / "p9-nested.toml")

    def predict(row):
        return predicted(row, host, KVM / "streams")

    agreed = compare(recorded, predict)
    assert agreed.asked == agreed.same == agreed.same_outcome > 4
    assert (agreed.false_accepts, agreed.not_modelled, agreed.different) == (0, 0, [])
    told = Answer("accept", (), ("another line",))
    rejected = next(row for row in recorded if real(row).outcome != "accept")
    wrong = compare([rejected], lambda row: told)
    assert (wrong.same_outcome, wrong.same, wrong.false_accepts) == (0, 0, 1)
    assert wrong.different == [(rejected, real(rejected), told)]


def test_a_host_on_the_machine_itself_keeps_the_default_devices_that_it_needs(tmp_path):
    bare = outer.command(KINDS["p9-hv"], tmp_path, Path("vmlinux"), Path("i.cpio"))
    guest = outer.command(KINDS["p8-pr"], tmp_path, Path("vmlinux"), Path("i.cpio"))
    assert "-nodefaults" not in bare
    assert "bus=pcie.0" in bare[-1]
    assert "-nodefaults" in guest
    assert "flavour=pr" in guest[guest.index("-append") + 1]


def test_the_recorder_needs_nothing_but_its_zip_file(tmp_path):
    pytest.importorskip("qemu.qmp")
    outer.write_recorder(tmp_path / "recorder.zip")
    words = [sys.executable, "-S", "-c", "import kvm_lab.recorder, sys; print(kvm_lab.recorder.__file__)"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "recorder.zip")}
    run = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "recorder.zip" in run.stdout


def unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read an archive in the format newc: mode and content of each file."""
    found: dict[str, tuple[int, bytes]] = {}
    place = 0
    while place < len(archive):
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        name_end = place + 110 + fields[11]
        start = (name_end + 3) & ~3
        name = archive[place + 110 : name_end - 1].decode()
        if name == "TRAILER!!!":
            break
        assert name not in found
        found[name] = fields[1], archive[start : start + fields[6]]
        place = (start + fields[6] + 3) & ~3
    return found


def test_an_archive_has_its_files_and_the_folders_that_hold_them():
    file = io.BytesIO()
    script = Entry("a/b/run", stat.S_IFREG | 0o755, b"12345")
    write_cpio(file, iter([script, Entry("a/c", stat.S_IFLNK | 0o777, b"b/run")]))
    found = unpacked(file.getvalue())
    assert list(found) == ["a", "a/b", "a/b/run", "a/c"]
    assert stat.S_ISDIR(found["a"][0])
    assert found["a/b/run"] == (stat.S_IFREG | 0o755, b"12345")


def test_modules_come_after_those_that_they_need(tmp_path):
    needs = {
        "9p": "fscache,9pnet",
        "fscache": "netfs",
        "netfs": "",
        "9pnet": "",
        "9pnet_virtio": "9pnet",
        "kvm-hv": "kvm",
        "kvm": "",
    }
    for name, depends in needs.items():
        (tmp_path / f"{name}.ko").write_bytes(b"\0depends=" + depends.encode() + b"\0")
    found = sorted(Path(entry.name).stem.partition("-")[2] for entry in entries_of_modules(tmp_path))
    order = [Path(entry.name).stem.partition("-")[2] for entry in entries_of_modules(tmp_path)]
    assert found == sorted(needs)
    for name, depends in needs.items():
        assert all(order.index(one) < order.index(name) for one in depends.split(",") if one)


def test_a_machine_that_is_not_debian_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "KEYRING", tmp_path / "missing")
    with pytest.raises(MissingTool, match="a Debian system"):
        Packages(tmp_path).root("x", Root(STABLE, "ppc64el", ("hello",)))


def test_the_command_needs_a_kind_of_host():
    tool = Path(__file__).resolve().parents[2] / "tools" / "kvm-lab"
    run = subprocess.run([sys.executable, str(tool)], capture_output=True, text=True, check=False)
    assert (run.returncode, "give a kind of host" in run.stderr) == (2, True)
