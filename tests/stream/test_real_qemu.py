"""A real QEMU agrees: its streams are read completely, and it accepts stripped and edited ones."""

from __future__ import annotations

import shutil

import pytest

from vmstate.qemu import QemuRefused, QmpUnavailable, Session, capture, replay
from vmstate.qemu.command_line import QemuCommand
from vmstate.stream import Edit, Found, SectionType, open_stream, strip, writer
from vmstate.stream.sections.ram import PageKind
from vmstate.stream.sections.ram_pages import RamPages
from vmstate.stream.vmdesc.edit import replace_devices

pytestmark = pytest.mark.qemu

PSERIES = ["qemu-system-ppc64", "-nodefaults", "-machine", "pseries", "-m", "256"]
MACHINES = [
    PSERIES,
    ["qemu-system-ppc64", "-nodefaults", "-machine", "powernv9"],
    ["qemu-system-x86_64", "-machine", "q35", "-m", "64", "-device", "e1000e", "-device", "qemu-xhci"],
    [
        "qemu-system-x86_64",
        "-machine",
        "pc",
        "-m",
        "64",
        "-device",
        "virtio-net-pci",
        "-device",
        "virtio-scsi-pci",
    ],
    ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-m", "64"],
    ["qemu-system-arm", "-machine", "virt", "-m", "64"],
    ["qemu-system-s390x", "-m", "64"],
    ["qemu-system-riscv64", "-machine", "virt", "-m", "64"],
    ["qemu-system-ppc", "-machine", "g3beige", "-m", "64"],
    ["qemu-system-m68k", "-machine", "virt", "-m", "64"],
]


def taken(command, path, seconds=0.0, **more):
    """Capture a stream, or skip the test without that QEMU."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    try:
        capture(command, path, seconds, **more)
    except QmpUnavailable as error:
        pytest.skip(str(error))
    except QemuRefused as error:
        if "romfile" not in str(error):
            raise
        pytest.skip(f"{command[0]} is installed without its firmware: {error}")
    return open_stream(path)


@pytest.mark.parametrize("command", MACHINES, ids=lambda command: "-".join(command[:1] + command[-3:]))
def test_every_byte_of_a_machines_stream_is_named(command, tmp_path):
    stream = taken(command, tmp_path / "stream", 0.3 if command[0] != "qemu-system-s390x" else 0)
    assert stream.findings == []
    at = 0
    for item in stream.items:
        assert item.start == at
        at = item.end
    assert at == len(stream.data)
    assert Edit(stream).tobytes() == bytes(stream.data)
    for section, device in zip(stream.devices, stream.vmdesc.devices, strict=True):
        assert section.found == Found.VMDESC or not device.size.exact


# kvm-tpr-opt looks for its option ROM in guest memory: the stripped stream of a pc that ran is refused.
@pytest.mark.parametrize(("command", "seconds"), [(PSERIES, 0.5), (MACHINES[3], 0)], ids=["pseries", "pc"])
def test_a_stripped_stream_is_accepted(command, seconds, tmp_path):
    stream = taken(command, tmp_path / "stream", seconds)
    assert stream.ram.counts[PageKind.PAGE] > 0
    stripped = strip(stream).tobytes()
    assert replay(stripped, command).outcome == "accept"
    again = open_stream(stripped)
    assert again.ram.counts[PageKind.ZERO] == stream.ram.pages


@pytest.mark.parametrize("capability", ["xbzrle", "events"])
def test_streams_of_other_ways_to_migrate(capability, tmp_path):
    stream = taken(PSERIES, tmp_path / "stream", 0.3, capabilities=[capability])
    assert stream.findings == []
    assert Edit(stream).tobytes() == bytes(stream.data)


def test_edits_that_mean_nothing_are_accepted(tmp_path):
    stream = taken(PSERIES, tmp_path / "stream")
    edit = Edit(stream)
    text = stream.vmdesc.text
    edit.replace_vmdescription(replace_devices(text, {0: None}))  # a destination never reads it
    assert replay(edit.tobytes(), PSERIES).outcome == "accept"


def test_an_edited_footer_and_a_removed_section_end_as_they_are_read(tmp_path):
    stream = taken(PSERIES, tmp_path / "stream")
    rtc = stream.find("spapr/rtc")
    wrong = Edit(stream)
    wrong.replace(rtc.payload_end + 1, rtc.end, b"\0\0\xff\xff")
    verdict = replay(wrong.tobytes(), PSERIES)
    assert verdict.outcome == "reject"
    assert any("Mismatched section id in footer for spapr/rtc" in line for line in verdict.messages)
    assert [finding.rule for finding in open_stream(wrong.tobytes()).findings] == ["footer.id"]


def test_an_inserted_unknown_section_is_refused_where_we_report_it(tmp_path):
    stream = taken(PSERIES, tmp_path / "stream")
    last = stream.devices[-1]
    edit = Edit(stream)
    edit.insert(last.end, writer.full_section(0x7FFF, "nobody", 0, 1, b"?"))
    verdict = replay(edit.tobytes(), PSERIES)
    assert verdict.outcome == "reject"
    assert any("Unknown savevm section or instance 'nobody' 0" in line for line in verdict.messages)
    changed = open_stream(edit.tobytes())
    assert changed.findings == []
    assert [section.kind for section in changed.sections if section.idstr == "nobody"] == [SectionType.FULL]


def loaded_memory(command, path, size, out) -> bytes:
    """Return the first ``size`` bytes of a real QEMU's guest memory after it has loaded the stream."""
    with Session(QemuCommand.parse(command), incoming=True) as qemu:
        qemu.ask("migrate-incoming", uri=f"exec:cat {path}")
        for _ in qemu.polls("the stream to be loaded"):
            if qemu.ask("query-migrate").get("status") == "completed":
                break
        qemu.ask("pmemsave", val=0, size=size, filename=str(out))
        qemu.finish()
    return out.read_bytes()


@pytest.mark.parametrize(
    ("command", "block", "size"),
    [
        (PSERIES, "ppc_spapr.ram", 256 << 20),
        (["qemu-system-x86_64", "-machine", "pc", "-m", "64"], "pc.ram", 0xA0000),
    ],
    ids=["pseries", "pc"],
)
def test_guest_memory_is_what_qemu_makes_of_the_records(command, block, size, tmp_path):
    stream = taken(command, tmp_path / "stream", 0.5)
    index = [each.name for each in stream.ram.blocks].index(block)
    memory = loaded_memory(command, tmp_path / "stream", size, tmp_path / "memory")
    filled = 0
    for address, content in RamPages(stream.ram, stream.window).pages(index):
        if address < size:
            assert content == memory[address : address + len(content)], hex(address)
            filled += any(content)
    assert filled > 3
