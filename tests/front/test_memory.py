"""Guest memory of a stream: as an image, an ELF core, bytes at an address, places of bytes."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmstate
from tests.support import corpus, synthetic
from tests.support.memory_streams import PAGES, RAM, image, sent, stream
from tests.support.multifd import Round, migration
from tests.support.synthetic import PAGE, mapped_stream, named, page, word
from vmstate.cli import main
from vmstate.errors import ConfigurationError, Unsupported
from vmstate.front.memory_core import LINEAR_MAP
from vmstate.front.memory_image import GuestMemory
from vmstate.stream import writer


@settings(deadline=None)
@given(sent, st.randoms(use_true_random=False))
def test_the_image_has_each_page_at_its_address(pages, chance):
    order = list(pages)
    chance.shuffle(order)
    records = b"".join(
        named(at * PAGE, 0x02, RAM) + b"\0"
        if pages[at] == bytes(PAGE)
        else named(at * PAGE, 0x08, RAM) + pages[at]
        for at in order
    )
    wanted = b"".join(pages.get(at, bytes(PAGE)) for at in range(PAGES))
    assert image(stream(records)) == wanted
    mapped = {at: content for at, content in pages.items() if at < 8}
    wanted = b"".join(mapped.get(at, bytes(PAGE)) for at in range(8))
    assert image(mapped_stream(mapped), "main") == wanted


def test_xbzrle_and_compressed_pages_and_filled_ones_are_in_the_image():
    data = synthetic.everything()
    rom = image(data, "rom")
    one = page(1)
    assert rom[:PAGE] == bytes([9]) + one[1:100] + b"new" + one[103:]
    assert rom[3 * PAGE : 4 * PAGE] == page(2)
    assert image(data, "main")[20 * PAGE : 21 * PAGE] == b"\xaa" * PAGE


def test_memory_that_came_through_channels_is_in_the_image(tmp_path):
    main_channel, channels = migration([(RAM, 4 * PAGE)], [Round([[{PAGE: page(3)}]]), Round([[]])], "zlib")
    for name, data in {"main": main_channel, "one": channels[0]}.items():
        (tmp_path / name).write_bytes(data)
    with vmstate.open(tmp_path) as opened:
        content = b"".join(map(bytes, GuestMemory(opened).image("ppc_spapr.ram")))
    assert content == bytes(PAGE) + page(3) + bytes(2 * PAGE)


def test_only_memory_whose_address_is_known_is_in_the_image_without_a_block():
    blocks = ((b"vga.vram", 2 * PAGE), (RAM, 4 * PAGE))
    data = stream(named(PAGE, 0x08, RAM) + page(1), blocks)
    assert image(data) == bytes(PAGE) + page(1) + bytes(2 * PAGE)
    assert image(data, "vga.vram") == bytes(2 * PAGE)
    with pytest.raises(ConfigurationError, match=r"vga\.vram, ppc_spapr\.ram"):
        image(data, "other")
    with pytest.raises(ConfigurationError, match="not known"):
        image(stream(b"", ((b"pc.ram", 3 << 30),), "pc-i440fx-9.0"))


def test_a_block_that_claims_too_much_is_refused():
    with pytest.raises(Unsupported, match="claim"):
        image(stream(b"", ((RAM, 1 << 60),)))


def test_an_image_has_holes(tmp_path):
    path, out = tmp_path / "mig", tmp_path / "ram.raw"
    size = 1 << 30
    path.write_bytes(stream(named(512 << 20, 0x08, RAM) + page(1), ((RAM, size),)))
    assert main(["memory", str(path), "-o", str(out)]) == 0
    assert out.stat().st_size == size
    assert out.stat().st_blocks * 512 < 1 << 20
    with out.open("rb") as file:
        file.seek(512 << 20)
        assert file.read(PAGE) == page(1)


def test_bytes_are_found_also_across_pages_and_shown(tmp_path, capsys):
    path = tmp_path / "mig"
    one, two = bytes(PAGE - 3) + b"Lin", b"ux version" + bytes(PAGE - 10)
    path.write_bytes(stream(named(4 * PAGE, 0x08, RAM) + one + word(5 * PAGE, 0x28) + two))
    assert main(["memory", str(path), "--find", "Linux version"]) == 0
    assert capsys.readouterr().out == f"{5 * PAGE - 3:#x}\n"
    assert main(["memory", str(path), "--find", "hex:6c696e", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["found"] == []
    address = LINEAR_MAP | 5 * PAGE - 3
    assert main(["memory", str(path), "--at", hex(address), "--length", "13"]) == 0
    assert "Linux version" in capsys.readouterr().out
    assert main(["memory", str(path), "--at", "0x10000000"]) == 0
    assert capsys.readouterr().out == "no memory at 0x10000000\n"
    for wrong in (["--find", "hex:0"], ["--find", "hex:00"], ["--at", "here"], ["--elf"]):
        assert main(["memory", str(path), *wrong]) == 2


def test_bytes_across_batches_are_found_once():
    with vmstate.open(stream(b"", ((RAM, 8192 * PAGE),))) as opened:
        memory = GuestMemory(opened)
        assert list(memory.find(b"x")) == []
    end, start = bytes(PAGE - 2) + b"ab", b"cd" + bytes(PAGE - 2)
    data = stream(
        named(4095 * PAGE, 0x08, RAM) + end + word(4096 * PAGE, 0x28) + start, ((RAM, 8192 * PAGE),)
    )
    with vmstate.open(data) as opened:
        assert list(GuestMemory(opened).find(b"abcd")) == [4096 * PAGE - 2]


def elf(data: bytes) -> tuple[str, list[tuple[int, ...]], bytes]:
    """Return the byte order, the program headers, and the notes of a core."""
    order = "<" if data[5] == 1 else ">"
    kind, machine, _, _, at, _, _, _, size, count = struct.unpack_from(f"{order}HHIQQQIHHH", data, 16)
    assert (data[:4], kind, machine, size) == (b"\x7fELF", 4, 21, 56)
    heads = [struct.unpack_from(f"{order}IIQQQQQQ", data, at + 56 * n) for n in range(count)]
    return order, heads, data[heads[0][2] : heads[0][2] + heads[0][5]]


@pytest.mark.parametrize(("msr", "order"), [(0x8000000000001033, "<"), (0x8000000000001032, ">")])
def test_an_elf_core_has_memory_at_two_addresses_and_the_registers(tmp_path, msr, order):
    path, out = tmp_path / "mig", tmp_path / "core"
    with vmstate.open(corpus.path("7.2-default")) as opened:
        opened["cpu[0].env.msr"] = msr
        opened["cpu[0].env.nip"] = 0xC000000000001234
        opened["cpu[0].env.gpr[1]"] = 0x77
        opened["cpu[0].env.spr[8]"] = 0x88
        opened["cpu[0].env.crf[0]"] = 2
        opened.save(path, bare=True)
    assert main(["memory", str(path), "--elf", "-o", str(out)]) == 0
    with out.open("rb") as file:
        head = file.read(1 << 16)
    found, (note, *loads), notes = elf(head)
    assert (found, note[0]) == (order, 4)
    size = out.stat().st_size - (1 << 16)
    assert [(one[0], one[2], one[3], one[4], one[5]) for one in loads] == [
        (1, 1 << 16, 0, 0, size),
        (1, 1 << 16, LINEAR_MAP, 0, size),
    ]
    registers = struct.unpack_from(f"{order}48Q", notes, 12 + 8 + 112)
    assert (registers[1], registers[32], registers[33]) == (0x77, 0xC000000000001234, msr)
    assert (registers[36], registers[38]) == (0x88, 0x20000000)


def test_a_stream_without_memory_says_so():
    data = writer.file_header() + writer.configuration("m") + writer.end_of_states()
    with vmstate.open(data) as opened, pytest.raises(Unsupported, match="without guest memory"):
        GuestMemory(opened)
