"""Records: written and read, compared, and streams judged by them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import corpus
from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.front.opening import open_stream_file
from vmstate.records import changes, judge, read_record, write_record
from vmstate.savevm.verdict import Outcome
from vmstate.stream.edit import Edit
from vmstate.stream.reader import open_stream
from vmstate.tree import Contents
from vmstate.tree.typed_changes import changed

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "records" / "qemu-system-ppc64-7.2"


@pytest.fixture(scope="module")
def record():
    return read_record(FOLDER)


def judged(name, record, machine=None):
    return judge(open_stream(corpus.load(name)), record, machine)


def test_what_is_written_is_read(record, tmp_path):
    written = write_record(record, tmp_path)
    assert written == sorted(dict(record.files()))
    assert list(changes(record, read_record(tmp_path))) == []
    assert dict(read_record(tmp_path).files()) == dict(record.files())
    assert write_record(record, tmp_path) == []


def test_the_recorded_folder_is_what_would_be_written(record):
    on_disk = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert on_disk == set(dict(record.files()))


def test_a_file_of_a_machine_type_that_is_gone_is_removed(record, tmp_path):
    write_record(record, tmp_path)
    fewer = replace(record, machines={"g3beige": record.machines["g3beige"]})
    assert "machines/pseries-7.2.json" in write_record(fewer, tmp_path)
    assert sorted(path.name for path in (tmp_path / "machines").iterdir()) == [
        "g3beige.json",
        "g3beige.mig.zst",
        "g3beige.qtree",
    ]


def test_each_kind_of_change_is_said(record):
    one = record.machines["pseries-7.2"]
    about = json.loads(json.dumps(one.about))
    about["values"]["cap-htm"] = "another"
    about["sections"].pop()
    changed = replace(one, about=about, tree=one.tree.replace("ddw = true", "ddw = false"), stream=b"other")
    other = replace(
        record,
        head={**record.head, "qemu": "7.2.99"},
        machines={"pseries-7.2": changed, "new": one},
        schema_text=None,
    )
    said = [f"{where}: {what}" for where, what in changes(record, other)]
    for part in (
        "record: qemu: '7.2.22' before, now '7.2.99'",
        "g3beige: is gone",
        "new: is new",
        "pseries-7.2: values.cap-htm: ",
        "pseries-7.2: sections: ",
        "pseries-7.2: properties of devices differ in 2 lines: -ddw = true; +ddw = false",
        "pseries-7.2: another stream is sent",
        "schema: descriptions differ",
    ):
        assert any(line.startswith(part) for line in said), part
    assert len(said) == 8


@pytest.mark.parametrize("name", ["g3beige", "pseries-7.2"])
def test_a_recorded_stream_is_taken_by_its_own_record(record, name):
    found = judge(open_stream(record.machines[name].stream), record, name)
    assert found.verdict.outcome is Outcome.ACCEPT
    assert {f.rule for f in found.findings} <= {"record.not-compared", "record.no-hooks"}


def test_two_subsections_of_one_name_are_refused_as_by_real_qemu(record):
    """The real 7.2 refuses bamboo's own stream: "Missing section footer for cpu"."""
    bamboo = replace(read_record(FOLDER.parent / "bamboo-7.2"), schema_text=record.schema_text)
    verdict = judge(open_stream(bamboo.machines["bamboo"].stream), bamboo, "bamboo").verdict
    assert (verdict.outcome, verdict.decided_by.section) == (Outcome.REJECT, "cpu")
    assert verdict.decided_by.path.startswith("cpu/tlb6xx.")


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "7.2-xive", "7.2-max-compat-power8", "7.2-no-vmdesc"])
def test_what_real_qemu_takes_is_not_refused(record, name):
    """Replayed with the real 7.2, ``-nodefaults -m 256 -machine pseries-7.2``: accepted."""
    assert judged(name, record).verdict.outcome is Outcome.ACCEPT


def started(record):
    """The lines of a start, which the record has too."""
    lines = record.machines["pseries-7.2"].about["lines"]
    assert len(lines) == 4
    return lines


