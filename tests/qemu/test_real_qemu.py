"""Capture and replay with a real QEMU."""

from __future__ import annotations

import asyncio
import subprocess
from shutil import which

import pytest

import vmstate
from vmstate.cli import main
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, OutputError, Truncated
from vmstate.judge.recording import Recorder
from vmstate.qemu import (
    QemuNotFound,
    QemuRefused,
    QemuStalled,
    QmpRefused,
    Session,
    capture,
    find_all,
    identify,
    prompt,
    replay,
)
from vmstate.qemu.command_line import QemuCommand
from vmstate.stream.opening import open_source

pytestmark = pytest.mark.qemu


def test_a_machine_accepts_its_own_stream(machine, saved):
    verdict = replay(saved, machine)
    assert (verdict.outcome, verdict.messages, verdict.returncode) == ("accept", (), 0)


def test_a_captured_stream_is_whole(saved):
    data = saved.read_bytes()
    assert data[:8] == b"QEVM\0\0\0\3"
    assert data.endswith(b"}")  # the vmdescription


def test_a_stream_may_be_given_as_bytes(machine, saved):
    assert replay(saved.read_bytes(), machine).outcome == "accept"


def test_a_rejection_has_qemus_lines_without_its_name(machine, saved):
    verdict = replay(saved, [*machine[:-1], "512"])
    assert verdict.outcome == "reject"
    assert verdict.returncode == 1
    assert "ppc_spapr.ram: 0x10000000 " in verdict.messages[0]
    assert verdict.messages[-1].startswith("load of migration failed: Invalid argument")


@pytest.mark.parametrize("more", [[], ["-m", "512"], ["-machine", "pseries-0.1"], ["-smp", "2"]])
def test_a_qemu_that_is_not_polled_says_the_same(machine, saved, more):
    command = QemuCommand.parse([*machine, *more])
    release = identify(machine[0]).release
    assert prompt.load(command, saved, release, timeout=60) == replay(saved, command)


def test_a_stream_saved_without_polling_is_whole(machine, saved, tmp_path):
    done = prompt.save(QemuCommand.parse(machine), tmp_path / "stream", timeout=60)
    assert done == prompt.Saved("", ())
    assert (tmp_path / "stream").stat().st_size == saved.stat().st_size
    assert replay(tmp_path / "stream", machine).outcome == "accept"


def test_a_save_that_is_refused_leaves_no_stream_and_says_why(machine, tmp_path):
    shared = ["-object", "memory-backend-ram,id=m,size=1M,share=on", "-device", "ivshmem-plain,memdev=m"]
    blocked = prompt.save(QemuCommand.parse([*machine, *shared]), tmp_path / "stream", timeout=60)
    assert "ivshmem" in blocked.reason
    wrong = QemuCommand.parse([*machine, "-machine", "pseries-0.1"])
    assert "ended (status 1)" in prompt.save(wrong, tmp_path / "stream", timeout=60).reason
    assert not (tmp_path / "stream").exists()
    with pytest.raises(QemuNotFound):
        prompt.save(QemuCommand.parse(["/no/such/qemu"]), tmp_path / "stream", timeout=60)


def test_a_qemu_that_takes_too_long_is_stalled(machine, saved):
    with pytest.raises(QemuStalled):
        prompt.load(QemuCommand.parse(machine), saved, identify(machine[0]).release, timeout=0.01)


@pytest.mark.parametrize("stream", [b"QEVM", b"this is no stream at all"])
def test_bytes_that_are_not_a_stream_are_rejected(machine, stream):
    assert replay(stream, machine).outcome == "reject"


def test_an_empty_stream_is_truncated_without_asking(machine):
    with pytest.raises(Truncated):
        replay(b"", machine)


def test_a_refused_command_line_has_its_reason(machine, saved):
    wrong = [*machine, "-machine", "pseries-0.1"]
    verdict = replay(saved, wrong)
    assert verdict.outcome == "destination-refused"
    assert any("machine" in line for line in verdict.messages)
    with pytest.raises(QemuRefused) as refused:
        capture(wrong, saved.with_name("never"))
    assert refused.value.messages == verdict.messages
    assert refused.value.returncode == 1
    assert not saved.with_name("never").exists()


