"""The patterns of security bugs that streams could reach: each has a mutation, and each is stopped.

The streams are captured ones, and one of the simulated QEMU 3.1, the last release that checks the control
transfers of USB devices.  docs/fuzzing.md has the table for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support import bases
from vmstate.errors import StreamError
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.compact import compact
from vmstate.fuzz.mutations import MUTATIONS
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import applied
from vmstate.pseries.startup.build import Machine, build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.instance import Instance
from vmstate.stream import open_stream

SMALL, DEVICES, BOOTED, OLD = (
    "7.2-pseries-7.2",
    "7.2-peripherals",
    "7.2-booted-power8-hpt-xics",
    "2.9.1-pseries-2.1",
)
USB = "3.1 with USB devices"
USB_MACHINE = "qemu-3.1 -nodefaults -machine pseries-3.1,cap-htm=off -m 256"
USB_DEVICES = "-device pci-ohci,id=o -device usb-kbd,bus=o.0"
NET = "pci@800000020000000:00.0/virtio-net.virtio"
KEYBOARD = "pci@800000020000000:00.0/1/usb-kbd.dev"
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "fuzzing.md"


@dataclass(frozen=True)
class Case:
    """A mutation of a stream, and the check that stops it: its rule, the field, and QEMU's first line."""

    pattern: str
    stream: str
    mutation: str
    parameters: dict[str, object]
    rule: str
    path: str | None
    line: str


CASES = (
    Case(
        "count as array bound",
        SMALL,
        "count-edge",
        {"count": "ics.nr_irqs", "value": "+1", "repaired": True},
        "not-equal",
        "nr_irqs",
        "1000 != 1001",
    ),
    Case(
        "count as array bound",
        SMALL,
        "counts-agree",
        {"array": "PCIBUS.irq_count", "value": "+1"},
        "not-equal",
        "nirq",
        "4 != 5",
    ),
    Case(
        "count as array bound",
        DEVICES,
        "count-edge",
        {"count": f"{NET}.queues", "value": "0xffff", "repaired": True},
        "field-failed",
        "virtio.queues",
        "Invalid number of virtqueues: 0xffff",
    ),
    Case(
        "count as array bound",
        SMALL,
        "field-edge",
        {"field": "spapr_pci.msi_devs_num", "value": "half"},
        "aborted",
        "msi_devs",
        "GLib: ../../../glib/gmem.c:136: failed to allocate 18446744047939747840 bytes",
    ),
    Case(
        "index as array bound",
        DEVICES,
        "field-edge",
        {"field": f"{NET}.queue_sel", "value": "top"},
        "field-failed",
        "virtio.queue_sel",
        "Failed to load virtio-net:virtio",
    ),
    Case(
        "index as array bound",
        DEVICES,
        "field-edge",
        {"field": f"{NET}.config_vector", "value": "0x7f"},
        "field-failed",
        "virtio.config_vector",
        "Failed to load virtio-net:virtio",
    ),
    Case(
        "signed length",
        USB,
        "field-edge",
        {"field": f"{KEYBOARD}.setup_len", "value": "-1"},
        "hook-failed",
        "dev",
        "Failed to load usb-kbd:dev",
    ),
    Case(
        "signed length",
        OLD,
        "page-compressed",
        {"body": "ram#1", "length": 0x80000000},
        "live-state-failed",
        None,
        "Invalid compressed data length: -2147483648",
    ),
    Case(
        "signed length",
        SMALL,
        "capabilities",
        {"name": "xbzrle", "times": 1, "count": "0x80000000"},
        "aborted",
        "configuration/capabilities.capabilities",
        "GLib: ../../../glib/gmem.c:136: failed to allocate 18446744065119617024 bytes",
    ),
    Case(
        "buffer length against a fixed array",
        SMALL,
        "page-xbzrle",
        {"body": "ram#1", "length": 0x1001, "encoding": 1, "data": "zeros"},
        "live-state-failed",
        None,
        "Failed to load XBZRLE page - len overflow!",
    ),
    Case(
        "buffer length against a fixed array",
        USB,
        "field-edge",
        {"field": f"{KEYBOARD}.setup_len", "value": "0x10000"},
        "hook-failed",
        "dev",
        "Failed to load usb-kbd:dev",
    ),
    Case(
        "buffer length against a fixed array",
        SMALL,
        "configuration-length",
        {"length": "0xffffffff"},
        "aborted",
        "name",
        "GLib: ../../../glib/gmem.c:136: failed to allocate 18446744073709551615 bytes",
    ),
    Case(
        "index and length whose sum overflows",
        BOOTED,
        "htab-chunk",
        {"section": "spapr/htab#1", "index": 0xFFFF0000, "valid": 0, "invalid": 0xFFFF, "data": True},
        "live-state-failed",
        None,
        "htab_load() bad index -65536 (0+-1 entries) in htab stream (htab_shift=23)",
    ),
    Case(
        "index and length whose sum overflows",
        BOOTED,
        "htab-chunk",
        {"section": "spapr/htab#1", "index": 0xFFFFFFFF, "valid": 1, "invalid": 0, "data": True},
        "aborted",
        None,
        "",
    ),
    Case(
        "index and length whose sum overflows",
        USB,
        "sum-overflows",
        {"pair": f"{KEYBOARD}.setup_len", "split": "half+half"},
        "hook-failed",
        "dev",
        "Failed to load usb-kbd:dev",
    ),
    Case(
        "index and length whose sum overflows",
        USB,
        "sum-overflows",
        {"pair": f"{KEYBOARD}.setup_len", "split": "0+length"},
        "hook-failed",
        "dev",
        "Failed to load usb-kbd:dev",
    ),
    Case(
        "RAM offset beyond its block",
        SMALL,
        "page-address",
        {"page": "ram#1.pages[1]", "address": "block"},
        "live-state-failed",
        None,
        "Illegal RAM offset 10000000",
    ),
    Case(
        "RAM offset beyond its block",
        SMALL,
        "block-length",
        {"block": "ram.blocks[0]", "length": "+0x1000", "repaired": True},
        "live-state-failed",
        None,
        "Size mismatch: ppc_spapr.ram: 0x10001000 != 0x10000000: Invalid argument",
    ),
    Case(
        "RAM offset beyond its block",
        SMALL,
        "ram-total",
        {"total": "+0x1000"},
        "live-state-failed",
        None,
        'Unknown ramblock "", cannot accept migration',
    ),
    Case(
        "page size or bitmap offset of zero",
        SMALL,
        "target-page-bits",
        {"bits": 0},
        "hook-failed",
        None,
        "Received TARGET_PAGE_BITS is 0 but local is 12",
    ),
    Case(
        "enum index",
        SMALL,
        "run-state",
        {"state": "globalstate.runstate", "name": "nothing"},
        "hook-failed",
        None,
        "invalid parameter value: nothing",
    ),
    Case(
        "enum index",
        SMALL,
        "capability-level",
        {"capability": "spapr/cap/cfpc.mig.caps[0x03]", "level": 0xFF},
        "capability",
        "cap-cfpc",
        "cap-cfpc higher level (255) in incoming stream than on destination (0)",
    ),
    Case(
        "enum index",
        SMALL,
        "compat-pvr",
        {"cpu": "cpu", "pvr": "0x0f000007"},
        "ppc_set_compat",
        "compat_pvr",
        "Unknown compatibility PVR 0x0f000007",
    ),
    Case(
        "combination that only post_load can reject",
        DEVICES,
        "element-edge",
        {"array": f"{NET}.vq", "index": 0, "field": "last_avail_idx", "value": "1"},
        "field-failed",
        "virtio.vq[0]",
        "VQ 0 address 0x0 inconsistent with Host index 0x1",
    ),
    Case(
        "combination that only post_load can reject",
        "7.2-max-compat-power8",
        "compat-pvr",
        {"cpu": "cpu", "pvr": "0x0f000006"},
        "ppc_set_compat",
        "compat_pvr",
        "Compatibility PVR 0x0f000006 not valid for CPU",
    ),
)

