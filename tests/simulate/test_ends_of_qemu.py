"""Loads that end QEMU itself: each is a real run of 7.2.22, 10.0.13 or 11.1.3."""

from __future__ import annotations

import struct
from functools import cache

import pytest

from tests.support.bases import base, destination
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import Splice, Workbench
from vmstate.simulate.instance import Instance

RELEASES = ("7.2", "10.0", "11.1")


@cache
def bench(release):
    return Workbench(base(stream(release)).data)


def stream(release):
    return f"{release}-pseries-{release}"


def ends(release, splices):
    """Return the line that QEMU ends with, "" for a crash without one; None if it does not end."""
    instance = Instance(destination(stream(release)))
    with bench(release).changed(splices) as view:
        verdict = instance.load(view)
    if not verdict.aborted:
        return None
    return next((line for line in verdict.messages if "ssertion" in line), "")


def message_interrupts(release, *entries):
    at = base(stream(release)).leaves["spapr_pci.msi_devs_num"].start
    rows = b"".join(struct.pack(">III", *entry) for entry in entries)
    return [Splice(at, at + 4, struct.pack(">I", len(entries)) + rows)]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([(1, 1, 1)], None),
        ([(1, 0x1300, 1)] * 2, None),
        ([(1, 0x1300, 1), (2, 1, 1), (1, 1, 1)], None),
        ([(1, 0x12FF, 1)] * 2, "start >= 0"),
        ([(1, 0x2000, 0)] * 2, None),
        ([(1, 0x2000, 1)] * 2, "XIRQ_BASE"),
        ([(1, 0x1300, 0x10000)] * 2, ""),
        ([(1, 0x7FFFFFFF, 1)] * 2, ""),
    ],
)
def test_duplicate_message_interrupts_of_a_device(release, entries, line):
    end = ends(release, message_interrupts(release, *entries))
    assert (end is None) == (line is None)
    assert line is None or line in end


@pytest.mark.parametrize(
    ("place", "byte", "line"),
    [
        (0x20, 0x01, "TM_NSR"),
        (0x27, 0x01, "TM_PIPR"),
        (0x21, 0x01, "TM_CPPR"),
        (0x10, 0x01, "xive_nsr_indicates_exception(ring, nsr)"),
        (0x10, 0x81, "xive_tctx_pipr_set"),
        (0x10, 0xC0, None),
        (0x30, 0x81, None),
        (0x23, 0x01, None),
    ],
)
def test_a_presenter_whose_pool_ring_signals_ends_11_1(place, byte, line):
    for release in RELEASES:
        at = base(stream(release)).by_path["xive-tctx"].section.payload_start + place
        end = ends(release, [Splice(at, at + 1, bytes([byte]))])
        if release == "11.1" and line is not None:
            assert line in end
        else:
            assert end is None


@pytest.mark.parametrize(("release", "line"), [("7.2", ""), ("10.0", None), ("11.1", None)])
def test_a_pending_interrupt_for_a_missing_server(release, line):
    at = base(stream(release)).by_path["ics"].section.payload_start + 4 + 8 * 764
    assert ends(release, [Splice(at, at + 8, bytes([1, 1, 1, 1, 5, 5, 4, 2]))]) == line


@pytest.mark.parametrize("release", RELEASES)
def test_registers_of_a_transaction_overwrite_the_fields_after_them(release):
    """Zeros, as any guest in a transaction might send, make a null pointer of the interrupt presenter."""
    there = base(stream(release))
    step = Step("subsection-added", {"subsection": "cpu/tm", "fill": 0, "times": 1})
    (added,) = Recipe(there.sha256, there.name, (step,)).splices(there)
    assert ends(release, [added]) == ""
    payload = added.new.index(b"cpu/tm") + 10
    marks = bytearray(added.new)
    for place in range(256):
        struct.pack_into(">I", marks, payload + 256 + 4 * place, 0x41000000 | place)
    instance = Instance(destination(stream(release)))
    with bench(release).changed([Splice(added.start, added.end, bytes(marks))]) as view:
        verdict = instance.load(view)
    assert "Unknown compatibility PVR 0x410000a4" in verdict.messages


def test_xive_on_a_machine_without_it_ends_qemu():
    """A power8 only has XICS; seen on 11.1.3 with a stream whose option vector was changed."""
    name = "11.1-peripherals-pseries-6.0"
    there = base(name)
    drawn = {"bitmap": "spapr/spapr_option_vector_ov5_cas.ov5_cas.bitmap", "holes": "all but one"}
    instance = Instance(destination(name))
    with Workbench(there.data).changed(
        Recipe(there.sha256, name, (Step("bitmap-holes", drawn),)).splices(there)
    ) as view:
        verdict = instance.load(view)
    assert verdict.aborted
    assert verdict.messages[-1] == "set_active_intc: Assertion `new_intc' failed."


def test_a_queue_with_a_vector_beyond_the_devices_is_refused_before_the_devices_own_part():
    """Real 7.2.22 only names the field that could not be loaded."""
    name = "7.2-peripherals"
    there = base(name)
    step = Step("field-bit", {"field": "pci@800000020000001:00.0/virtio-rng.virtio.queues", "bit": 7})
    instance = Instance(destination(name))
    with Workbench(there.data).changed(Recipe(there.sha256, name, (step,)).splices(there)) as view:
        verdict = instance.load(view)
    assert verdict.messages[-3:] == [
        "Failed to load virtio-rng:virtio",
        "error while loading state for instance 0x0 of device 'pci@800000020000001:00.0/virtio-rng'",
        "load of migration failed: Invalid argument",
    ]
