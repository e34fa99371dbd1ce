"""Multifd: the channels of a migration become one plain stream with the same memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.multifd import METHODS, Round, migration
from tests.support.synthetic import EOS, PAGE, named, page, word
from vmstate.cli import main
from vmstate.containers import Opened
from vmstate.errors import Severity, StreamError, TooLarge, Unsupported, VmstateError
from vmstate.stream import Stream, open_stream
from vmstate.stream.opening import open_source
from vmstate.stream.sections.ram_pages import RamPages

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "multifd"
BLOCK, PAGES = b"main", 24
BLOCKS = [(BLOCK, PAGES * PAGE), (b"rom", 4 * PAGE)]

contents = st.integers(0, 5).map(lambda seed: page(seed) if seed else bytes(PAGE))
packets = st.dictionaries(st.integers(0, PAGES - 1).map(lambda n: n * PAGE), contents, max_size=4)


def folder(path: Path, main: bytes, channels: list[bytes]) -> Path:
    path.mkdir(exist_ok=True)
    for index, data in enumerate([main, *channels]):
        (path / f"file{index}").write_bytes(data)
    return path


def opened(path: Path) -> tuple[Opened, Stream]:
    found = open_source(path)
    return found, open_stream(found.data)


def wrong(found: Opened) -> list[str]:
    return [finding.message for finding in found.findings if finding.severity != Severity.INFO]


@st.composite
def rounds(draw: st.DrawFn) -> list[Round]:
    """Draw rounds in which each page is sent at most once, as a source does."""
    count, made = draw(st.integers(1, 4)), []
    for _ in range(draw(st.integers(2, 4))):
        sent: set[int] = set()
        channels = []
        for _ in range(count):
            found = [
                {at: one for at, one in each.items() if at not in sent and not sent.add(at)}
                for each in draw(st.lists(packets, max_size=3))
            ]
            channels.append([each for each in found if each])
        free = sorted(set(range(0, PAGES * PAGE, PAGE)) - sent)
        main = b"".join(named(at, 0x02, BLOCK) + b"\0" for at in free[: draw(st.integers(0, 3))])
        made.append(Round(channels, main))
    return made


def memory(sent: list[Round]) -> bytes:
    found = bytearray(PAGES * PAGE)
    for one in sent:
        for packets in one.channels:
            for pages in packets:
                for at, content in pages.items():
                    found[at : at + PAGE] = content
        at = 0
        while at < len(one.main):
            address = int.from_bytes(one.main[at : at + 8], "big") & ~0xFFF
            found[address : address + PAGE] = bytes(PAGE)
            at += 8 + 1 + len(BLOCK) + 1
    return bytes(found)


@settings(max_examples=80, deadline=None)
@given(rounds(), st.sampled_from(list(METHODS)), st.booleans())
def test_memory_through_channels_is_the_memory(tmp_path_factory, sent, compression, old):
    path = folder(tmp_path_factory.mktemp("d"), *migration(BLOCKS, sent, compression, old=old))
    found, stream = opened(path)
    assert wrong(found) == []
    assert stream.findings == []
    pages = RamPages(stream.ram, stream.data)
    assert b"".join(bytes(pages.page(0, at)) for at in range(0, PAGES * PAGE, PAGE)) == memory(sent)
    assert stream.ram.flushes == 0


@pytest.mark.parametrize(
    "one", json.loads((RECORDED / "memory.json").read_text()), ids=lambda one: one["folder"]
)
def test_the_channels_of_real_migrations_have_the_memory_of_a_plain_one(one):
    found, stream = opened(RECORDED / one["folder"])
    assert wrong(found) == []
    assert f"{one['channels']} multifd channel" in found.findings[0].message
    pages = RamPages(stream.ram, stream.data)
    digests = {block.name: pages.digest(index) for index, block in enumerate(stream.ram.blocks)}
    assert digests == one["memory"]


def test_a_page_that_was_sent_again_later_wins(tmp_path):
    sent = [
        Round([[{0: page(1)}], [{PAGE: page(1)}]]),
        Round([[{PAGE: page(2)}], [{0: page(2)}]]),
        Round([[], [{PAGE: page(3)}]], named(0, 0x02, BLOCK) + b"\0"),
    ]
    _, stream = opened(folder(tmp_path / "d", *migration(BLOCKS, sent)))
    pages = RamPages(stream.ram, stream.data)
    assert bytes(pages.page(0, 0)) == bytes(PAGE)
    assert bytes(pages.page(0, PAGE)) == page(3)


def test_a_record_that_goes_on_with_its_block_still_names_it(tmp_path):
    """The main channel's record after the pages of a channel refers to a block that was named before them."""
    sent = [
        Round([[{0: page(1)}]], named(0, 0x02, b"rom") + b"\0"),
        Round([[]], word(PAGE, 0x22) + b"\xaa"),
    ]
    _, stream = opened(folder(tmp_path / "d", *migration(BLOCKS, sent)))
    assert stream.findings == []
    assert bytes(RamPages(stream.ram, stream.data).page(1, PAGE)) == b"\xaa" * PAGE