PATTERNS = tuple(dict.fromkeys(case.pattern for case in CASES))


@cache
def with_usb() -> tuple[Anatomy, Machine]:
    machine = build(parse(f"{USB_MACHINE} {USB_DEVICES}")).machine
    assert machine is not None
    return Anatomy(compact(Instance(machine).save()), USB), machine


def loaded(case: Case) -> Verdict:
    anatomy, machine = (
        with_usb() if case.stream == USB else (bases.base(case.stream), bases.destination(case.stream))
    )
    recipe = Recipe(anatomy.sha256, case.stream, (Step(case.mutation, case.parameters),))
    splices = recipe.splices(anatomy)
    assert splices
    return Instance(machine, trace=True).load(memoryview(applied(anatomy.data, splices)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.pattern}: {case.mutation} of {case.stream}")
def test_a_pattern_reaches_the_check_that_stops_it(case: Case):
    verdict = loaded(case)
    decided = verdict.decided_by
    assert decided is not None, verdict
    assert (decided.rule, decided.path) == (case.rule, case.path)
    assert (verdict.messages[0] if verdict.messages else "") == case.line


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"page_size": "0", "bitmap": "right", "pages": "right", "version": 1}, "bad mapped-ram header"),
        ({"page_size": "1023", "bitmap": "right", "pages": "right", "version": 1}, "bad mapped-ram header"),
        ({"page_size": "0x10000", "bitmap": "0", "pages": "right", "version": 1}, "regions overlap"),
        ({"page_size": "0x10000", "bitmap": "right", "pages": "0", "version": 1}, "regions overlap"),
    ],
)
def test_a_mapped_ram_header_of_zeros_is_stopped_by_the_parser(parameters, found):
    """A destination has the capability only on request; a parser must not divide by the header's 0."""
    data = bases.mutated(SMALL, ("mapped-ram-header", parameters))
    try:
        findings = [finding.message for finding in open_stream(data).findings]
    except StreamError as error:
        findings = [str(error)]
    assert any(found in message for message in findings), findings


def test_without_the_mutation_the_streams_are_accepted():
    for name in {case.stream for case in CASES} - {USB}:
        verdict = Instance(bases.destination(name)).load(memoryview(bases.base(name).data))
        assert verdict.outcome == "accept", (name, verdict)
    anatomy, machine = with_usb()
    assert Instance(machine).load(memoryview(anatomy.data)).outcome == "accept"


def test_every_case_names_a_mutation_and_is_in_the_documents_table():
    text = DOCUMENT.read_text()
    for case in CASES:
        assert case.mutation in MUTATIONS
        row = next((line for line in text.splitlines() if line.startswith(f"| {case.pattern} ")), None)
        assert row is not None, case.pattern
        assert f"`{case.mutation}`" in row, (case.mutation, row)


def test_the_document_lists_all_mutations_by_kind():
    kinds: dict[str, list[str]] = {}
    for mutation in MUTATIONS.values():
        kinds.setdefault(mutation.kind, []).append(mutation.name)
    listed = {kind: " ".join(f"`{name}`" for name in sorted(names)) for kind, names in kinds.items()}
    rows = [f"| {kind} | {names} |" for kind, names in listed.items()]
    text = DOCUMENT.read_text()
    assert [row for row in rows if row not in text] == []
