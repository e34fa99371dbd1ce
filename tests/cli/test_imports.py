"""What a command imports decides how long it takes to start: these import only what they use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vmstate.simulate.migration import save

#: Never needed for a small stream.
HEAVY = {
    *("numpy", "bitstring", "construct", "zstandard", "hashlib", "tempfile", "tomllib", "difflib"),
    *("xml", "unittest", "importlib.resources", "multiprocessing", "asyncio"),
    *("dataclasses", "inspect", "ast", "tokenize", "shutil", "bz2", "lzma", "pkgutil", "threading"),
}
TO_WRAP = {"shutil", "bz2", "lzma"}  # for the width of the terminal
#: Modules of devices that the machine of these tests has not got, and what only such devices need.
OTHER_DEVICES = {
    *(f"vmstate.pseries.devices.{name}" for name in ("usb", "virtio", "scsi", "pci.e1000", "pci.vga")),
    *("vmstate.handwritten.virtio", "base64"),
}
SIMULATOR = {
    "vmstate.pseries.devices",
    "vmstate.pseries.board",
    "vmstate.pseries.startup",
    "vmstate.simulate",
}
OTHER_COMMANDS = {
    *("vmstate.compatibility", "vmstate.schema", "vmstate.records", "vmstate.matrix", "vmstate.scenarios"),
    *("vmstate.qemu", "vmstate.fuzz", "vmstate.binaries", "vmstate.kvm", "vmstate.explain", "vmstate.junit"),
    *("vmstate.compare", "vmstate.simulate.history", "vmstate.simulate.guest", "vmstate.simulate.remedies"),
}
TELL = """
import sys
from vmstate.cli import main
status = main(sys.argv[1:])
print(status, *sorted(sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("imports") / "7.2.mig"
    path.write_bytes(save("qemu-7.2 -nodefaults -m 256"))
    return path


def imported(*words: str | Path) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", TELL, *map(str, words)], capture_output=True, text=True, check=True
    )
    status, *modules = run.stderr.split()
    assert status == "0"
    return set(modules)


def within(modules: set[str], packages: set[str]) -> list[str]:
    return sorted(m for m in modules if any(m == one or m.startswith(f"{one}.") for one in packages))


def test_the_help_imports_nothing_that_reads_a_stream():
    modules = imported("--help")
    read = {"vmstate.stream", "vmstate.tree", "vmstate.describe", "vmstate.pseries", "vmstate.containers"}
    assert within(modules, HEAVY - TO_WRAP | SIMULATOR | OTHER_COMMANDS | read) == []


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_to_show_a_stream_that_describes_itself_no_device_is_imported(stream: Path, options: tuple[str, ...]):
    assert within(imported("show", *options, stream), HEAVY | SIMULATOR | OTHER_COMMANDS) == []


def test_to_load_a_stream_only_the_simulator_is_imported(stream: Path):
    modules = imported("load", stream, "--on", "qemu-7.2 -nodefaults -m 256")
    assert within(modules, HEAVY | OTHER_COMMANDS | OTHER_DEVICES) == []


def test_to_migrate_only_the_simulator_is_imported():
    side = "qemu-7.2 -nodefaults -m 256"
    assert within(imported("migrate", side, side), HEAVY | OTHER_COMMANDS | OTHER_DEVICES) == []
