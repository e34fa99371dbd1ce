"""Changed blocks of guest memory: pages that stay keep their contents, whatever the order of the records."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.synthetic import EOS, PAGE, named, page, ram_setup, section, word
from vmstate.conversion.ram_blocks import pages_beyond, with_block
from vmstate.errors import Unsupported
from vmstate.stream import SectionType, open_stream, writer
from vmstate.stream.constants import RamFlag
from vmstate.stream.sections.ram_pages import RamPages

NAMES, PAGES = (b"main", b"vga.vram", b"rom"), 8
BLOCKS = [(name, PAGES * PAGE) for name in NAMES]
#: A page: its block, number, seed (0: zeros); the seed says whether it names its block where it need not.
RECORDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, PAGES - 1), st.integers(0, 3)), max_size=20)


def stream_of(records):
    parts, last = [], None
    for block, number, seed in records:
        kind = RamFlag.PAGE if seed else RamFlag.ZERO
        data = page(seed) if seed else b"\0"
        if block == last and seed != 3:
            parts.append(word(number * PAGE, kind | RamFlag.CONTINUE) + data)
        else:
            parts.append(named(number * PAGE, kind, NAMES[block]) + data)
        last = block
    payload = b"".join(parts) + EOS
    pieces = [writer.file_header(), section(SectionType.START, 2, ram_setup(BLOCKS), "ram")]
    return open_stream(b"".join((*pieces, section(SectionType.PART, 2, payload), b"\0")))


def memory(stream):
    """The contents of every page that was sent, by the name of its block and its number."""
    pages = RamPages(stream.ram, stream.data)
    found = {}
    for index, block in enumerate(stream.ram.blocks):
        for number in sorted({int(at) // PAGE for at in pages.records(index).address}):
            found[block.name, number] = bytes(pages.page(index, number * PAGE))
    return found


def changed(stream, name, new):
    made = open_stream(b"".join(with_block(stream, name, new)))
    assert made.findings == []
    return made


@given(RECORDS, st.integers(0, 2), st.integers(1, 2 * PAGES))
def test_a_block_of_another_size_keeps_the_pages_that_fit(records, index, pages):
    stream = stream_of(records)
    block = stream.ram.blocks[index]
    made = changed(stream, block.name, replace(block, length=pages * PAGE))
    assert [one.length for one in made.ram.blocks] == [
        (pages if one is block else PAGES) * PAGE for one in stream.ram.blocks
    ]
    before = memory(stream)
    assert memory(made) == {key: v for key, v in before.items() if key[0] != block.name or key[1] < pages}
    gone = pages_beyond(stream, block.name, pages * PAGE)
    assert gone.count == stream.ram.pages - made.ram.pages
    sent = [one for one in records if one[0] == index and one[1] >= pages]
    assert gone.content == sum(seed > 0 for *_, seed in sent)


@given(RECORDS, st.integers(0, 2), st.text("abc/.", min_size=1, max_size=9))
def test_a_block_of_another_name_keeps_every_page(records, index, name):
    stream = stream_of(records)
    block = stream.ram.blocks[index]
    made = changed(stream, block.name, replace(block, name=name))
    assert made.ram.blocks[index].name == name
    names = {block.name: name}
    assert memory(made) == {(names.get(key[0], key[0]), key[1]): v for key, v in memory(stream).items()}


@given(RECORDS, st.integers(0, 2))
def test_without_a_block_the_others_keep_every_page(records, index):
    stream = stream_of(records)
    name = stream.ram.blocks[index].name
    made = changed(stream, name, None)
    assert [one.name for one in made.ram.blocks] == [
        one.name for one in stream.ram.blocks if one.name != name
    ]
    assert memory(made) == {key: v for key, v in memory(stream).items() if key[0] != name}


@given(RECORDS, st.integers(0, 2))
def test_a_block_that_stays_as_it_is_changes_nothing(records, index):
    stream = stream_of(records)
    block = stream.ram.blocks[index]
    assert memory(changed(stream, block.name, block)) == memory(stream)


@pytest.mark.parametrize("name", ["7.2-pseries-7.2", "x86_64-pc-multi-iteration"])
def test_a_real_stream_with_the_same_block_is_the_same_stream(name):
    data = corpus.load(name)
    stream = open_stream(data)
    block = stream.ram.blocks[0]
    assert b"".join(with_block(stream, block.name, block)) == data


def test_a_list_with_extras_of_a_capability_is_not_changed():
    stream = open_stream(corpus.load("x86_64-q35-x-ignore-shared"))
    with pytest.raises(Unsupported, match="extras of a migration capability"):
        list(with_block(stream, stream.ram.blocks[0].name, None))
