"""Conversions for recorded machines of any kind, which real QEMUs have judged: ``convert --to RECORD``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from tests.support import corpus
from vmstate.cli import main
from vmstate.compare.verify import verify
from vmstate.conversion.change import Notice
from vmstate.conversion.converting import Converter
from vmstate.conversion.recorded import Recorded
from vmstate.errors import Severity
from vmstate.front.known import KnownDeclarations, known_meanings
from vmstate.front.opening import open_stream_file
from vmstate.qemu import QemuNotFound, identify
from vmstate.records import read_record
from vmstate.tree.typed_changes import changed

ROOT = Path(__file__).resolve().parents[2]
FOLDER, RECORDS = ROOT / "fixtures" / "conversions", ROOT / "fixtures" / "records"
ROWS = {
    Path(row["stream"]).name.removesuffix(".mig.zst"): row
    for row in map(json.loads, (FOLDER / "records.jsonl").read_text().splitlines())
}
DOCUMENT = (ROOT / "docs" / "convert.md").read_text()


def stream(name):
    return FOLDER / ROWS[name]["stream"]


@cache
def destination(text):
    folder, _, machine = text.partition(":")
    return Recorded(read_record(RECORDS / folder), machine, KnownDeclarations())


@cache
def converted(name):
    there = destination(ROWS[name]["destination"])
    return Converter(there, known_meanings()).convert(open_stream_file(stream(name)).contents)


@pytest.fixture(params=ROWS)
def name(request):
    return request.param


def test_the_changes_are_those_that_the_real_qemu_has_judged(name):
    row, conversion = ROWS[name], converted(name)
    assert [[step.change.notice.word, step.change.what] for step in conversion.steps] == row["changes"]
    assert (conversion.before.outcome, conversion.before.messages) == tuple(row["before"].values())
    assert (conversion.after.outcome, conversion.after.messages) == tuple(row["after"].values())
    assert bool(conversion.unmended) == (row["after"]["outcome"] == "reject")


def test_the_answer_never_forgets_that_no_hooks_were_run(name):
    assert "record.no-hooks" in {finding.rule for finding in converted(name).findings}


def test_a_converted_stream_verifies_and_needs_no_other_change(name):
    conversion = converted(name)
    again = Converter(destination(ROWS[name]["destination"])).convert(conversion.contents)
    assert again.steps == []
    wrong = [f for f in verify(conversion.contents).findings if f.severity != Severity.INFO]
    assert [str(f) for f in wrong] == []


def test_the_edits_that_are_shown_make_the_same_stream(name):
    contents = open_stream_file(stream(name)).contents
    for step in converted(name).steps:
        if not step.change.edits:
            pytest.skip("one of the changes is not an edit")
        made = changed(contents, step.change.edits, known_meanings())
        contents = open_stream_file(made).contents
    assert contents.stream.data == converted(name).contents.stream.data


def test_refusals_of_three_architectures_are_mended():
    mended = [row for row in ROWS.values() if row["after"]["outcome"] == "accept"]
    assert len(mended) >= 11
    kinds = {row["destination"].partition("-")[0] for row in mended}
    assert {"x86_64", "s390x", "aarch64"} <= kinds
    assert all(row["before"]["outcome"] == "reject" for row in ROWS.values())


def test_what_is_left_out_of_the_board_is_worse_than_a_device():
    found = {what: Notice[notice.upper()] for notice, what in ROWS["i440fx"]["changes"]}
    assert found["leave out the section fdc"] is Notice.GUEST
    assert found["leave out the section 0000:00:01.1/ide"] is Notice.DEVICE


def test_a_controller_with_devices_behind_it_is_worse_than_one_without():
    first, second = ROWS["q35-usb"]["changes"]
    assert first == ["guest", "leave out the section 0000:00:01.0/xhci"]
    assert second == ["device", "leave out the section 0000:00:01.0/1/usb-ptr"]


def test_a_number_that_counts_an_array_is_not_changed():
    """A real 7.2.22 refuses a PCIBUS that has four counts and says that it has eight."""
    whats = [step.change.what for step in converted("i440fx").steps]
    assert not any("nirq" in what for what in whats)


def test_a_subsection_is_left_out_wherever_the_section_has_it():
    there = destination("x86_64-7.2:pc-q35-7.2")
    own = open_stream_file(bytes(there.record.machine("pc-q35-7.2").stream)).contents
    strange = changed(own, ["+cpu[0]/new@1=00000007", "+ioapic/new@1=00"], known_meanings())
    conversion = Converter(there).convert(open_stream_file(strange).contents)
    assert [(step.change.notice, step.change.what) for step in conversion.steps] == [
        (Notice.GUEST, "leave out the subsection cpu/new"),
        (Notice.LATER, "leave out the subsection ioapic/new"),
    ]
    assert conversion.contents.stream.data == own.stream.data


def test_a_newer_version_with_the_same_fields_becomes_the_records():
    there = destination("x86_64-7.2:pc-q35-7.2")
    own = open_stream_file(bytes(there.record.machine("pc-q35-7.2").stream)).contents
    newer = changed(own, ["ioapic.header.version_id=4"], known_meanings())
    conversion = Converter(there).convert(open_stream_file(newer).contents)
    assert [step.change.what for step in conversion.steps] == ["version 4 of ioapic becomes 3"]
    assert conversion.contents.stream.data == own.stream.data


def test_a_value_that_is_compared_becomes_the_records():
    """The real 7.2.22 refuses it: "0 != 8" of PCIBUS."""
    there = destination("s390x-7.2:s390-ccw-virtio-7.2")
    own = open_stream_file(bytes(there.record.machine("s390-ccw-virtio-7.2").stream)).contents
    found = [
        (section.idstr, node.name)
        for section in own.stream.devices
        for node in own.node(section).children
        if node.type.endswith(" equal")
    ]
    for idstr, field in found:
        other = changed(own, [f"{idstr}.{field}=77"], known_meanings())
        conversion = Converter(there).convert(open_stream_file(other).contents)
        assert [step.change.rule for step in conversion.steps] == ["value-differs"]
        assert conversion.contents.stream.data == own.stream.data


# ---- the command


def test_the_command_says_what_was_compared_and_writes_the_stream(tmp_path, capsys):
    to = f"{RECORDS}/s390x-7.2:s390-ccw-virtio-7.2"
    out = tmp_path / "out.mig"
    assert main(["convert", str(stream("s390x-10.0")), "--to", to, "-o", str(out), "--bare"]) == 0
    shown = capsys.readouterr().out
    assert "not refused with these 3 changes by anything that was compared\n" in shown
    assert "no hooks were run" in shown
    assert "accepted" not in shown
    assert out.read_bytes() == converted("s390x-10.0").contents.stream.data
    assert main(["load", str(out), "--on", to]) == 0


def test_the_document_shows_what_is_printed_for_a_record(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("guest.mig.zst").write_bytes(stream("s390x-10.0").read_bytes())
    Path("records").mkdir()
    Path("records/7.2").symlink_to(RECORDS / "s390x-7.2")
    part = DOCUMENT.partition("## A machine of any kind")[2]
    line, shown = part.partition("```sh\n")[2].partition("```")[0].strip(), part.partition("```text\n")[2]
    assert main(line.split()[1:]) == 0
    assert capsys.readouterr().out == shown.partition("```")[0]


def test_the_type_is_that_of_the_stream_if_none_is_given(tmp_path, capsys):
    path = tmp_path / "in.mig"
    path.write_bytes(corpus.load("7.2-pseries-7.2"))
    assert main(["convert", "--json", str(path), "--to", str(RECORDS / "qemu-system-ppc64-7.2")]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert (result["machine"], result["hooks"], result["changes"]) == ("pseries-7.2", "not run", [])


def test_what_a_record_cannot_judge_is_not_converted(tmp_path, capsys):
    path, out = tmp_path / "in.mig", tmp_path / "out.mig"
    path.write_bytes(corpus.load("7.2-devices"))
    to = str(RECORDS / "qemu-system-ppc64-7.2")
    assert main(["convert", str(path), "--to", to, "-o", str(out)]) == 2
    assert "may or may not have it" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.qemu
def test_a_real_qemu_has_the_last_word(tmp_path, capsys):
    try:
        program = identify("qemu-system-s390x")
    except QemuNotFound as error:
        pytest.skip(str(error))
    if str(program.release) != ROWS["s390x-10.0"]["releases"][1]:
        pytest.skip(f"this is {program.release}")
    out = tmp_path / "out.mig"
    to = f"{RECORDS}/s390x-7.2:s390-ccw-virtio-7.2"
    line = ["convert", str(stream("s390x-10.0")), "--to", to, "--against", program.path, "-o", str(out)]
    assert main(line) == 0
    assert "the stream as it was: reject, and changed: accept" in capsys.readouterr().out
    assert out.exists()
