"""Guests of recorded histories: their command lines, and when they have answered.  No QEMU is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.qemu import QemuCommand
from vmstate.qemu.guest_run import GuestFiles, GuestRun
from vmstate.simulate.events import apply_event
from vmstate.simulate.guest import boot
from vmstate.simulate.instance import Instance

FILES = {"linux-6.1": GuestFiles(Path("/k/vmlinux"), Path("/k/initrd"))}
MACHINE = "-nodefaults -machine pseries-7.2 -cpu power9_v2.0 -smp 1,maxcpus=4 -m 512,slots=4,maxmem=2G"
CORE = "device_add power9_v2.0-spapr-cpu-core,id=c1,core-id=1"


def run_of(tmp_path, text="linux-6.1 xive=off"):
    return GuestRun(named_guest(text), FILES, tmp_path / "console", tmp_path / "stream")


def test_a_guest_boots_from_its_files_with_its_words_and_a_console(tmp_path):
    command = run_of(tmp_path).command(QemuCommand.parse("qemu -serial null -m 512"))
    assert command.arguments == (
        *(
            "-serial",
            f"file:{tmp_path}/console",
            "-m",
            "512",
            "-kernel",
            "/k/vmlinux",
            "-initrd",
            "/k/initrd",
        ),
        *("-append", "console=hvc0 xive=off"),
    )


@pytest.mark.parametrize(
    ("command", "guest", "words"),
    [("qemu -m 512", "linux-6.1", "-serial null"), ("qemu -serial null", "linux-7.2", "files of linux-7.2")],
)
def test_a_guest_without_a_console_or_files_is_a_configuration_error(tmp_path, command, guest, words):
    with pytest.raises(ConfigurationError, match=words):
        run_of(tmp_path, guest).command(QemuCommand.parse(command))


@pytest.mark.parametrize(
    ("events", "waiting"),
    [
        ([], False),
        (["stop", CORE], True),
        ([CORE], False),
        (["device_add virtio-rng-pci,id=r1"], False),
        (["stop", "device_add virtio-rng-pci,id=r1"], True),
    ],
)
def test_a_guest_has_answered_when_its_log_is_empty_and_its_connectors_are_at_rest(tmp_path, events, waiting):
    configuration = parse(f"qemu-10.0.13 {MACHINE}")
    instance = Instance(build(configuration).machine)
    boot(instance, "linux-6.1")
    for event in events:
        apply_event(instance, configuration, event)
    run = run_of(tmp_path)
    run.stream.write_bytes(instance.save())
    assert run.is_waiting() is waiting
