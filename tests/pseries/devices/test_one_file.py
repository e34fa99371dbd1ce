"""A device is one file: a made-up one is found, plugged, sent, loaded, decoded without another line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vmstate.pseries import devices
from vmstate.pseries.declarations import device_classes
from vmstate.pseries.devices import drivers, modules

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "blinker.py"

PROGRAM = """
import json, sys
from vmstate.pseries import devices
devices.__path__.append(sys.argv[1])
from vmstate.judge.random_machines import extras
from vmstate.pseries.declarations import PseriesDeclarations
from vmstate.simulate.migration import load, migrate, save
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.paths import find_one

def line(release, device=None):
    caps = "cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
    text = f"qemu-{release} -nodefaults -machine pseries-7.2,{caps} -cpu power8 -m 256"
    return text if device is None else f"{text} -device {device}"

def outcome(verdict):
    return [str(verdict.outcome), verdict.messages]

stream = save(line("7.2", "blinker,lamps=9"))
contents = Contents(open_stream(stream.replace(b"QEMU VM des", b"")), PseriesDeclarations())
print(json.dumps({
    "same": outcome(migrate(line("7.2", "blinker"), line("10.0", "blinker"))),
    "absent": outcome(migrate(line("7.2", "blinker"), line("7.2"))),
    "refused": outcome(migrate(line("7.2"), line("7.2", "blinker,lamps=33"))),
    "lamps": find_one(contents, "pci@800000020000000:00.0/blinker.lamps").node.value,
    "in the device tree": b"blinker" in stream,
    "plugged at random": ["-device", "blinker"] in [list(one) for one in extras()],
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    (folder / "blinker.py").write_text(EXAMPLE.read_text())
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_made_up_card_is_plugged_and_migrates(found):
    assert found["same"] == ["accept", []]


def test_where_it_is_not_plugged_its_section_is_unknown(found):
    outcome, messages = found["absent"]
    assert outcome == "reject"
    assert messages[0].startswith("Unknown savevm section or instance 'pci@800000020000000:00.0/blinker' 0")


def test_its_own_check_refuses_in_its_own_words(found):
    assert found["refused"] == ["destination-refused", ["-device blinker,lamps=33: too many lamps"]]


def test_its_declaration_decodes_it_and_its_property_decides_what_it_sends(found):
    assert found["lamps"] == 9


def test_random_command_lines_plug_it(found):
    assert found["plugged at random"]


def test_every_device_module_is_found():
    """Folders do not vanish: as many modules as files, and as many devices as are declared in them."""
    files = [path for path in Path(devices.__path__[0]).rglob("*.py") if path.parent.name != "devices"]
    assert len(list(modules())) == len(files)
    declared = sum(path.read_text().count("\n    description = ") for path in files)
    assert sum(map(len, device_classes().values())) == declared
    listed = [driver.name for module in modules() for driver in getattr(module, "DRIVERS", ())]
    assert sorted(listed) == sorted(drivers())  # no two of a name
