"""Edited streams: the real QEMU and the simulated one give the same verdict with the same lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vmstate.cli import main
from vmstate.containers import open_input
from vmstate.describe.history import Release
from vmstate.judge.judge import Judge, Side
from vmstate.qemu import QemuNotFound, find
from vmstate.stream import open_stream

pytestmark = pytest.mark.qemu

STREAMS = Path(__file__).resolve().parents[2] / "streams"


@pytest.fixture(scope="module")
def judge():
    try:
        binary = find("7.2.22")
    except QemuNotFound as error:
        pytest.skip(str(error))
    return Judge({binary.release: binary})


@pytest.fixture
def written(tmp_path):
    """Return a function that runs a command and returns its stream: ``written("edit", NAME, CHANGE…)``."""

    def write(command, name, *changes):
        out = tmp_path / "out"
        assert main([command, str(STREAMS / f"{name}.mig.zst"), *changes, "-o", str(out)]) == 0
        with open_input(out) as opened:
            return bytes(opened.data)

    return write


def machine(name):
    rows = map(json.loads, (STREAMS / "manifest.jsonl").read_text().splitlines())
    row = next(row for row in rows if row["name"] == name)
    noted = "-serial" in row["args"]
    terminal = ["-serial", "null"] if row.get("booted_seconds") and not noted else []
    return Side.of(Release.parse(row["release"]), [*row["args"], *terminal])


def original(name):
    with open_input(STREAMS / f"{name}.mig.zst") as opened:
        return bytes(opened.data)


def agreed(judge, data, name):
    """Return the verdict on which real and simulated QEMU agree, and its lines without those of the start."""
    compared = judge.load(data, machine(name), {})
    assert compared.same, compared.as_json()
    return compared.real.outcome, compared.real.messages


PLAIN, POWER8 = "7.2-pseries-7.2", "7.2-max-compat-power8"

REJECTED = {
    "a capability's level is higher": (
        "7.2-caps-off",
        "spapr/cap/vsx.mig.caps[0x01]=1",
        "cap-vsx higher level",
    ),
    "a capability's level is invalid": (
        "7.2-caps-off",
        "spapr/cap/cfpc.mig.caps[0x03]=77",
        "cap-cfpc higher level",
    ),
    "a capability's subsection was removed": (
        "7.2-caps-off",
        "--remove=spapr/cap/vsx",
        "cap-vsx higher level",
    ),
    "another processor": (PLAIN, "cpu.env.spr[287]=power8_v2.0", "of device 'cpu'"),
    "another revision of the processor": (PLAIN, "cpu.env.spr[287]=0x004f1201", "of device 'cpu'"),
    "an unknown compat mode was added": (
        PLAIN,
        "+cpu/compat.compat_pvr=0x12345678",
        "of device 'cpu'",
    ),
    "an unknown subsection": (PLAIN, "+cpu/nonsense@1=hex:00", "No such file or directory"),
    "a subsection of a later version": (PLAIN, "+cpu/compat@2=hex:00000000", "too new"),
}

ACCEPTED = {
    "nothing was changed": (PLAIN, "cpu.env.nip=0x100"),
    "a register was changed": (PLAIN, "cpu.env.gpr[5]=0x123456789abcdef0"),
    "a capability's level is lower": (PLAIN, "+spapr/cap/vsx.mig.caps[0x01]=0"),
    "a compat mode was added": (PLAIN, "+cpu/compat.compat_pvr=0x0f000004"),
    "the compat mode was removed": (POWER8, "--remove=cpu/compat"),
    "a subsection was removed": (PLAIN, "--remove=cpu/altivec"),
    "a compat mode beyond the machine's limit": (POWER8, "cpu/compat.compat_pvr=0x0f000005"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_an_edit_that_breaks_it_is_rejected_in_the_same_lines(judge, written, case):
    name, change, line = REJECTED[case]
    outcome, lines = agreed(judge, written("edit", name, change), name)
    assert outcome == "reject"
    assert any(line in printed for printed in lines)


@pytest.mark.parametrize("case", ACCEPTED)
def test_an_edit_that_does_not_is_accepted_with_the_same_warnings(judge, written, case):
    name, change = ACCEPTED[case]
    assert agreed(judge, written("edit", name, change), name)[0] == "accept"


def section(data, idstr):
    return next(s for s in open_stream(data).sections if s.idstr == idstr)


@pytest.mark.parametrize("idstr", ["timer", "cpu", "spapr", "globalstate"])
def test_a_wrong_footer(judge, idstr):
    data = bytearray(original(PLAIN))
    data[section(bytes(data), idstr).end - 1] ^= 1
    outcome, lines = agreed(judge, bytes(data), PLAIN)
    assert outcome == "reject"
    assert lines[-2].startswith(f"Mismatched section id in footer for {idstr}")


@pytest.mark.parametrize("idstr", ["timer", "cpu", "spapr", "globalstate"])
@pytest.mark.parametrize("version", [0, 99, 0xFFFFFFFF])
def test_a_wrong_section_version(judge, idstr, version):
    data = bytearray(original(PLAIN))
    at = section(bytes(data), idstr).payload_start
    data[at - 4 : at] = version.to_bytes(4, "big")
    assert agreed(judge, bytes(data), PLAIN)[0] == "reject"


@pytest.mark.parametrize(
    "name", [PLAIN, POWER8, "7.2-booted-power9-radix-xive", "7.2-booted-power8-hpt-xics"]
)
def test_a_stripped_stream_is_accepted(judge, written, name):
    data = written("strip", name)
    assert len(data) <= len(original(name))
    assert agreed(judge, data, name)[0] == "accept"
