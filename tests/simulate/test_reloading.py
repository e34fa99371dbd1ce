"""A process that loads many streams gives the verdicts of processes that load one each."""

from __future__ import annotations

import pytest

from tests.support.bases import base, destination
from tests.support.share import times
from vmstate.errors import NotModelled
from vmstate.fuzz.recipe import drawn
from vmstate.fuzz.splices import applied
from vmstate.pseries.devices.interrupts.xive import SpaprXive
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate import reloading
from vmstate.simulate.instance import Instance
from vmstate.simulate.reloading import Beginning, Destination
from vmstate.simulate.snapshot import CannotBeRestored

NAMES = [
    "2.9.1-pseries-2.1",
    "5.2-booted-virtio",
    "7.2-booted-power8-hpt-xics",
    "7.2-no-vmdesc",
    "7.2-peripherals",
    "7.2-hotplug-memory",
    "10.0-pseries-6.2-smp4",
    "11.1-booted-power10",
]
COUNT = times(25, 1000)


def result(load) -> Verdict | tuple[str, ...]:
    try:
        return load()
    except NotModelled as unknown:
        return (str(unknown), str(unknown.place), *unknown.messages)


def changed_streams(name: str):
    """Yield changed streams, each with the number of bytes before its first change."""
    whole = base(name)
    for number in range(COUNT):
        splices = drawn(whole, number).splices(whole)
        yield applied(whole.data, splices), splices[0].start if splices else len(whole.data)


@pytest.mark.parametrize("trace", [False, True], ids=["", "traced"])
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_gets_the_verdict_of_a_new_process(name, trace):
    machine = destination(name)
    one = Destination(machine, trace=trace)
    for data, same in changed_streams(name):
        stream = memoryview(data)
        expected = result(lambda s=stream: Instance(machine, trace=trace).load(s))
        assert result(lambda s=stream: one.load(s)) == expected
        beginning = Beginning(base(name).data, same)
        assert result(lambda s=stream, b=beginning: one.load(s, b)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_no_process_is_made_for_the_tenth_load(name, monkeypatch):
    one = Destination(destination(name))
    whole = base(name).data
    for _ in range(9):
        expected = one.load(memoryview(whole))
    monkeypatch.setattr(reloading, "Instance", None)
    assert one.load(memoryview(whole)) == expected
    assert one.load(memoryview(whole), Beginning(whole, len(whole))) == expected


@pytest.mark.parametrize("name", NAMES[-2:])
def test_what_streams_have_in_common_is_loaded_once(name):
    """A byte near the beginning can be anything if the load goes on behind it."""
    one = Destination(destination(name))
    whole = base(name).data
    expected = one.load(memoryview(whole), Beginning(whole, len(whole)))
    broken = memoryview(b"never read" + whole[10:])
    assert one.load(broken, Beginning(whole, len(whole))) == expected
    assert one.load(broken) != expected


@pytest.mark.parametrize("name", NAMES[-2:])
def test_a_process_that_cannot_be_put_back_is_made_anew(name, monkeypatch):
    def refuse(*_: object) -> None:
        raise CannotBeRestored("list_iterator")

    expected = Destination(destination(name)).load(memoryview(base(name).data))
    monkeypatch.setattr(reloading, "Snapshot", refuse)
    one = Destination(destination(name))
    for _ in range(9):
        assert one.load(memoryview(base(name).data), Beginning(base(name).data, 5000)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_after_many_loads_a_process_would_send_what_a_new_one_does(name, monkeypatch):
    made: list[Instance] = []

    def kept(*args, **names) -> Instance:
        made.append(Instance(*args, **names))
        return made[-1]

    monkeypatch.setattr(reloading, "Instance", kept)
    one = Destination(destination(name))
    for data, same in changed_streams(name):
        result(lambda d=data, s=same: one.load(memoryview(d), Beginning(base(name).data, s)))
    [process] = made
    assert process.save() == Instance(destination(name)).save()


def test_a_load_leaves_the_stream_as_it_is_even_where_a_device_changes_what_it_loaded():
    """Found by the comparison above: a campaign had the number that was freed in its next streams."""
    name = "7.2-xive"
    whole = bytearray(base(name).data)
    process = Instance(destination(name))
    assert process.load(memoryview(whole)).outcome == Outcome.ACCEPT
    [xive] = process.machine.registered(SpaprXive)
    number = next(one for one in range(len(xive.eat)) if xive.is_claimed(one))
    xive.free(number)
    assert not xive.is_claimed(number)
    assert whole == base(name).data
