"""Histories of guests that have booted: what they take in, release and refuse, and what nobody answers."""

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
    differing,
    judged_rows,
    machine,
    names,
)
from tests.support.recorded import rows
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.events import apply_event
from vmstate.simulate.guest import boot
from vmstate.simulate.history import migrate_history
from vmstate.simulate.instance import Instance

GUESTS = ("linux-6.1", "linux-6.12", "linux-7.2", "linux-6.12 disable_radix")
COLD = "-object memory-backend-ram,id=m1,size=256M -device pc-dimm,id=d1,memdev=m1"
ANSWERED, LEFT = EVERYTHING[:3], EVERYTHING[3:]
#: Rows of the recording that can be judged.
JUDGED = 160
CORE_ON, MODULE_ON, CARD_ON, BRIDGE_ON = (
    ("spapr_drc", index) for index in (0x10000001, 0x80000004, 0x40000000, 0x20000001)
)


def booted(
    *events: str, options: str = "", release: str = "10.0.13", guest: str = "linux-6.12"
) -> tuple[Instance, list[str]]:
    instance, configuration = machine(options, release)
    boot(instance, guest)
    return instance, [apply_event(instance, configuration, event).refusal for event in events]


def connectors(instance: Instance) -> set[tuple[str, int]]:
    return {key for key in names(instance) if key[0].startswith("spapr_drc")}


def log(instance: Instance) -> list[object]:
    return list(instance.device("spapr").pending_events)


def judged(events, source="", destination="", guest="linux-6.12", release="10.0.13"):
    line = f"qemu-{release} {OPTIONS} {{}}"
    return migrate_history(line.format(source), line.format(destination), events, guest=named_guest(guest))


# ---- recorded truth


def test_booted_guests_answer_as_recorded_and_their_streams_load_with_the_same_lines():
    count, differ = judged_rows(rows("booted-histories"))
    assert differ == []
    assert count >= JUDGED


# ---- laws


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("guest", GUESTS)
def test_what_a_guest_has_taken_in_leaves_no_connector_and_no_event(release, guest):
    instance, answers = booted(*ANSWERED, release=release, guest=guest)
    assert answers == ["", "", ""]
    assert (connectors(instance), log(instance)) == (set(), [])


@given(st.lists(st.sampled_from((EVERYTHING[0], *LEFT)), unique=True), st.sampled_from(GUESTS))
@settings(max_examples=20, deadline=None)
def test_a_reboot_takes_in_everything_that_was_plugged(events, guest):
    rebooted, _ = booted(*events, "system_reset", guest=guest)
    plain = booted(*events, "stop", "system_reset", "cont", guest=guest)[0]
    assert (connectors(rebooted), log(rebooted)) == (set(), [])
    assert differing(rebooted, plain) == set()


@given(st.lists(st.sampled_from((EVERYTHING[0], *LEFT)), unique=True))
@settings(max_examples=20, deadline=None)
def test_a_guest_that_goes_on_answers_what_it_was_asked_while_it_was_stopped(events):
    at_once, later = booted(*events)[0], booted("stop", *events, "cont")[0]
    assert connectors(at_once) == connectors(later)
    assert log(at_once) == log(later) == []


@pytest.mark.parametrize("release", ["7.2.22", "10.0.13", "11.1.3"])
def test_memory_that_was_plugged_and_released_leaves_the_machine_as_it_was(release):
    instance, answers = booted(*EVERYTHING[1:3], "device_del d1 released", "object_del m1", release=release)
    assert answers == [""] * 4
    assert differing(instance, booted(release=release)[0]) == set()


# ---- examples


@pytest.mark.parametrize("guest", GUESTS[:3])
def test_slots_and_host_bridges_wait_for_programs_that_no_one_runs(guest):
    instance, _ = booted(*LEFT, guest=guest)
    assert {CARD_ON, BRIDGE_ON} <= connectors(instance)
    assert log(instance) == []


def test_a_card_with_which_the_guest_has_booted_is_asked_for_and_stays_until_the_reboot():
    options = "-device virtio-rng-pci,id=r1"
    asked, answers = booted("device_del r1", "device_del r1", options=options)
    assert answers == ["", "PCI device unplug already in progress for device r1"]
    assert CARD_ON in connectors(asked)
    gone, _ = booted("device_del r1", "system_reset", options=options)
    assert connectors(gone) == {("spapr_drc/physical", 0x40000000)}


def test_a_stopped_guest_answers_nothing():
    instance, _ = booted("stop", EVERYTHING[0])
    assert connectors(instance) == {CORE_ON}
    assert len(log(instance)) == 1


def test_a_core_that_has_run_can_only_be_unplugged_where_qemu_does_not_crash():
    instance, answers = booted(EVERYTHING[0], "device_del c1", release="11.1.3")
    assert answers == ["", ""]
    assert ("cpu", 1) not in names(instance)
    for events in (
        [EVERYTHING[0], "device_del c1"],
        [EVERYTHING[0], "stop", "device_del c1", "system_reset"],
    ):
        with pytest.raises(NotModelled, match="may crash"):
            booted(*events, release="10.0.13")