@pytest.mark.parametrize(
    "own", [["-S"], ["--S"], ["-incoming", "defer"], ["--incoming", "tcp:localhost:1"], ["-daemonize"]]
)
def test_a_command_line_that_says_how_to_start_is_driven_all_the_same(machine, tmp_path, own):
    command = [machine[0], *own, *machine[1:]]
    capture(command, tmp_path / "stream")
    assert replay(tmp_path / "stream", command).outcome == "accept"


def test_a_guest_that_ran_has_other_memory(machine, saved, tmp_path):
    capture(machine, tmp_path / "ran", run_seconds=1)
    assert (tmp_path / "ran").read_bytes() != saved.read_bytes()
    assert replay(tmp_path / "ran", machine).outcome == "accept"


def test_capabilities_and_parameters_are_set_before(machine, tmp_path):
    uuid = [*machine, "-uuid", "12345678-9abc-def0-1122-334455667788"]
    capture(
        uuid, tmp_path / "with-uuid", capabilities=["validate-uuid"], parameters={"max-bandwidth": 1 << 30}
    )
    assert bytes.fromhex("123456789abcdef01122334455667788") in (tmp_path / "with-uuid").read_bytes()
    other = [*machine, "-uuid", "00000000-9abc-def0-1122-334455667788"]
    assert replay(tmp_path / "with-uuid", uuid, capabilities=["validate-uuid"]).outcome == "accept"
    assert replay(tmp_path / "with-uuid", other, capabilities=["validate-uuid"]).outcome == "reject"


def test_an_unknown_capability_is_refused_in_qemus_words(machine, saved, tmp_path):
    with pytest.raises(QmpRefused, match="no-such-thing"):
        capture(machine, tmp_path / "stream", capabilities=["no-such-thing"])
    with pytest.raises(QmpRefused, match="no-such-thing"):
        replay(saved, machine, capabilities=["no-such-thing"])


def test_a_machine_that_cannot_migrate_says_so(machine, tmp_path):
    shared = ["-object", "memory-backend-ram,id=m,size=1M,share=on", "-device", "ivshmem-plain,memdev=m"]
    with pytest.raises(QmpRefused, match="ivshmem"):
        capture([*machine, *shared], tmp_path / "stream")
    assert not (tmp_path / "stream").exists()


def test_a_missing_stream_is_an_os_error_and_an_output_without_a_folder_names_it(machine, tmp_path):
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "nothing", machine)
    with pytest.raises(OutputError, match="no/such/directory"):
        capture(machine, tmp_path / "no" / "such" / "directory")


def test_a_caller_may_have_an_event_loop_of_its_own(machine, saved):
    async def inside():
        return replay(saved, machine)

    assert asyncio.run(inside()).outcome == "accept"


def test_a_stream_that_never_ends_is_given_up(machine, tmp_path):
    import os

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(QemuStalled, match=r"to be loaded|migrate-incoming|query-migrate"):
            replay(pipe, machine, timeout=2)
    finally:
        os.close(keeper)


def test_no_process_outlives_its_session(machine):
    with Session(QemuCommand.parse(machine)) as qemu:
        process = qemu._process
        assert process.poll() is None
    assert process.poll() is not None


def test_a_qemu_that_dies_is_noticed(machine):
    with Session(QemuCommand.parse(machine)) as qemu:
        qemu._process.kill()
        with pytest.raises(QemuRefused) as died:
            qemu.execute("query-status")
    assert died.value.returncode == -9


def test_recording_a_pair_a_load_and_a_mutant(binary, machine, saved):
    release = str(binary.release)
    recorder = Recorder({release: binary}, {"it": saved.read_bytes()}.__getitem__)
    side = {"release": release, "args": machine[2:]}
    accepted = {"verdict": "accept", "stderr": []}
    pair, load, mutant, refused = recorder.record_all(
        [
            {"source": side, "destination": side},
            {"stream": "it", "destination": side},
            {"base": "it", "edits": [[4, "00000003", "00000004"]], "destination": side},
            {"source": {"release": release, "args": ["-machine", "no-such"]}},
        ]
    )
    assert pair["save"] == {"ok": True, "stderr": []}
    assert pair["load"] == load["load"] == accepted
    assert mutant["load"]["verdict"] == "reject"
    assert refused["save"]["ok"] is False
    assert refused["save"]["stderr"]


