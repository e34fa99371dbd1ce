"""Descriptions read out of made programs: any layout of the structs, any host, any way to store pointers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.elf_builder import SHAPES, Program, packed, program
from tests.support.schemas import plain, real_schema
from vmstate.binaries import schema_of_binary
from vmstate.binaries.elf import Elf
from vmstate.errors import ConfigurationError
from vmstate.schema import Schema

HOSTS = {"x86_64": ("EM_X86_64", "<"), "aarch64": ("EM_AARCH64", "<")}
HOSTS |= {"ppc64le": ("EM_PPC64", "<"), "s390x": ("EM_S390", ">")}


@cache
def wanted(release: str):
    return plain(real_schema(release))


def read(tmp_path, *arguments, **more) -> Schema:
    path = tmp_path / "qemu-system-made"
    path.write_bytes(program(*arguments, **more))
    return schema_of_binary(path)[0]


@pytest.mark.parametrize("style", ["rela", "relr", "fixed"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_written_is_read_whatever_the_layout(tmp_path, shape, style):
    schema = read(tmp_path, real_schema("7.2"), SHAPES[shape], style=style)
    assert plain(schema) == wanted("7.2")
    assert (schema.notes, schema.target) == ((), "made")


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("shape", ["5.2", "11.1"])
def test_hosts_of_either_byte_order_give_the_same(tmp_path, shape, host):
    path = tmp_path / "qemu"
    path.write_bytes(program(real_schema("7.2"), SHAPES[shape], *HOSTS[host]))
    schema, layouts = schema_of_binary(path)
    assert plain(schema) == wanted("7.2")
    assert layouts.host == host


def test_markers_of_pointers_are_told_from_the_end_of_a_list(tmp_path):
    """The bit that ended a list up to 11.0 says later that each element has a marker before it."""
    newest = plain(read(tmp_path, real_schema("11.1"), SHAPES["11.1"]))
    assert newest == wanted("11.1")
    assert any(field.marked for one in newest.values() for field in one.fields)


def test_a_description_that_contains_itself_is_cut_and_noted(tmp_path):
    made = Program(SHAPES["7.2"])
    for name in ("unused_buffer", "int32 equal", "uint32 equal", "uint8 equal", "uint16 equal", "int32 le"):
        made.info(name)
    schema = real_schema("7.2")
    for one in schema.descriptions.values():
        made.description(one)
    inner = schema.descriptions["PCIDevice"]
    own = made.description(replace(inner, name="again"))
    field = next(place for place, to in made.pointers.items() if to == made.description(inner))
    made.pointers[field] = own
    (list_of,) = [to for place, to in made.pointers.items() if place == own - 0xC00000 + 72]
    made.pointers[list_of - 0xC00000 + 80] = own  # its first field is one more of itself
    made.data[list_of - 0xC00000 + 72] = 8
    path = tmp_path / "qemu"
    path.write_bytes(made.build())
    assert any("again contains itself" in note for note in schema_of_binary(path)[0].notes)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=300, unique=True).map(sorted))
def test_packed_relocations_are_unpacked(tmp_path_factory, words):
    """DT_RELR, as a linker writes it, gives the addresses that were put in."""
    made = Program(SHAPES["7.2"], style="relr")
    made.data += bytes(8 * 5001)
    made.pointers = {8 * word: 0xC00000 for word in words}
    path = tmp_path_factory.mktemp("relr") / "file"
    path.write_bytes(made.build())
    assert [int(at) for at in Elf(path).relative.at] == [0xC00000 + 8 * word for word in words]
    assert len(packed([0xC00000 + 8 * word for word in words], "<")) <= 8 * len(words)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (b"", "not a program"),
        (b"\x7fELF", "not a readable ELF file"),
        (b"QEVM\0\0\0\3" * 99, "not a readable ELF file"),
    ],
)
def test_what_is_no_program_is_refused(tmp_path, contents, said):
    path = tmp_path / "file"
    path.write_bytes(contents)
    with pytest.raises(ConfigurationError, match=said):
        schema_of_binary(path)


def test_a_program_without_descriptions_is_not_understood(tmp_path):
    path = tmp_path / "true"
    path.write_bytes(Program(SHAPES["7.2"]).build())
    with pytest.raises(ConfigurationError, match="not understood: 0 of QEMU's wire types found"):
        schema_of_binary(path)


def test_numbers_that_contradict_the_layout_are_not_understood(tmp_path):
    """Where no member has the sizes of the types, nothing is guessed."""
    schema = real_schema("7.2")
    made = Program(SHAPES["7.2"])
    for name in ("unused_buffer", "int32 equal", "uint32 equal", "uint8 equal", "uint16 equal", "int32 le"):
        made.info(name)
    row = made._row
    made._row = lambda one: {**row(one), "size": 3}
    for one in schema.descriptions.values():
        made.description(one)
    path = tmp_path / "qemu"
    path.write_bytes(made.build())
    with pytest.raises(ConfigurationError, match="not understood: where a VMStateField has its size"):
        schema_of_binary(path)


SMALL = program(real_schema("7.2"), SHAPES["7.2"], style="relr")


@settings(max_examples=30)
@given(st.data())
def test_a_damaged_program_is_read_or_refused(tmp_path_factory, data):
    """Truncated anywhere, or with other bytes in the headers and tables: an answer or a refusal."""
    path = tmp_path_factory.mktemp("damaged") / "qemu"
    length = data.draw(st.sampled_from([len(SMALL), len(SMALL) - 999, 0x1200, 300]))
    damaged = bytearray(SMALL[:length])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(
            st.one_of(
                st.integers(0, min(400, length - 1)),
                st.integers(0, length - 1),
                st.integers(length - 300, length - 1),
            )
        )
        damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0xFF]))
    path.write_bytes(damaged)
    try:
        schema, _ = schema_of_binary(path)
    except ConfigurationError as why:
        refused = str(why)
    else:
        refused = ""
        assert schema.descriptions
    assert not refused or refused.startswith(str(path))