def test_linux_keeps_the_memory_that_has_its_own_tables():
    silent, answers = booted("device_del d1", "device_del d1", EVERYTHING[0], options=COLD)
    assert answers == ["", "Memory unplug already in progress for device d1", ""]
    assert connectors(silent) == {MODULE_ON}


def test_qemu_notices_from_6_1_on_that_a_guest_refuses():
    noticed, answers = booted("device_del d1 refused", "device_del d1 refused", options=COLD)
    assert answers == ["", ""]
    assert connectors(noticed) == set()
    assert noticed.machine.printed == ["Device hotunplug rejected by the guest for device d1"] * 2
    with pytest.raises(NotModelled, match="keeps d1"):
        booted("device_del d1 refused", options=COLD, release="5.2.0")


def test_whether_a_guest_can_release_memory_must_be_said():
    large = COLD.replace("256M", "512M")
    for options, events in (("", EVERYTHING[1:3]), (large, ())):
        with pytest.raises(NotModelled, match=r"device_del d1 released\|kept\|refused"):
            booted(*events, "device_del d1", options=options)
    kept, _ = booted(*EVERYTHING[1:3], "device_del d1 kept")
    assert connectors(kept) == {MODULE_ON}


@pytest.mark.parametrize("event", ["device_del d1 gone", "device_del r1 released"])
def test_only_answers_about_memory_can_be_said(event):
    with pytest.raises(ConfigurationError, match="released, kept, refused"):
        booted(event, options=f"{COLD} -device virtio-rng-pci,id=r1")


def test_a_module_that_the_guest_has_kept_goes_with_the_reboot():
    instance, _ = booted(*EVERYTHING[1:3], "device_del d1 kept", "system_reset", "object_del m1")
    assert connectors(instance) == set()
    assert not instance.board.modules


def test_after_a_reboot_the_memory_that_was_plugged_has_the_tables():
    instance, _ = booted(*EVERYTHING[1:3], "system_reset", "device_del d1")
    assert connectors(instance) == {MODULE_ON}


def test_old_kernels_are_not_given_ranges_and_keep_their_memory():
    _, answers = booted("device_del d1", options=COLD, guest="linux-4.4")
    assert answers == ["Memory hot unplug not supported for this guest"]


@pytest.mark.parametrize("guest", ["linux-5.10", "linux-7.3", "rhel-8"])
def test_what_a_kernel_answers_that_was_not_seen_cannot_be_judged(guest):
    with pytest.raises(NotModelled, match="does with a device"):
        booted(EVERYTHING[0], guest=guest)


def test_a_guest_that_may_hang_after_a_migration_cannot_be_judged_until_it_boots_again():
    here, there = (f"qemu-{release} {OPTIONS}" for release in ("7.2.22", "11.1.3"))
    plug, core = f"migrate {there}", f"-device {CORE},id=c1,core-id=1"
    with pytest.raises(NotModelled, match="goes on after a migration"):
        migrate_history(here, there, [plug, EVERYTHING[0]], guest=named_guest("linux-6.1"))
    events = [plug, "system_reset", EVERYTHING[0]]
    verdict = migrate_history(here, f"{there} {core}", events, guest=named_guest("linux-6.1"))
    assert verdict.outcome is Outcome.ACCEPT


def test_another_guest_boots_with_its_own_mode():
    line = f"qemu-10.0.13 {OPTIONS}"
    instance, configuration = machine()
    boot(instance, "linux-6.1")
    apply_event(instance, configuration, "boot linux-4.4")
    assert (instance.guest.text, instance.negotiated.mmu) == ("linux-4.4", "hash")
    verdict = migrate_history(line, line, ["boot linux-4.4"], guest=named_guest("linux-6.1"))
    assert verdict.outcome is Outcome.ACCEPT


def test_a_machine_runs_only_if_a_guest_is_named():
    instance, configuration = machine()
    with pytest.raises(NotModelled, match="no guest is named"):
        apply_event(instance, configuration, "cont")
    apply_event(instance, configuration, "boot linux-6.1")
    assert instance.running


def test_a_destination_needs_what_the_guest_has_taken_in():
    core = f"-device {CORE},id=c1,core-id=1"
    assert judged([EVERYTHING[0]], destination=core).outcome is Outcome.ACCEPT
    assert judged([EVERYTHING[0]]).outcome is Outcome.REJECT
    memory = [COLD, ""]
    plugged = [MEMORY, EVERYTHING[2]]
    assert [judged(plugged, destination=one).outcome for one in memory] == [Outcome.ACCEPT, Outcome.REJECT]
    assert judged([*plugged, "device_del d1 released"]).outcome is Outcome.ACCEPT
    assert judged([*plugged, "device_del d1 kept"]).outcome is Outcome.REJECT
