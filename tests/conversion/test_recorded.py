"""Conversions that real QEMUs have judged: the simulated side makes the same changes, with the same end."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path

import pytest

from vmstate.compare.verify import verify
from vmstate.conversion.change import Notice
from vmstate.conversion.converting import Converter
from vmstate.conversion.framing import NEWEST_WITHOUT
from vmstate.conversion.simulated import Simulated
from vmstate.describe.history import Release
from vmstate.errors import Severity
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.devices.cpu.cpu import PSSCR_EC, SPR_LPCR, SPR_PSSCR
from vmstate.pseries.devices.cpu.reset import power_saving_exits
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import receive, save
from vmstate.tree.typed_changes import changed

ROOT = Path(__file__).resolve().parents[2]
ROWS = [json.loads(line) for line in (ROOT / "fixtures/conversions/real.jsonl").read_text().splitlines()]
MENDED = [row for row in ROWS if row["after"]["outcome"] == "accept"]
OLD_TYPE = "qemu-10.0 -nodefaults -machine pseries-10.0 -cpu power10 -smp 2 -m 256"
NEW_TYPE = "qemu-11.1 -nodefaults -machine pseries-11.1 -cpu power10 -smp 2 -m 256"
EXITS = power_saving_exits(310)


def of_release(line, release):
    program, *arguments = shlex.split(line)
    assert release.startswith(program.removeprefix("qemu-"))
    return shlex.join([f"qemu-{release}", *arguments])


def name_of(row):
    return "-".join((*row["releases"], *(what.replace(" ", "-") for _, what in row["changes"][:1])))


@pytest.fixture(params=range(len(ROWS)), ids=[name_of(row) for row in ROWS])
def number(request):
    return request.param


@cache
def converted(number):
    row = ROWS[number]
    source, destination = (of_release(row[side], row["releases"][i]) for i, side in enumerate(SIDES))
    there = Simulated(parse(destination))
    stream = there.contents(iter([save(source)]))
    return there, stream, Converter(there).convert(stream)


SIDES = ("source", "destination")


def test_the_changes_are_those_that_the_real_qemu_has_judged(number):
    row, conversion = ROWS[number], converted(number)[2]
    made = [[step.change.notice.word, step.change.what] for step in conversion.steps]
    assert made == row["changes"]
    assert (conversion.before.outcome, conversion.before.messages) == tuple(row["before"].values())
    assert (conversion.after.outcome, conversion.after.messages) == tuple(row["after"].values())
    assert bool(conversion.unmended) == (row["after"]["outcome"] == "reject")


def test_a_converted_stream_verifies_and_needs_no_other_change(number):
    there, _, conversion = converted(number)
    again = Converter(there).convert(conversion.contents)
    assert again.steps == []
    assert again.contents is conversion.contents
    wrong = [f for f in verify(conversion.contents).findings if f.severity != Severity.INFO]
    assert [str(f) for f in wrong if not f.rule.startswith("declared.")] == []  # no release has sent it


def test_the_edits_that_are_shown_make_the_same_stream(number):
    there, stream, conversion = converted(number)
    for step in conversion.steps:
        if not step.change.edits:
            pytest.skip("one of the changes is not an edit")
        stream = there.contents(iter([changed(stream, step.change.edits)]))
    assert stream.stream.data == conversion.contents.stream.data


def test_there_are_refusals_between_all_three_releases():
    pairs = {tuple(release.rpartition(".")[0] for release in row["releases"]) for row in MENDED}
    assert len(MENDED) >= 12
    assert {("7.2", "10.0"), ("10.0", "7.2"), ("11.1", "10.0"), ("10.0", "11.1"), ("11.1", "7.2")} <= pairs
    assert all(row["before"]["outcome"] == "reject" for row in ROWS)


@pytest.mark.parametrize(
    ("halted", "exits", "stopped"), [(0, EXITS, 0), (1, EXITS, 0), (1, 0, 1)], ids=["runs", "idle", "waits"]
)
def test_a_processor_goes_on_under_a_newer_machine_type_as_it_was(halted, exits, stopped):
    """Linux with two processors: without the subsection the second is stopped, and the guest stalls."""
    there = there_of(NEW_TYPE)
    edits = [f"cpu_common[1].halted={halted}", f"cpu[1].spr[{SPR_LPCR}]={exits}"]
    stream = changed(there.contents(iter([save(OLD_TYPE)])), edits)
    conversion = Converter(there).convert(there.contents(iter([stream])))
    assert conversion.accepted
    received = receive(conversion.contents.stream.data, NEW_TYPE)
    assert received.instance.device("cpu", 1).quiesced == stopped
    silent = receive(changed(there.contents(iter([stream])), conversion.steps[0].change.edits), NEW_TYPE)
    assert silent.verdict.outcome == "accept"
    assert silent.instance.device("cpu", 1).quiesced


def test_an_idle_first_processor_is_not_taken_for_a_stopped_one():
    """As Linux has it: a real 11.1.3 accepts an idle pseries-10.0 of 10.0.13, which then never answers."""
    same_type = NEW_TYPE.replace("pseries-11.1", "pseries-10.0")
    there = there_of(same_type)
    idle = changed(there.contents(iter([save(OLD_TYPE)])), ["cpu_common[0].halted=1"])
    assert receive(idle, same_type).instance.device("cpu", 0).quiesced
    conversion = Converter(there, at_most=Notice.NOTHING).convert(there.contents(iter([idle])))
    assert [step.change.rule for step in conversion.steps] == ["stopped-processor"]
    received = receive(conversion.contents.stream.data, same_type)
    assert received.verdict.outcome == "accept"
    assert not received.instance.device("cpu", 0).quiesced


@pytest.mark.parametrize("halted", [0, 1])
@pytest.mark.parametrize("exits", [0, EXITS])
@pytest.mark.parametrize("escape", [0, PSSCR_EC])
def test_a_load_names_the_bug_where_convert_mends_it(halted, exits, escape):
    """What a real 11.1.3 does with an idle processor of a pseries-10.0 is known in one place."""
    there = there_of(NEW_TYPE.replace("pseries-11.1", "pseries-10.0"))
    edits = [f"cpu_common[0].halted={halted}", f"cpu[0].spr[{SPR_LPCR}]={exits}"]
    own = there.contents(iter([save(OLD_TYPE)]))
    stream = changed(own, [*edits, f"cpu[0].env.spr[{SPR_PSSCR}]={escape}"])
    conversion = Converter(there).convert(there.contents(iter([stream])))
    rules = [step.change.rule for step in conversion.steps]
    assert conversion.before.known_bugs == ["idle-processor-stopped"] * len(rules)
    assert rules == (["stopped-processor"] if halted and exits and escape else [])


def test_a_level_that_only_the_old_machine_type_has_is_not_lost_in_silence():
    source = "qemu-7.2 -nodefaults -machine pseries-2.12 -cpu power8 -m 256"
    to = source.replace("pseries-2.12", "pseries-7.2,ic-mode=xics")
    conversion = Converter(there_of(to)).convert(there_of(to).contents(iter([save(source)])))
    edits = [edit for step in conversion.steps for edit in step.change.edits]
    assert any(edit.startswith("+spapr/cap/hpt_maxpagesize") for edit in edits)
    assert any(step.change.notice is Notice.GUEST for step in conversion.steps)


def test_the_type_of_a_stream_without_a_name_is_the_newest_that_does_not_send_it():
    classes = CATALOGUE.binary(Release.parse("7.2"))
    types = [one.name for one in CATALOGUE.machine_types if one.name in classes.machine_types]
    silent = [name for name in types if not classes.machine_class(name).flags.send_configuration]
    assert silent[0] == NEWEST_WITHOUT
    assert {"pseries-2.2", "pseries-2.1"} <= set(silent)


def test_there_and_back_across_2_4_gives_the_same_stream():
    old, new = (f"qemu-7.2 -nodefaults -machine pseries-{one},cap-htm=off -m 256" for one in ("2.3", "2.4"))
    stream = there_of(old).contents(iter([save(old)]))
    there = Converter(there_of(new)).convert(stream)
    back = Converter(there_of(old)).convert(there.contents)
    assert there.accepted
    assert back.accepted
    assert back.contents.stream.data == stream.stream.data


def test_no_footer_is_put_where_the_end_of_a_section_is_a_guess():
    old, new = (f"qemu-7.2 -nodefaults -machine pseries-{one},cap-htm=off -m 256" for one in ("2.2", "2.4"))
    raw = save(old).replace(b"\x09spapr/rtc", b"\x09spapr/xyz")
    conversion = Converter(there_of(new)).convert(there_of(new).contents(iter([raw])))
    assert not conversion.accepted
    assert "ends is a guess: no footer can be put behind it" in conversion.unmended


def there_of(line):
    return Simulated(parse(line))