def test_the_channel_of_postcopy_preempt_is_read_too(tmp_path):
    sent = [Round([[{0: page(1)}]]), Round([[]])]
    main, channels = migration(BLOCKS, sent)
    preempt = named(0, 0x08, BLOCK) + page(2) + EOS
    found, stream = opened(folder(tmp_path / "d", main, [*channels, preempt]))
    assert wrong(found) == []
    assert bytes(RamPages(stream.ram, stream.data).page(0, 0)) == page(2)


def test_what_is_missing_is_said(tmp_path):
    main, channels = migration(BLOCKS, [Round([[{0: page(1)}], [{PAGE: page(2)}]])] * 2)
    found, _ = opened(folder(tmp_path / "lost", main, channels[1:]))
    assert any("packets missing" in text for text in wrong(found))
    found, _ = opened(folder(tmp_path / "cut", main, [channels[0], channels[1][:-1]]))
    assert {finding.rule for finding in found.findings} == {
        *("multifd.joined", "multifd.channel", "multifd.channels")
    }
    found, _ = opened(folder(tmp_path / "twice", main, [channels[0], channels[0]]))
    assert any("same number" in text for text in wrong(found))


def test_what_is_not_of_the_migration_is_named(tmp_path):
    main, channels = migration(BLOCKS, [Round([[]])] * 2)
    found, _ = opened(folder(tmp_path / "a", main, [*channels, b"\x16\x03\x01\x02\0hello", b"notes"]))
    assert wrong(found) == [
        "file2: a channel encrypted with TLS cannot be read",
        "file3: not a channel of this migration",
    ]
    for name, files in {"none": channels, "two": [main, main]}.items():
        with pytest.raises(StreamError, match="not of one migration"):
            open_source(folder(tmp_path / name, files[0], files[1:]))


def test_a_compression_that_is_not_read_is_named(tmp_path):
    main, (channel,) = migration(BLOCKS, [Round([[{0: page(1)}]])] * 2, "zlib")
    qpl = bytearray(channel)
    qpl[64 + 11] = 8
    with pytest.raises(Unsupported, match="qpl"):
        open_source(folder(tmp_path / "d", main, [bytes(qpl)]))


def test_a_packet_that_expands_beyond_its_pages_is_damage_and_a_limit_holds(tmp_path):
    main, (channel,) = migration(BLOCKS, [Round([[{0: page(1), PAGE: page(1)}]])] * 2, "zstd")
    lying = bytearray(channel)
    lying[64 + 19] = 1  # one page, though the content has two
    found, _ = opened(folder(tmp_path / "lies", main, [bytes(lying)]))
    assert any("packet of the wrong size" in text for text in wrong(found))
    with pytest.raises(TooLarge):
        open_source(folder(tmp_path / "d", main, [channel]), limit=len(main) + 100)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_is_more_than_a_finding(tmp_path_factory, data):
    compression = data.draw(st.sampled_from(list(METHODS)))
    sent = [Round([[{0: page(1)}], [{PAGE: page(2), 2 * PAGE: bytes(PAGE)}]])] * 2
    main, channels = migration(BLOCKS, sent, compression, old=data.draw(st.booleans()))
    files = [bytearray(main), *map(bytearray, channels)]
    for _ in range(data.draw(st.integers(1, 4))):
        victim = data.draw(st.sampled_from(files))
        at = data.draw(st.integers(0, min(len(victim), 500) - 1))
        victim[at] = data.draw(st.integers(0, 255))
    first, *rest = map(bytes, files)
    try:
        found, _ = opened(folder(tmp_path_factory.mktemp("d"), first, rest))
    except VmstateError:
        return
    assert len(found.data) < 4 << 20


@pytest.mark.parametrize("name", sorted(one.name for one in RECORDED.iterdir() if one.is_dir()))
def test_a_folder_is_written_again_with_the_change_in_its_main_channel(tmp_path, capsys, name):
    before, after, joined = RECORDED / name, tmp_path / "after.d", tmp_path / "joined"
    change = "cpu[0].env.gpr[5]=0x1234567"
    assert main(["edit", str(before), change, "-o", f"{after}/"]) == 0
    assert main(["edit", str(before), change, "-o", str(joined)]) == 0
    assert opened(after)[1].data == joined.read_bytes()
    for file in before.iterdir():
        assert (file.read_bytes() == (after / file.name).read_bytes()) == (not file.name.startswith("main"))
    assert main(["edit", str(before), change, "-o", f"{after}/"]) == 2
    assert "this exists" in capsys.readouterr().err


def test_a_file_is_not_written_as_a_folder(tmp_path, capsys):
    stream = RECORDED / "7.2-pseries-7.2-4-zlib" / "main.zst"
    assert main(["edit", str(stream), "timer.cpu_ticks_offset=0", "-o", f"{tmp_path / 'new'}/"]) == 2
    assert "is not one of channels" in capsys.readouterr().err
