"""Laws of a simulated migration, over releases, machine types, processors and sizes drawn at random."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vmstate.describe import Release
from vmstate.describe.diagnostics import Printed
from vmstate.explain.lines import explain_line
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.messages import lines
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import SaveRefused, migrate, save
from vmstate.stream import open_stream
from vmstate.tree import Contents

RELEASES = sorted(CATALOGUE.newest)
VERDICTS = Path(__file__).parents[2] / "fixtures" / "verdicts"
OFF = ("htm", "cfpc", "sbbc", "ibs", "ccf-assist")


@st.composite
def command_lines(draw: st.DrawFn) -> str:
    """A machine that TCG starts, of any release and machine type."""
    release = draw(st.sampled_from(RELEASES))
    binary = CATALOGUE.binary(release)
    name = draw(st.sampled_from(sorted(binary.machine_types)))
    caps = [
        f"cap-{c.name}={'off' if c.kind.value == 'bool' else 'broken'}"
        for c in binary.capabilities
        if c.name in OFF
    ]
    cpu = draw(st.sampled_from([None, *sorted(binary.cpus)]))
    cpus = draw(st.sampled_from([1, 1, 2, 4]))
    words = [
        f"qemu-{release}",
        "-machine",
        ",".join([name, *caps]),
        "-m",
        draw(st.sampled_from(["256", "512", "1G"])),
    ]
    words += ["-smp", str(cpus)] if cpus > 1 else []
    words += ["-cpu", cpu] if cpu else []
    words += draw(st.sampled_from([["-nodefaults"], []]))
    return " ".join(words)


@given(command_lines())
@settings(max_examples=60, deadline=None)
def test_a_machine_migrates_to_itself(line):
    verdict = migrate(line, line)
    assume(verdict.outcome != Outcome.SOURCE_REFUSED)
    assert verdict.outcome == Outcome.ACCEPT, (line, verdict.messages)
    assert verdict.decided_by is None


@given(command_lines(), command_lines())
@settings(max_examples=60, deadline=None)
def test_an_answer_does_not_depend_on_earlier_questions(here, there):
    first = migrate(here, there)
    migrate(there, here)
    assert migrate(here, there) == first


@given(command_lines())
@settings(max_examples=25, deadline=None)
def test_a_simulated_stream_is_fully_read_by_its_own_description(line):
    machine = build(parse(line)).machine
    assume(machine is not None and not machine.suppress_vmdesc)
    try:
        stream = open_stream(save(line))
    except SaveRefused:  # from 8.0 on, QEMU aborts if there is no configuration to describe
        assume(False)
    assert not stream.findings
    contents = Contents(stream)
    assert all(contents.decoded(section).error is None for section in stream.devices)


def test_every_line_of_the_recordings_is_explained():
    raw = zstandard.ZstdDecompressor().decompress((VERDICTS / "pairs.jsonl.zst").read_bytes(), 1 << 26)
    lines = {line for row in map(json.loads, raw.splitlines()) for line in _said(row)}
    assert not [line for line in sorted(lines) if not explain_line(line)]


def _said(row: dict) -> list[str]:
    return [*(row["save"]["stderr"] or ()), *((row.get("load") or {}).get("stderr") or ())]


@pytest.mark.parametrize(
    ("source", "destination", "outcome"),
    [
        ("xics", "xics", "accept"), ("xics", "xive", "ics"), ("xics", "dual", "accept"),
        ("xive", "xics", "xive-source"), ("xive", "xive", "accept"), ("xive", "dual", "accept"),
        ("dual", "xics", "xive-source"), ("dual", "xive", "ics"), ("dual", "dual", "accept"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("release", ["4.1", "4.2", "5.2", "7.2", "8.2", "11.1"])
def test_the_interrupt_modes(release, source, destination, outcome):
    sides = [
        f"qemu-{release} -nodefaults -machine pseries,cap-ccf-assist=off,ic-mode={m}"
        for m in (source, destination)
    ]
    verdict = migrate(*sides)
    if outcome == "accept":
        assert verdict.outcome == Outcome.ACCEPT
    else:
        assert verdict.outcome == Outcome.REJECT
        assert verdict.decided_by.rule == "unknown-section"
        assert verdict.decided_by.section == outcome


@given(st.lists(st.text("ab\n\r\v\x1c\x85\u2028é", max_size=4), max_size=4))
def test_a_text_with_line_breaks_is_several_lines(texts):
    printed = lines(map(Printed, texts), 0, Release.parse("7.2"))
    assert printed == "".join(f"{text}\n" for text in texts).splitlines()