#: What the real 7.2, ``-nodefaults -m 256 -machine pseries-7.2``, printed after the lines of its start.
REFUSED = {
    "7.2-hotplug-memory": [
        "Size mismatch: ppc_spapr.ram: 0x20000000 != 0x10000000: Invalid argument",
        "error while loading state for instance 0x0 of device 'ram'",
        "load of migration failed: Invalid argument",
    ],
    "7.2-default": [
        'Unknown ramblock "pci@800000020000000:00.0/vga.vram", cannot accept migration',
        "error while loading state for instance 0x0 of device 'ram'",
        "load of migration failed: Invalid argument",
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_real_qemu_refuses_is_refused_in_its_words(record, name):
    verdict = judged(name, record).verdict
    assert (verdict.outcome, verdict.messages) == (Outcome.REJECT, [*started(record), *REFUSED[name]])


def test_an_unknown_section_is_refused(record):
    one = record.machines["pseries-7.2"]
    changed = bytearray(one.stream)
    at = changed.index(b"spapr-xive")
    changed[at : at + 10] = b"spapr-nine"
    verdict = judge(open_stream(bytes(changed)), record).verdict
    assert verdict.outcome is Outcome.REJECT
    assert verdict.messages[-2].startswith("Unknown savevm section or instance 'spapr-nine' 0.")


def test_a_newer_section_is_refused(record):
    one = record.machines["pseries-7.2"]
    changed = bytearray(one.stream)
    at = changed.index(b"\x05spapr\0\0\0\0") + 6 + 4
    changed[at : at + 4] = (9).to_bytes(4, "big")
    verdict = judge(open_stream(bytes(changed)), record).verdict
    assert verdict.messages == [
        *started(record),
        "savevm: unsupported version 9 for 'spapr' v3",
        "load of migration failed: Invalid argument",
    ]


def test_another_layout_is_refused(record):
    """A record whose machine has a narrower register, as its stream's own description says."""
    one = record.machines["pseries-7.2"]
    wide, narrow = (
        b'"env.nip", "type": "uint64", "size": 8',
        b'"env.nip", "type": "uint32", "size": 4',
    )
    assert one.stream.count(wide) == 1
    changed = replace(one, stream=one.stream.replace(wide, narrow))
    other = replace(record, schema_text=None, machines={one.name: changed})
    verdict = judge(open_stream(one.stream), other).verdict
    assert (verdict.outcome, verdict.messages) == (Outcome.REJECT, [])
    assert verdict.decided_by.path == "cpu.env.nip"


def test_a_section_that_the_machine_may_have_cannot_be_judged(record):
    verdict = judged("7.2-devices", record).verdict
    assert verdict.outcome is Outcome.NOT_MODELLED
    assert verdict.decided_by.section == "cpu_common"


def test_a_stream_with_commands_cannot_be_judged(record):
    assert judged("7.2-ppc64-pseries-postcopy-active", record).verdict.outcome is Outcome.NOT_MODELLED


def test_a_stream_of_another_type_is_refused_only_where_it_is_told_to_load(record):
    with pytest.raises(
        ConfigurationError, match=r"no machine type 'pseries-10\.0'; it has g3beige, pseries-7\.2"
    ):
        judged("10.0-pseries-10.0", record)
    verdict = judged("10.0-pseries-10.0", record, "pseries-7.2").verdict
    assert verdict.messages[-2] == "Machine type received is 'pseries-10.0' and local is 'pseries-7.2'"


def test_the_command_says_that_no_hooks_were_run(tmp_path, capsys):
    path = tmp_path / "stream"
    path.write_bytes(corpus.load("7.2-pseries-7.2"))
    assert main(["load", str(path), "--on", str(FOLDER)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("not refused by anything that was compared\n")
    assert "no hooks were run" in out
    path.write_bytes(corpus.load("7.2-default"))
    assert main(["load", str(path), "--on", f"{FOLDER}:pseries-7.2"]) == 1
    path.write_bytes(corpus.load("7.2-devices"))
    assert main(["load", "--json", str(path), "--on", str(FOLDER)]) == 2
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert (result["outcome"], result["hooks"], result["machine"]) == (
        "not modelled",
        "not run",
        "pseries-7.2",
    )


@pytest.mark.parametrize(
    ("file", "contents"),
    [
        ("record.json", b"{}"),
        ("record.json", b"no"),
        ("record.json", b'{"vmstate-record": 1, "machines": ["../../x"]}'),
        ("record.json", b'{"vmstate-record": 2, "machines": []}'),
        ("machines/g3beige.json", b"[]"),
        ("machines/g3beige.mig.zst", b"nothing"),
        ("schema.json.zst", b"\x28\xb5\x2f\xfd"),
    ],
)
def test_a_damaged_record_is_refused_in_words(tmp_path, file, contents):
    folder = tmp_path / "record"
    shutil.copytree(FOLDER, folder)
    (folder / file).write_bytes(contents)
    with pytest.raises(ConfigurationError, match=str(folder)):
        read_record(folder)


@pytest.mark.qemu
def test_a_real_qemu_is_recorded_twice_alike(tmp_path):
    from vmstate.qemu import QemuCommand, QemuNotFound, find
    from vmstate.qemu.machine_recorder import MachineRecorder

    try:
        path = find().path
    except QemuNotFound as error:
        pytest.skip(str(error))
    command = QemuCommand(path, ("-nodefaults", "-m", "256"))
    one, other = (MachineRecorder(command).record(["bamboo"], None) for _ in range(2))
    assert dict(one.files()) == dict(other.files())
    assert list(changes(one, other)) == []
    assert one.machine("bamboo").about["blocks"]


# ---- what real QEMUs of other architectures have said


def recorded(folder):
    return read_record(FOLDER.parent / folder)


@pytest.fixture(scope="module")
def x86():
    return recorded("x86_64-7.2")


def test_a_subsection_that_was_sent_and_is_not_known_is_refused(x86):
    """It is of no matter under which condition the source sends it: it is there."""
    contents = Contents(open_stream(x86.machines["pc-q35-7.2"].stream))
    verdict = judge(open_stream(changed(contents, ["+cpu[0]/foo@1=0011"])), x86).verdict
    assert (verdict.outcome, verdict.decided_by.path) == (Outcome.REJECT, "cpu/foo")
    assert verdict.messages == [
        *NO_PEER,
        "error while loading state for instance 0x0 of device 'cpu'",
        "load of migration failed: No such file or directory",
    ]


def test_a_subsection_that_only_another_state_may_send_cannot_be_judged(x86):
    """Without the program's descriptions nobody knows what it does not send here."""
    contents = Contents(open_stream(x86.machines["pc-q35-7.2"].stream))
    stream = open_stream(changed(contents, ["+cpu[0]/foo@1=0011"]))
    assert judge(stream, replace(x86, schema_text=None)).verdict.outcome is Outcome.NOT_MODELLED


NO_PEER = ["warning: nic virtio-net-pci.0 has no peer"]
FAILED = "load of migration failed: Invalid argument"


@pytest.mark.parametrize(
    ("folder", "machine", "to", "kind", "lines"),
    [
        (
            "x86_64-7.2",
            "pc-i440fx-2.3",
            "x86_64-7.2",
            "pc-i440fx-2.4",
            [*NO_PEER, "Configuration section missing", FAILED],
        ),
        (
            "x86_64-7.2",
            "pc-i440fx-2.4",
            "x86_64-7.2",
            "pc-i440fx-2.3",
            [*NO_PEER, "Unknown savevm section type 7", FAILED],
        ),
        (
            "aarch64-10.0",
            "virt-7.2",
            "aarch64-7.2",
            "virt-7.2",
            [
                "Invalid value 274 expecting positive value <= 258",
                "Failed to load cpu:cpreg_vmstate_array_len",
                "error while loading state for instance 0x0 of device 'cpu'",
                FAILED,
            ],
        ),
    ],
)
def test_what_each_side_sends_around_and_in_sections_is_compared(folder, machine, to, kind, lines):
    verdict = judge(open_stream(recorded(folder).machines[machine].stream), recorded(to), kind).verdict
    assert (verdict.outcome, verdict.messages) == (Outcome.REJECT, lines)


def test_a_command_that_the_release_does_not_have_is_refused():
    stream = recorded("s390x-10.0").machines["s390-ccw-virtio-10.0"].stream
    renamed = changed(Contents(open_stream(stream)), ["configuration.name=s390-ccw-virtio-7.2"])
    verdict = judge(open_stream(renamed), recorded("s390x-7.2")).verdict
    assert verdict.messages == ["MIG_CMD 0xb unknown (len 0x0)", FAILED]


def test_footers_of_one_side_alone_are_refused(x86):
    old = x86.machines["pc-i440fx-2.4"]
    stream = open_stream(old.stream)
    edit = Edit(stream)
    for section in stream.sections:
        edit.replace(section.payload_end, section.end, b"")
    bare = edit.tobytes()
    assert judge(open_stream(bare), x86).verdict.messages == [
        *NO_PEER,
        "Missing section footer for ram",
        FAILED,
    ]
    without = replace(x86, machines={old.name: replace(old, stream=bare)})
    assert judge(stream, without).verdict.messages == [*NO_PEER, "Unknown savevm section type 126", FAILED]


def test_the_bytes_that_qemu_writes_by_hand_may_have_any_size(x86):
    """Of ports, queues and requests of a virtio device the real 7.2 takes more than the record has sent."""
    one = x86.machines["pc-q35-7.2"]
    found = re.search(rb'"type": ?"virtio", ?"size": ?(\d+)', one.stream)
    longer = one.stream.replace(found[0], found[0].replace(found[1], str(int(found[1]) + 8).encode()))
    verdict = judge(open_stream(longer), replace(x86, schema_text=None)).verdict
    assert verdict.outcome is Outcome.NOT_MODELLED
    assert "unless QEMU's code says otherwise" in verdict.decided_by.message


def with_bits(stream, at, bits):
    changed_bytes = bytearray(stream)
    changed_bytes[at] ^= bits
    return bytes(changed_bytes)


@pytest.fixture(scope="module")
def card(x86):
    """The stream of a q35 with a network card, and where the card's configuration space begins."""
    stream = x86.machines["pc-q35-7.2"].stream
    contents = Contents(open_stream(stream))
    section = next(one for one in contents.stream.devices if one.idstr.endswith("/virtio-net"))
    todo = [contents.node(section)]
    while todo[0].type != "pci config":
        todo = [*todo[0].children, *todo[1:]]
    return stream, todo[0].start


@pytest.mark.parametrize(
    ("at", "bits", "register"),
    [(0x02, 1, "device_id"), (0x20, 8, "bar4"), (0x0A, 1, "class_device"), (0x9D, 0x10, "table")],
)
def test_what_no_guest_can_write_of_a_configuration_space_is_compared(x86, card, at, bits, register):
    """As real QEMUs have it: "Bad config data: i=0x20 read: 0 device: c"."""
    stream, start = card
    verdict = judge(open_stream(with_bits(stream, start + at, bits)), x86).verdict
    assert (verdict.outcome, verdict.decided_by.rule) == (Outcome.REJECT, "pci-config-differs")
    assert verdict.decided_by.path.endswith(f".{register}")
    assert verdict.messages == []


@pytest.mark.parametrize(("at", "bits"), [(0x04, 7), (0x0C, 0x10), (0x23, 0xFE), (0x3C, 0xFF), (0x9B, 0x80)])
def test_what_a_driver_writes_there_is_not(x86, card, at, bits):
    """The command, a cache line's size, an address, an interrupt's line, MSI-X switched on."""
    stream, start = card
    assert judge(open_stream(with_bits(stream, start + at, bits)), x86).verdict.outcome is Outcome.ACCEPT


def test_a_field_that_code_sends_for_some_machine_types_alone_cannot_be_judged(x86):
    """A real 10.0.2 refuses what 7.2's pc-i440fx-4.0 sends of piix4_pm on pc-i440fx-7.2."""
    path = FOLDER.parents[1] / "conversions" / "streams" / "i440fx.mig.zst"
    edits = ["configuration.name=pc-i440fx-2.4", "-PCIHost", "-pcspk"]
    renamed = changed(open_stream_file(path).contents, edits)
    verdict = judge(open_stream(renamed), x86, "pc-i440fx-2.4").verdict
    assert verdict.outcome is Outcome.NOT_MODELLED
    assert verdict.decided_by.message == (
        "acpi_pci_hotplug.acpi_index is sent under a condition in code by one side alone"
    )
