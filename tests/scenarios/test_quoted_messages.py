"""The lines quoted in the threads appear where the threads say, and nowhere else."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import pytest

from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Outcome
from vmstate.scenarios.running import catalogue
from vmstate.simulate.migration import receive, send

END = [
    "error while loading state for instance 0x0 of device 'spapr'",
    "load of migration failed: Invalid argument",
]
XICS = "cap-xics higher level (1) in incoming stream than on destination (0)"
XIVE = "cap-xive higher level (1) in incoming stream than on destination (0)"
HTM = "cap-htm higher level (1) in incoming stream than on destination (0)"

POSTED = "4.2.1+cap-xics-xive"
PROGRAMS = ("4.1.1", "4.2.1", POSTED)
TYPES = ("4.0", "4.1", "4.2")
MODES = ("", ",ic-mode=xics", ",ic-mode=xive", ",ic-mode=dual")
OPTIONS = ("", ",cap-xics=off", ",cap-xive=off", ",cap-xive=on")


@lru_cache(maxsize=2)
def sent(command):
    return send(parse(command, catalogue()))


def quoted(source, destination, *wanted):
    """Return the wanted lines with which this migration ends."""
    stream = sent(source).stream
    if stream is None:
        return []
    verdict = receive(stream, parse(destination, catalogue())).verdict
    found = [line for line in wanted if line in verdict.messages]
    assert not found or (verdict.outcome == Outcome.REJECT and verdict.messages[-2:] == END)
    return found


def xive_default(version):
    return int(version != "4.0")


def levels(version, mode, option):
    """Return cap-xics and cap-xive as in the patch; the last option counts."""
    asked = {",ic-mode=xics": (1, 0), ",ic-mode=xive": (0, 1), ",ic-mode=dual": (1, 1)}
    xics, xive = asked.get(mode, (1, xive_default(version)))
    if option:
        name, _, value = option[len(",cap-") :].partition("=")
        xics, xive = (int(value == "on"), xive) if name == "xics" else (xics, int(value == "on"))
    return xics, xive


def controllers(program, version, mode, option):
    """Return the controllers of a machine, as (xics, xive)."""
    if program == POSTED or mode:
        return levels(version, mode, option)
    return (1, xive_default(version))


def expected(source, destination, version, modes, options):
    """Return the lines by the rule of the thread: an unsent capability has the destination's default.

    They only appear where the destination has all the controllers whose state is sent.
    """
    if destination != POSTED:
        return []
    default = (1, xive_default(version))
    own = levels(version, modes[1], options[1])
    theirs = controllers(source, version, modes[0], options[0])
    if own == (0, 0) or theirs == (0, 0) or any(a > b for a, b in zip(theirs, own, strict=True)):
        return []
    incoming = theirs if source == POSTED else default
    return [line for line, a, b in zip((XICS, XIVE), incoming, own, strict=True) if a > b]


@pytest.mark.parametrize("version", TYPES)
@pytest.mark.parametrize("source", PROGRAMS)
def test_cap_xics_and_cap_xive(source, version):
    """Only 4.1 with xics (cap-xive) and xive (cap-xics), of all programs, types, modes and options."""
    wrong, seen = [], set()
    for destination, before, after, given, taken in product(PROGRAMS, MODES, MODES, OPTIONS, OPTIONS):
        if version == "4.2" and "4.1.1" in (source, destination):
            continue
        if (given and source != POSTED) or (taken and destination != POSTED):
            continue
        lines = [
            f"qemu-{program} -nodefaults -machine pseries-{version}{mode}{option} -cpu power9 -m 256"
            for program, mode, option in ((source, before, given), (destination, after, taken))
        ]
        wanted = expected(source, destination, version, (before, after), (given, taken))
        found = quoted(*lines, XICS, XIVE)
        if found != wanted:
            wrong.append((lines, found, wanted))
        seen |= {(before == after, line) for line in found}
    assert wrong == []
    if source == "4.1.1" and version == "4.1":
        assert {(True, XICS), (True, XIVE)} <= seen


HACKED = "2.11.2+htm-hack-in-defaults"
RELEASES = ("2.11.0", "2.11.1", "2.11.2", HACKED, "2.12.1", "3.0", "5.2", "7.2")


@pytest.mark.parametrize("accel", ["tcg", "kvm"])
@pytest.mark.parametrize("machine", ["pseries-2.10", "pseries-2.11", "pseries-2.12"])
def test_cap_htm(machine, accel):
    """Only under TCG, from the program with the hack to one without, with types that default to HTM."""
    host = "p8-hv: " if accel == "kvm" else ""
    wrong = []
    for source, destination, option in product(RELEASES, RELEASES, ("", ",cap-htm=off")):
        lines = [
            f"{host}qemu-{program} -nodefaults -machine {machine},accel={accel}{option} -m 256"
            f" -cpu {'host' if host else 'POWER8'}"
            for program in (source, destination)
        ]
        hit = HACKED == source != destination and accel == "tcg" and machine != "pseries-2.12"
        wanted = [HTM] if hit and option and destination != "2.11.0" else []
        found = quoted(*lines, HTM)
        if found != wanted:
            wrong.append((lines, found, wanted))
    assert wrong == []
