"""Command lines of libvirt, started by a real QEMU and by the simulator: same lines, same sections."""

from __future__ import annotations

import shlex

import pytest

from tests.support.libvirt_lines import NEEDS_FILES, NOT_SIMULATED, command_lines
from vmstate.pseries.startup.command_line import configuration
from vmstate.qemu import capture, replay
from vmstate.simulate.migration import load, migrate, save

pytestmark = pytest.mark.qemu

LINES = {n: t for n, t in command_lines().items() if n not in {*NOT_SIMULATED, *NEEDS_FILES}}


def arguments(text: str) -> list[str]:
    """Return QEMU's arguments, without the ban on starting programs: the stream goes through one."""
    words = shlex.split(text.replace("\\\n", " ").replace("spawn=deny", "spawn=allow"))
    program = next(place for place, word in enumerate(words) if word.endswith("qemu-system-ppc64"))
    return words[program + 1 :]


@pytest.mark.parametrize("name", LINES)
def test_a_guest_of_libvirt_starts_as_predicted(binary, name, tmp_path):
    words = arguments(LINES[name])
    if "pseries-7.2" not in LINES[name] or binary.release < configuration("7.2", []).release:
        pytest.skip("the machine type is newer than QEMU, or not there")
    ours = configuration(str(binary.release), words)
    lines = capture([binary.path, *words], tmp_path / "real.mig")
    predicted = migrate(ours, ours)
    assert tuple(predicted.source_messages) == lines
    assert load((tmp_path / "real.mig").read_bytes(), ours).outcome == "accept"
    answer = replay(save(ours), [binary.path, *words])
    assert (answer.outcome, list(answer.messages)) == (predicted.outcome, predicted.messages)
