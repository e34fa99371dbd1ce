"""Histories: what plugging, unplugging, resets and earlier migrations leave in a machine and its stream."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.histories import (
    CORE,
    EVERYTHING,
    MEMORY,
    OPTIONS,
    RELEASES,
    after,
    differing,
    judged_rows,
    machine,
    names,
)
from tests.support.recorded import rows
from tests.support.share import times
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.events import apply_event
from vmstate.simulate.history import events_of, migrate_history
from vmstate.simulate.instance import Instance

# ---- recorded truth


@pytest.mark.parametrize("part", range(times(2, 4)))
def test_histories_end_as_recorded_with_the_same_answers_and_lines(part):
    judged, differ = judged_rows(list(rows("histories"))[part::4])
    assert differ == []
    assert judged >= 75


# ---- laws


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("event", ["virtio-rng-pci,id=x", "spapr-pci-host-bridge,id=x,index=1"])
def test_a_device_not_yet_taken_in_goes_without_a_trace_but_in_the_log(release, event):
    instance, answers = after(f"device_add {event}", "device_del x", release=release)
    fresh, _ = machine(release=release)
    assert answers == ["", ""]
    assert names(instance) == names(fresh)
    assert differing(instance, fresh) <= {"spapr", "ics", "spapr-xive"}


@pytest.mark.parametrize("release", RELEASES)
def test_a_reset_settles_every_connector_and_empties_the_log(release):
    instance, _ = after(*EVERYTHING, "system_reset", release=release)
    assert not {idstr for idstr, _ in names(instance)} & {"spapr_drc", "spapr_drc/physical"}
    assert not instance.device("spapr").pending_events


@pytest.mark.parametrize("release", RELEASES)
def test_plugged_devices_send_the_sections_of_those_of_the_command_line_and_connectors(release):
    options = (
        f"-object memory-backend-ram,id=m1,size=256M -device pc-dimm,memdev=m1 -device {CORE},core-id=1 "
        "-device virtio-rng-pci -device spapr-pci-host-bridge,index=1"
    )
    plugged, cold = after(*EVERYTHING, release=release)[0], machine(options, release)[0]
    connectors = {0x10000001, 0x80000004, 0x40000000, 0x20000001}
    extra = {("spapr_drc", index) for index in connectors} | {("spapr_drc/physical", 0x40000000)}
    assert names(plugged) == names(cold) | extra


@given(st.lists(st.sampled_from(EVERYTHING[:1] + EVERYTHING[3:]), unique=True))
@settings(max_examples=20)
def test_two_resets_are_one(events):
    once, twice = after(*events, "system_reset")[0], after(*events, "system_reset", "system_reset")[0]
    assert differing(once, twice) == set()


@given(st.lists(st.sampled_from(EVERYTHING), unique=True, max_size=3))
@settings(max_examples=20)
def test_a_machine_that_went_there_and_back_sends_what_it_sent_before(events):
    if EVERYTHING[2] in events:
        events = [MEMORY, *(event for event in events if event != MEMORY)]
    instance, _ = after(*events)
    stream = instance.save()
    devices = [event.removeprefix("device_add") for event in events if event.startswith("device_add")]
    objects = [event.removeprefix("object_add") for event in events if event.startswith("object_add")]
    words = [f"-object {one}" for one in objects] + [f"-device {one}" for one in devices]
    other, _ = machine(" ".join(words))
    assert other.load(memoryview(stream)).outcome is Outcome.ACCEPT
    assert differing(other, instance) == set()


# ---- examples


def test_a_core_that_was_present_at_the_start_waits_for_the_guest_until_a_reset():
    option = f"-device {CORE},id=c1,core-id=1"
    waiting, _ = after("device_del c1", options=option)
    gone, answers = after("device_del c1", "system_reset", "device_del c1", options=option)
    assert {("cpu", 1), ("spapr_drc", 0x10000001)} <= names(waiting)
    assert ("cpu", 1) not in names(gone)
    assert answers[-1] == "Device 'c1' not found"


def test_the_light_of_a_slot_stays_on_when_a_reset_takes_its_card():
    instance, _ = after("device_del r1", "system_reset", options="-device virtio-rng-pci,id=r1")
    assert ("spapr_drc/physical", 0x40000000) in names(instance)


def test_a_reset_makes_the_hash_table_for_memory_that_it_then_releases():
    large = MEMORY.replace("256M", "512M")
    events = (large, EVERYTHING[2], "system_reset", "device_del d1", "system_reset")
    shifts = [after(*events[:count])[0].device("spapr/htab").shift for count in (2, 3, 5)]
    assert shifts == [22, 23, 23]


def test_before_6_0_memory_stays_while_the_guest_has_not_negotiated():
    old, new = (after(*EVERYTHING[1:3], "device_del d1", release=one)[1][-1] for one in ("5.2.0", "7.2.22"))
    assert (old, new) == ("Memory hot unplug not supported for this guest", "")


def test_a_new_network_card_gets_the_address_of_one_that_went():
    instance, _ = after("device_add e1000,id=a", "device_del a", "device_add virtio-net-pci,id=b")
    assert b"\x52\x54\x00\x12\x34\x56" in instance.save()


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (f"device_add {CORE},core-id=0", "core 0 already populated"),
        (f"device_add {CORE},core-id=9", "core id 9 out of range"),
        ("device_add pc-dimm", "'memdev' property must be set"),
        ("device_add spapr-vlan", "Bus 'spapr-vio' does not support hotplugging"),
        ("device_add VGA", "Device 'VGA' does not support hotplugging"),
        ("device_add virtio-rng-pci,addr=1f.7", ""),
        ("device_del nosuch", "Device 'nosuch' not found"),
        ("object_del nosuch", "object 'nosuch' not found"),
        ("stop", ""),
    ],
)
def test_refusals_have_the_words_of_qmp(event, refusal):
    assert after(event)[1] == [refusal]


def test_host_bridges_of_old_machine_types_and_pci_bridges_cannot_be_unplugged():
    old = parse(f"qemu-7.2.22 {OPTIONS} -device spapr-pci-host-bridge,id=p1,index=1".replace("7.2,", "3.1,"))
    instance = Instance(build(old).machine)
    events = ("device_add spapr-pci-host-bridge,index=2", "device_del p1")
    assert [apply_event(instance, old, event).refusal for event in events] == [
        "PHB hotplug not supported for this machine",
        "PHB hot unplug not supported on this machine",
    ]
    bridge = after("device_add pci-bridge,id=b,chassis_nr=1", "device_del b")[1]
    assert bridge == ["", "PCI: Hot unplug of PCI bridges not supported"]


def test_a_failed_migration_on_the_way_is_the_verdict():
    line = f"qemu-10.0.13 {OPTIONS}"
    events = [EVERYTHING[3], f"migrate {line}", "device_del r1"]
    verdict = migrate_history(line, line, events)
    assert verdict.outcome is Outcome.REJECT
    assert [one.event for one in verdict.answers] == events[:1]


def test_a_history_goes_on_where_the_machine_has_gone():
    here, there = (f"qemu-{release} {OPTIONS} -device virtio-rng-pci,id=r1" for release in RELEASES[1:3])
    events = events_of(f"device_del r1; migrate {there}; device_del r1; system_reset; device_del r1")
    verdict = migrate_history(here, here, events)
    assert [one.refusal for one in verdict.answers] == [
        "",
        "",
        "PCI device unplug already in progress for device r1",
        "",
        "Device 'r1' not found",
    ]
    assert verdict.outcome is Outcome.REJECT  # the light of the empty slot has no connector of that state


@pytest.mark.parametrize(
    "event", ["device_add usb-kbd,id=k", "object_add rng-builtin,id=g", "device_add virtio-9p-pci"]
)
def test_what_was_not_compared_with_qemu_cannot_be_judged(event):
    with pytest.raises(NotModelled):
        after(event, options="-device nec-usb-xhci")


def test_a_guest_that_has_booted_can_go_on_to_a_third_host():
    line = f"qemu-10.0.13 {OPTIONS}"
    verdict = migrate_history(line, line, [f"migrate {line}"], guest=named_guest("linux-6.1"))
    assert verdict.outcome is Outcome.ACCEPT


def test_an_unplugged_core_may_crash_an_old_qemu_so_it_cannot_be_judged():
    with pytest.raises(NotModelled, match="may crash"):
        after(EVERYTHING[0], "device_del c1", release="7.2.22")


def test_an_unknown_event_is_an_error_that_names_the_known_ones():
    with pytest.raises(ConfigurationError, match="device_add, device_del"):
        after("sneeze")