def test_programs_other_than_qemu_are_not_found(tmp_path):
    silent = tmp_path / "qemu-system-ppc64"
    silent.write_text("#!/bin/sh\necho nothing of interest\n")
    silent.chmod(0o755)
    for program in (silent, tmp_path / "absent", "/etc/passwd"):
        with pytest.raises(QemuNotFound):
            identify(program)
    with pytest.raises(QemuRefused):
        capture([str(silent)], tmp_path / "stream")


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
def test_channels_are_captured_each_to_a_file(machine, tmp_path, compression):
    folder = tmp_path / "guest.mig.d"
    parameters = {"multifd-channels": 3, "multifd-compression": compression}
    capture(machine, folder, capabilities=["multifd"], parameters=parameters)
    assert sorted(one.name for one in folder.iterdir()) == [*(f"channel-00{n}" for n in range(3)), "main"]
    with open_source(folder) as opened:
        assert [finding.rule for finding in opened.findings] == ["multifd.joined"]
        assert replay(opened.data, machine).outcome == "accept"
    with pytest.raises(ConfigurationError, match="new folder"):
        capture(machine, folder, capabilities=["multifd"])
    edited = tmp_path / "edited.mig.d"
    assert main(["edit", str(folder), "cpu[0].env.gpr[5]=0x1234567", "-o", f"{edited}/"]) == 0
    assert replay(edited, machine, capabilities=["multifd"], after=has_edited_register).outcome == "accept"


def has_edited_register(qemu):
    said = qemu.execute("human-monitor-command", **{"command-line": "info registers"})
    assert "GPR04 0000000000000000 0000000001234567" in said


@pytest.mark.skipif(which("lz4") is None, reason="lz4 compresses the stream")
def test_a_stream_compressed_by_lz4_is_edited_and_loaded(machine, tmp_path):
    pytest.importorskip("lz4.frame")
    path, edited, plain = (tmp_path / name for name in ("a.lz4", "edited.lz4", "plain"))
    with Session(QemuCommand.parse(machine)) as qemu:
        qemu.execute("migrate", uri=f"exec:lz4 -c > {path}")
        for _ in qemu.polls("the migration"):
            if qemu.execute("query-migrate").get("status") == "completed":
                break
    assert main(["edit", str(path), "cpu[0].env.gpr[5]=0x1234567", "-o", str(edited)]) == 0
    plain.write_bytes(subprocess.run(["lz4", "-dc", edited], capture_output=True, check=True).stdout)
    assert replay(plain, machine, after=has_edited_register).outcome == "accept"


@pytest.mark.parametrize("more", [[], ["multifd"]])
def test_a_mapped_ram_file_is_captured_stripped_and_loaded_with_its_holes(machine, tmp_path, more):
    path, stripped = tmp_path / "mapped", tmp_path / "stripped"
    newest = max(find_all(), key=lambda one: one.release)
    machine = [newest.path, *machine[1:]]
    if newest.release < Release.parse("9.0"):
        with pytest.raises(QmpRefused, match="mapped-ram"):
            capture(machine, path, capabilities=["mapped-ram", *more])
        return
    capture(machine, path, capabilities=["mapped-ram", *more])
    with vmstate.open(path) as stream:
        stream["cpu.env.gpr[5]"] = 0x1234567
        stream.save()
    assert replay(path, machine, capabilities=["mapped-ram"]).outcome == "accept"
    with vmstate.open(path) as stream:
        stream.strip()
        stream.save(stripped)
    assert path.stat().st_size == stripped.stat().st_size > 256 << 20
    assert stripped.stat().st_blocks <= path.stat().st_blocks < 32 << 20 >> 9


@pytest.mark.parametrize("capability", ["postcopy-ram", "return-path"])
def test_what_needs_a_destination_is_refused_before_qemu_starts(tmp_path, capability):
    with pytest.raises(ConfigurationError, match="a destination's answers"):
        capture(["no-such-qemu"], tmp_path / "stream", capabilities=[capability])
    with pytest.raises(ConfigurationError, match="encrypted"):
        capture(["no-such-qemu"], tmp_path / "stream", parameters={"tls-creds": "tls0"})


def test_a_capture_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "stream").write_bytes(b"old")
    with pytest.raises(QemuNotFound):
        capture(["no-such-qemu"], tmp_path / "stream")
    assert [one.read_bytes() for one in tmp_path.iterdir()] == [b"old"]
