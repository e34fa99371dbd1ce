"""Lines of QEMU explained: the table's own laws, the corpora, what the lines carry."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from vmstate.describe.history import Release
from vmstate.explain.formats import LONGEST, Format
from vmstate.explain.lines import explain_line, explained_line
from vmstate.explain.names import pci_register
from vmstate.explain.table import loader_kinds, table

FIXTURES = Path(__file__).parents[2] / "fixtures"
KNOWN = [json.loads(row) for row in (FIXTURES / "explain" / "known.jsonl").read_text("utf-8").splitlines()]
UNRELATED = [
    json.loads(row) for row in (FIXTURES / "explain" / "unrelated.jsonl").read_text("utf-8").splitlines()
]
UNKNOWN = (FIXTURES / "explain" / "unknown.txt").read_text("utf-8").splitlines()
VALUES = {
    "int": "-5", "hex": "1f", "float": "0.5", "pointer": "0x7f00", "text": "two words", "name": "word",
    "number": "7", "age": "too new", "errno": "Invalid argument",
}  # fmt: skip


def rules(line):
    return [one.rule for one in explain_line(line)]


# ---- the table


def instance(form):
    """Return a line of a format: values in its places."""
    text = "".join(literal + (VALUES[kind] if kind else "") for literal, kind, _ in form.pieces)
    return text + "Invalid argument" if form.prefix else text


def test_a_format_matches_its_own_lines_and_its_prefixes_leave_the_rest():
    for entry in table().entries:
        match = entry.format.match(instance(entry.format))
        assert match is not None, entry.format.text
        assert not entry.format.prefix or match.rest == "Invalid argument"


def test_every_line_of_the_table_is_explained_and_says_where_why_and_what_to_do():
    for entry in table().entries:
        assert explain_line(instance(entry.format)), entry.format.text
        assert all((entry.rule, entry.place, entry.meaning, entry.advice, entry.layer)), entry.format.text


def test_a_format_has_words_of_its_own():
    """No format is a placeholder with a colon: it would claim lines that it never saw."""
    for entry in table().entries:
        literal = "".join(literal for literal, _, _ in entry.format.pieces)
        assert len(re.findall("[A-Za-z!=]", literal)) >= 2 or "{what:age}" in entry.format.text
        if not entry.format.prefix and entry.rule not in {"not-equal", "element-version", "element-failed"}:
            assert len(re.findall("[A-Za-z]", literal)) >= 8, entry.format.text


def test_a_span_begins_before_it_ends():
    for entry in table().entries:
        since, until = entry.span.since, entry.span.until
        if isinstance(since, str) and isinstance(until, str):
            assert Release.parse(since) < Release.parse(until), entry.format.text


@given(st.text(max_size=200))
def test_any_text_is_answered(text):
    assert isinstance(explain_line(text), list)


@given(st.sampled_from(table().entries), st.text(st.characters(codec="ascii"), max_size=20))
def test_a_line_with_something_after_it_is_another_unless_the_format_ends_openly(entry, tail):
    last = entry.format.pieces[-1][0]
    if last and tail.strip() and not entry.format.prefix and not entry.format.errno:
        assert entry.format.match(instance(entry.format) + tail + "\x00") is None


def test_a_placeholder_of_numbers_takes_no_words():
    form = Format("Error {ret:int} while loading VM state")
    assert form.match("Error -22 while loading VM state").named == {"ret": "-22"}
    assert form.match("Error many while loading VM state") is None


def test_a_line_that_is_too_long_is_unknown():
    assert explain_line("Missing section footer for " + "x" * LONGEST) == []


# ---- the corpora


@pytest.mark.parametrize("row", KNOWN, ids=lambda row: row["line"][:40])
def test_a_line_of_the_corpus_is_explained_by_its_cause(row):
    assert rules(row["line"])[:1] == [row["rule"]]


def test_the_corpus_says_how_each_line_was_verified():
    ways = (
        "public report: ",
        "recorded: a real QEMU",
        "format in QEMU's source: ",
        "format in libvirt's source: ",
    )
    assert len(KNOWN) >= 400
    assert len(UNRELATED) >= 300
    assert all(row["verified"].startswith(ways) for row in [*KNOWN, *UNRELATED])


def test_lines_of_other_things_stay_unknown():
    assert len(UNKNOWN) >= 200
    assert [line for line in UNKNOWN if explain_line(line)] == []
    assert [line for line in UNKNOWN if explain_line(f"qemu-system-x86_64: {line}")] == []


def test_lines_that_have_nothing_to_do_with_migration_are_claimed_by_none():
    lines = [row["line"] for row in UNRELATED]
    assert [line for line in lines if explain_line(line)] == []
    assert explain_line("qemu-system-x86_64: Could not open '/dev/sdb': Permission denied") == []


@pytest.mark.parametrize("file", sorted((FIXTURES / "verdicts").glob("*.zst")), ids=lambda file: file.name)
def test_every_recorded_line_of_a_real_qemu_is_explained(file):
    raw = zstandard.ZstdDecompressor().decompress(file.read_bytes(), 1 << 30)
    lines = {line for row in raw.splitlines() for line in printed(json.loads(row))}
    assert [line for line in sorted(lines) if not rules(line) and not piece_of_a_name(line)] == []


def printed(value):
    """Yield every line of every ``stderr`` in a recording."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "stderr" and isinstance(one, list):
                yield from one
            else:
                yield from printed(one)
    elif isinstance(value, list):
        for one in value:
            yield from printed(one)


