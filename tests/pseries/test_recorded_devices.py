"""Recorded devices: they send what was recorded, accept it, and are not judged otherwise."""

from __future__ import annotations

import json

import pytest

from tests.support.devices_page import PAGE, RECORDED, known_as, listed, page
from vmstate.describe.history import Release
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.board.recordings import VARIABLE, Added, is_listed, names, recording
from vmstate.pseries.devices import drivers
from vmstate.pseries.startup.command_line import Configuration, configuration
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import load, migrate, save, send
from vmstate.stream.pipe import read_chunks

CAPS = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
BACK_ENDS = {
    "drive": (["-blockdev", "null-co,node-name=d0,size=1048576,read-zeroes=on"], "drive=d0"),
    "chardev": (["-chardev", "null,id=c0"], "chardev=c0"),
    "serial": ([], "serial=x"),
}


def side(release: Release, *devices: str, more: list[str] | None = None, version: str = "") -> Configuration:
    kind = f"pseries-{version or f'{release.major}.{release.minor}'}"
    words = ["-nodefaults", "-machine", f"{kind},{CAPS}", "-m", "256", *(more or [])]
    for device in devices:
        words += ["-device", device]
    return configuration(str(release), words)


def cases() -> list[tuple[str, Release]]:
    """Return every device that was seen to start on a bare machine, with each release."""
    return [
        (name, release)
        for release, there in listed().items()
        for name in there
        if name not in drivers() and known_as(name, release) == RECORDED
    ]


def plugged(name: str, release: Release) -> tuple[Added, list[str], list[str], str]:
    """Return what a device adds to the newest machine type, and the options to plug it."""
    known = recording(name, release)
    assert known is not None
    added = known.added(f"{release.major}.{release.minor}")
    assert added is not None
    words, parts = [], [name]
    for need in known.needs or ():
        more, part = BACK_ENDS[need]
        words, parts = [*words, *more], [*parts, part]
    before = ["qemu-xhci"] if known.bus == "usb-bus" else []
    return added, words, before, ",".join(parts)


@pytest.mark.parametrize(("name", "release"), cases(), ids=str)
def test_it_sends_what_was_recorded_and_accepts_it(name, release):
    added, words, before, device = plugged(name, release)
    if added.blocked:
        line = side(release, *before, device, more=words)
        assert migrate(line, line).outcome is Outcome.SOURCE_REFUSED
        return
    if added.touches or added.refused:
        with pytest.raises(ConfigurationError):
            send(side(release, *before, device, more=words))
        return
    line = side(release, *before, device, more=words)
    if added.takes_own:
        assert migrate(line, line).outcome is Outcome.ACCEPT
    else:
        with pytest.raises(ConfigurationError):
            migrate(line, line)
    stream = read_chunks([save(line)])
    payloads = {bytes(stream.payload(section)) for section in stream.devices}
    assert {section.data for section in added.sections} <= payloads


def test_another_place_is_an_unknown_section():
    release = Release(7, 2, 22)
    verdict = migrate(side(release, "pci-serial"), side(release, "pci-serial,addr=9"))
    assert verdict.outcome is Outcome.REJECT
    assert any(
        "section or instance 'pci@800000020000000:00.0/pci-serial' 0." in one for one in verdict.messages
    )


def test_a_device_on_one_side_only():
    release = Release(7, 2, 22)
    assert migrate(side(release, "pci-serial"), side(release)).outcome is Outcome.REJECT
    assert migrate(side(release), side(release, "pci-serial")).outcome is Outcome.ACCEPT
    rom = migrate(side(release, "rtl8139"), side(release))
    assert rom.messages[0] == (
        'Unknown ramblock "pci@800000020000000:00.0/rtl8139.rom", cannot accept migration'
    )


def test_bytes_that_were_not_recorded_are_not_judged():
    line = side(Release(7, 2, 22), "tulip")
    stream = bytearray(save(line))
    section = read_chunks([bytes(stream)]).find("pci@800000020000000:00.0/tulip")
    stream[section.payload_end - 1] ^= 1
    with pytest.raises(ConfigurationError, match="only its own code can judge it"):
        load(bytes(stream), line)


def test_an_address_is_free_where_the_real_card_was_seen_to_take_another_one():
    release = Release(7, 2, 22)
    other = side(release, "rtl8139,mac=52:54:00:12:34:99")
    assert migrate(other, side(release, "rtl8139")).outcome is Outcome.ACCEPT
    with pytest.raises(ConfigurationError):
        migrate(side(release, "e1000e,mac=52:54:00:12:34:99"), side(release, "e1000e"))


def test_a_name_that_no_qemu_lists_gets_qemus_line():
    verdict = migrate(side(Release(7, 2, 22), "nosuch"), side(Release(7, 2, 22)))
    assert verdict.source_messages == ["-device nosuch: 'nosuch' is not a valid device model name"]


def test_a_bare_device_is_refused_as_it_was():
    verdict = migrate(side(Release(7, 2, 22), "nvme"), side(Release(7, 2, 22)))
    assert verdict.source_messages == ["-device nvme: serial property not set"]


def test_between_two_recorded_releases_both_must_agree():
    assert is_listed("e1000e", Release.parse("8.0.0"))
    assert not is_listed("nosuch", Release.parse("8.0.0"))
    assert is_listed("rtl8139", Release.parse("2.9.1")) is None


@pytest.mark.parametrize("name", sorted(names() - drivers().keys()))
def test_recordings_are_well_formed(name):
    found = [release for release, there in listed().items() if name in there]
    for release in found:
        known = recording(name, release)
        if known is not None:
            assert isinstance(known.bus, str)
            assert known.needs is not None or known.refused is not None or known.bus not in ("PCI", "usb-bus")


def test_a_users_recording_is_found(tmp_path, monkeypatch):
    from vmstate.pseries.board import recordings

    record = {"bus": "PCI", "properties": {}, "refused": ["-device mine: no luck"]}
    (tmp_path / "mine.json").write_text(json.dumps({"7.2.22": record}))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for cached in (recordings._files, recordings._records, recordings.recording):
        cached.cache_clear()
    try:
        found = recording("mine", Release(7, 2, 22))
        assert found is not None
        assert found.refused == ("-device mine: no luck",)
    finally:
        monkeypatch.undo()
        for cached in (recordings._files, recordings._records, recordings.recording):
            cached.cache_clear()


def test_the_page_lists_them():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.support.devices_page"


def test_two_cards_whose_memory_has_one_name_cannot_be_judged():
    line = "qemu-5.2.0 -nodefaults -machine pseries-2.6,cap-htm=off -device cirrus-vga -device VGA"
    with pytest.raises(NotModelled, match=r"two RAM blocks named vga\.vram"):
        migrate(line, line)


def test_a_sound_card_speaks_when_it_is_made_when_the_machine_is_reset_and_once_at_a_load():
    line = "qemu-5.2.0 -nodefaults -machine pseries-5.2,cap-htm=off -device AC97 -device pcnet"
    verdict = migrate(line, line)
    voices = [number for number, text in enumerate(verdict.messages) if "`ac97.mc'" in text]
    peer = verdict.messages.index("warning: nic pcnet.0 has no peer")
    assert (len(voices), [number < peer for number in voices]) == (3, [True, False, False])
