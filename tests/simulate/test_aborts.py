"""Streams that end QEMU itself: a reject, with QEMU's last line, if it prints one."""

from __future__ import annotations

import pytest

from tests.support.machines import PLAIN, command, patched, stream_of
from vmstate.simulate.migration import load, migrate

ALLOCATE = "GLib: ../../../glib/gmem.c:136: failed to allocate {} bytes"


@pytest.mark.parametrize(
    ("section", "skip", "element"),
    [
        ("spapr_iommu", 4, 8),
        ("spapr_pci", 24, 12),
        ("nvram@71000000/spapr_nvram", 0, 1),
    ],
)
@pytest.mark.parametrize("count", [0x80000000, 0xFFFFFFFF, 0xFFFF0000])
def test_a_negative_count_of_elements_to_allocate(section, skip, element, count):
    data = patched(stream_of(PLAIN), section, skip, count.to_bytes(4, "big"))
    verdict = load(data, PLAIN)
    size = (count - (1 << 32)) * element + (1 << 64)
    assert (verdict.outcome, verdict.messages) == ("reject", [ALLOCATE.format(size)])
    assert verdict.decided_by.rule == "aborted"


def test_entries_of_a_missing_hash_table():
    data = patched(stream_of(PLAIN), "spapr/htab", 0, b"\xff" * 4)
    verdict = load(data, PLAIN)
    assert verdict.outcome == "reject"
    assert verdict.messages == ["htab_load: Assertion `kvm_enabled()' failed."]


def test_a_pending_interrupt_of_a_missing_processor():
    xics = command("pseries-7.2,ic-mode=xics")
    source = bytes([0, 0, 0, 9, 4, 4, 4, 2])  # server 9, priority 4, rejected, a message interrupt
    verdict = load(patched(stream_of(xics), "ics", 4, source), xics)
    assert (verdict.outcome, verdict.messages) == ("reject", [])
    assert "crashes" in verdict.decided_by.message
    there = bytes([0, 0, 0, 0, 4, 4, 4, 2])
    assert load(patched(stream_of(xics), "ics", 4, there), xics).outcome == "accept"


@pytest.mark.parametrize("release", ["10.0.13", "10.2.2"])
def test_a_description_needs_a_configuration(release):
    source = f"{command('pseries-7.2', release)} -global migration.send-configuration=off"
    verdict = migrate(source, source)
    assert verdict.outcome == "source-refused"
    assert verdict.source_messages[-1] == "leave_container: Assertion `depth' failed."
    old = f"{command('pseries-5.2')} -global migration.send-configuration=off"
    assert migrate(old, old).outcome == "accept"


def test_all_ones_find_an_entry_without_an_alias():
    data = bytearray(stream_of(PLAIN))
    at = data.index(b"\x05timer") + 6
    data[at : at + 4] = b"\xff" * 4
    assert load(bytes(data), PLAIN).outcome == "accept"


def test_a_part_of_section_0_goes_to_an_entry_that_has_not_started():
    data = bytearray(stream_of(PLAIN))
    at = data.index(b"\x05timer") - 5
    data[at] = 3
    data[at + 1 : at + 5] = bytes(4)
    lines = load(bytes(data), PLAIN).messages
    assert lines[1] == "error while loading state section id 0(timer)"


def test_a_destination_that_fails_an_assertion_when_it_starts_is_no_refusal():
    crashing = "qemu-7.2 -nodefaults -machine pseries-7.2,cap-vsx=on -cpu power5+_v2.1"
    there, back = migrate(PLAIN, crashing), migrate(crashing, PLAIN)
    assert (there.outcome, there.decided_by.rule, there.aborted) == ("reject", "aborted", True)
    assert "cap_vsx_apply: assertion failed" in there.messages[-1]
    assert there.as_json()["aborted"] is True
    assert (back.outcome, back.decided_by.rule) == ("source-refused", "aborted")
    assert "aborted" not in migrate(PLAIN, PLAIN).as_json()
