"""Hostile inputs: a small part of what ``tools/hostile`` gives to the reading commands."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.hostile import COMMANDS, Judge, drawn_input, subjects
from vmstate.cli import main


@pytest.fixture(scope="module")
def among():
    return list(subjects(corpus.VARIED, random.Random(1), each=1, kept=2))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_reads_a_sound_stream(tmp_path, capsys, command):
    (tmp_path / "sound.mig").write_bytes(corpus.load("7.2-pseries-7.2"))
    places = {"INPUT": "sound.mig", "SOUND": "sound.mig", "OUTPUT": "output.mig"}
    status = main([str(tmp_path / places[word]) if word in places else word for word in command])
    if command[0] == "snapshots":
        assert "is not a qcow2 image" in capsys.readouterr().err
    else:
        assert status == int(command[0] == "load"), "the destinations are of other machines"


@pytest.mark.parametrize("seed", range(5))
def test_a_hostile_input_ends_a_command_within_its_bounds(tmp_path, among, seed):
    rng, judge = random.Random(seed), Judge(tmp_path)
    for _ in range(40):
        given, place = drawn_input(among, rng), rng.randrange(len(COMMANDS))
        assert judge.wrong(given, place, timed=False) == [], (given.subject.name, given.made, COMMANDS[place])


HOSTILE_COMMAND = """
import sys
from pathlib import Path
from tests.support import hostile
def command(arguments):
    sys.stdout.write("\x1b]0;title\x07")
    held = bytearray(200 << 20)
    held[::4096] = b"x" * len(held[::4096])
    raise KeyError(arguments[0])
hostile.main = command
given = hostile.Input(hostile.Subject("a", b"QEVM"), "blind", b"QEVM")
print(*hostile.Judge(Path(sys.argv[1])).wrong(given, 0, timed=False), sep="\\0")
"""


def test_a_command_that_breaks_a_bound_is_found(tmp_path):
    """In a process of its own: in one that has much memory already, the system takes some away meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE_COMMAND, tmp_path],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    found = done.stdout.split("\0")
    assert [next(word for word in ("status", "control", "memory") if word in one) for one in found] == [
        "status",
        "control",
        "memory",
    ], done.stderr