def piece_of_a_name(line):
    """A damaged name with a newline in it makes two lines of one."""
    begins = line.startswith("Unknown savevm section or instance '") and "Make sure" not in line
    return begins or bool(re.match(r"[^ ]*' \d+\. Make sure", line))


def test_every_diagnostic_of_the_loader_is_explained():
    kinds = {kind.rule() for kind in loader_kinds()} - {"command-refused"}  # its text is another's
    explained = {entry.rule for entry in table().entries}
    assert kinds <= explained


# ---- chains and prefixes


def test_the_format_with_the_most_words_of_its_own_decides():
    assert rules("Failed to load section ID: stream error: -22: Input/output error") != ["field-failed"]
    assert rules("Failed to load virtio-rng:virtio") == ["field-failed"]
    assert rules("Failed to load snapshot: Invalid argument")[0] == "snapshot-io"


def test_a_name_may_hold_what_follows_it_in_the_format():
    line = "ram_block_discard_range: Failed to fallocate 0000:00:02.0/vga.vram:1000+0 +1000 (-95)"
    assert rules(line) == ["ram-discard"]


def test_a_text_at_the_end_may_be_empty():
    assert rules("Certificate does not match the hostname ") == ["tls-credentials"]


def test_of_chained_errors_the_original_one_comes_first():
    hook = "post load hook failed for: cpu, version_id: 12, minimum_version: 12, ret: -1"
    section = f"error while loading state for instance 0x0 of device 'cpu': {hook}"
    line = f"load of migration failed: Invalid argument: {section}"
    assert rules(line) == ["hook-failed", "section-failed", "load-failed"]


def test_an_option_before_a_message_is_taken_off():
    line = '-device {"driver": "virtio-rng-pci"}: Only one balloon device is supported'
    assert rules(f"qemu-system-ppc64: {line}") == ["virtio-balloon"]
    assert rules(
        "qemu-kvm: -incoming tcp:0:4444: Failed to find an available port: Address already in use"
    ) == ["socket"]


def test_a_thread_that_could_not_be_made_is_no_topology():
    assert rules("qemu_thread_create: Resource temporarily unavailable") == []


# ---- what a line carries


TSC = "TSC frequency mismatch between VM (2593906 kHz) and host (2394455 kHz), and TSC scaling unavailable"


@pytest.mark.parametrize(
    ("line", "facts"),
    [
        (f"warning: {TSC}", ["199451 kHz (83297 ppm)"]),
        (
            "Features 0x1c0010130afffa7 unsupported. Allowed features: 0x179bfffe7",
            ["RING_RESET", "GUEST_USO4", "GUEST_USO6", "HOST_USO", "property host_uso"],
        ),
        (
            "VQ 0 size 0x80 Guest index 0x12c inconsistent with Host index 0x134: delta 0xfff8",
            ["8 entries behind", "older"],
        ),
        ("VQ 2 size 0x80 < last_avail_idx 0xb57 - used_idx 0xb59", ["2 more requests", "newer"]),
        (
            "get_pci_config_device: Bad config data: i=0x34 read: 84 device: 98 cmask: ff wmask: 0 w1cmask:0",
            ["pointer to the first capability", "0x84", "0x98", "differ: 0x1c"],
        ),
        ("error: failed to set MSR 0x48f to 0x7fefff00036dfb", ["IA32_VMX_TRUE_EXIT_CTLS"]),
        ("Error -22 while loading VM state", ["EINVAL"]),
        ("load of migration failed: Operation not permitted", ["EPERM, 1"]),
        ("Unknown combination of migration flags: 0x18", ["PAGE, EOS"]),
        ("Missing section footer for 0000:00:01.3/piix4_pm", ["power management", "addr=0x1.3"]),
        (
            "Size mismatch: pc.ram: 0x40000000 != 0x3e800000: Invalid argument",
            ["stream 1 GiB", "here 1000 MiB"],
        ),
        ('Unknown ramblock "0000:00:03.0/virtio-net-pci.rom", cannot accept migration', ["option ROM"]),
        ("Compatibility PVR 0x0f000005 not valid for CPU", ["max-cpu-compat=power9"]),
    ],
)
def test_what_a_line_carries_is_decoded(line, facts):
    carried = "\n".join(fact for known in explained_line(line) for fact in known.carries())
    assert [fact for fact in facts if fact not in carried] == []


def test_registers_of_configuration_space_have_names():
    assert pci_register(0x04) == "command"
    assert pci_register(0x05) == "command, byte 1"
    assert pci_register(0x10) == "BAR 0"
    assert "capability" in pci_register(0x9A)
    assert "extended" in pci_register(0x10A)
