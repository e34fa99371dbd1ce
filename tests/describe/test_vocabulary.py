"""Every entry of QEMU's vocabulary (include/migration/vmstate.h): one law for each, both codecs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmstate.describe as d
from tests.support.laws import AFTER, load, plain
from tests.support.twins import twin
from vmstate.describe import (
    Allocated,
    Bitmap,
    Bool,
    Buffer,
    ByteArray,
    Double,
    Float64,
    GTree,
    Int8,
    Int16,
    Int32,
    Int32Equal,
    Int32PositiveLe,
    Int64,
    Pointers,
    QList,
    QTailQ,
    Record,
    Struct,
    Timer,
    Tmp,
    UInt8,
    UInt8Equal,
    UInt16,
    UInt16Equal,
    UInt32,
    UInt32Equal,
    UInt64,
    UInt64Equal,
    Unused,
    Validate,
    VMStateDescription,
    VStruct,
    decode,
    encode,
    scalar,
)
from vmstate.describe.construct_codec import as_construct, container_of
from vmstate.describe.infos import Group
from vmstate.describe.strategies import states
from vmstate.errors import DeclarationError, Truncated

POINT = VMStateDescription("point", 2, 1, fields=[Int16("x"), UInt8("y"), UInt8("z", 2)])
KEY = VMStateDescription("key", 2, 1, fields=[UInt32("k")])
TAGGED = VMStateDescription(
    "tagged",
    fields=[UInt8("t")],
    subsections=[VMStateDescription("tagged/more", fields=[UInt16("m")], needed=lambda s: s.t > 99)],
)
Pair = scalar(Group("pair", "HB", ("high", "low")))


def _scratch(parent):
    return parent.__dict__.setdefault("scratch", Record())


def odd(state, version_id):
    return state.n % 2 == 1


N = UInt8("n")
NUMBERS = {"BOOL": Bool, "INT8": Int8, "INT16": Int16, "INT32": Int32, "INT64": Int64}
NUMBERS |= {"UINT8": UInt8, "UINT16": UInt16, "UINT32": UInt32, "UINT64": UInt64}
NUMBERS |= {"UINT8_EQUAL": UInt8Equal, "UINT16_EQUAL": UInt16Equal, "UINT32_EQUAL": UInt32Equal}
NUMBERS |= {"UINT64_EQUAL": UInt64Equal, "INT32_EQUAL": Int32Equal, "INT32_POSITIVE_LE": Int32PositiveLe}
NUMBERS |= {"TIMER": Timer, "CPUDOUBLE": Double, "FLOAT64": Float64}
ENTRIES = {
    **{f"VMSTATE_{name}": [maker("f")] for name, maker in NUMBERS.items()},
    "VMSTATE_UINT16_V": [UInt8("a"), UInt16("f", 2), UInt8("b")],
    "VMSTATE_UINT16_TEST": [N, UInt16("f", exists=odd), UInt8("b")],
    "VMSTATE_TIMER_ARRAY": [Timer("f")[3]],
    "VMSTATE_UINT8_ARRAY": [UInt8("f")[5]],
    "VMSTATE_BOOL_ARRAY_V": [Bool("f", 1)[4]],
    "VMSTATE_UINT32_2DARRAY": [UInt32("f")[2, 3]],
    "VMSTATE_UINT64_SUB_ARRAY": [UInt64("f").part(1, 2), UInt8("after")],
    "VMSTATE_CPUDOUBLE_ARRAY": [Double("f")[2]],
    "VMSTATE_VARRAY_UINT32": [UInt32("n"), UInt16("f")["n"]],
    "VMSTATE_VARRAY_INT32": [Int32PositiveLe("n"), UInt16("f")["n"]],
    "VMSTATE_VARRAY_UINT16_UNSAFE": [UInt16("f")["n"]],
    "VMSTATE_VARRAY_MULTIPLY": [UInt16("n"), UInt32("f")["n"].times(3)],
    "VMSTATE_ARRAY_OF_POINTER": [Pointers(Int32("f")[3])],
    "VMSTATE_ARRAY_OF_POINTER_TO_STRUCT": [Pointers(Struct("f", POINT)[3])],
    "VMSTATE_VARRAY_OF_POINTER_UINT32": [N, Pointers(UInt16("f")["n"], allocated=True)],
    "VMS_ARRAY_OF_POINTER_AUTO_ALLOC": [Pointers(Struct("f", TAGGED)[3], allocated=True)],
    "VMSTATE_STRUCT": [Struct("f", POINT), UInt8("after")],
    "VMSTATE_STRUCT_TEST": [N, Struct("f", POINT, exists=odd)],
    "VMSTATE_STRUCT_POINTER": [Struct("f", TAGGED)],
    "VMSTATE_VSTRUCT": [VStruct("f", POINT, 1), UInt8("after")],
    "VMSTATE_STRUCT of the same object": [Struct("base", POINT, attr="."), UInt8("after")],
    "VMSTATE_STRUCT_ARRAY": [Struct("f", POINT)[3]],
    "VMSTATE_STRUCT_ARRAY with subsections": [Struct("f", TAGGED)[3]],
    "VMSTATE_STRUCT_2DARRAY": [Struct("f", POINT)[2, 2]],
    "VMSTATE_STRUCT_SUB_ARRAY": [Struct("f", TAGGED).part(1, 2)],
    "VMSTATE_STRUCT_VARRAY_UINT8": [N, Struct("f", POINT)["n"]],
    "VMSTATE_STRUCT_VARRAY_POINTER_KNOWN": [Struct("f", TAGGED)[2]],
    "VMSTATE_STRUCT_VARRAY_ALLOC": [Int32PositiveLe("n"), Allocated(Struct("f", TAGGED)["n"], 8)],
    "VMSTATE_VARRAY_UINT32_ALLOC": [UInt32("n"), Allocated(UInt16("f")["n"], 2)],
    "VMSTATE_VBUFFER_ALLOC_UINT32": [UInt32("n"), Allocated(Buffer("f", "n"))],
    "VMSTATE_BUFFER": [Buffer("f", 7)],
    "VMSTATE_BUFFER_START_MIDDLE": [Buffer("f", 3, start=2, shape=(5,))],
    "VMSTATE_PARTIAL_BUFFER": [Buffer("f", 3, shape=(8,))],
    "VMSTATE_VBUFFER_UINT32": [UInt32("n"), Buffer("f", "n")],
    "VMSTATE_VBUFFER_MULTIPLY": [UInt32("n"), Buffer("f", "n").times(4)],
    "VMSTATE_UNUSED": [Unused(5), UInt8("after")],
    "VMSTATE_UNUSED_TEST": [N, Unused(5, exists=odd)],
    "VMSTATE_UNUSED_VARRAY_UINT32": [UInt32("n"), Unused(3, count="n"), UInt8("after")],
    "VMSTATE_BITMAP": [UInt32("n"), Bitmap("f", "n")],
    "VMSTATE_BITMAP of two words": [Bitmap("f", 100)],
    "VMSTATE_QTAILQ_V": [QTailQ("f", TAGGED, 0)],
    "VMSTATE_QLIST_V": [QList("f", POINT, 2)],
    "VMSTATE_GTREE_V": [GTree("f", POINT, KEY, 2)],
    "VMSTATE_GTREE_DIRECT_KEY_V": [GTree("f", TAGGED, None, 0)],
    "VMSTATE_WITH_TMP": [Tmp(TAGGED, _scratch), UInt8("after")],
    "VMSTATE_VALIDATE": [N, Validate("n is a byte", lambda s, v: 0 <= s.n < 256)],
    "VMSTATE_SINGLE of a type of its own": [Pair("f")],
    "VMSTATE_ARRAY of a type of its own": [Pair("f")[3], UInt8("after")],
    "VMSTATE_SINGLE with an index": [UInt16("f", index=3), UInt16("f", index=0)],
    "vmstate_info_g_byte_array": [ByteArray("f"), UInt8("after")],
}

entries = pytest.mark.parametrize("fields", ENTRIES.values(), ids=ENTRIES)
law = settings(max_examples=12, suppress_health_check=list(HealthCheck))


def drawn(data, fields):
    """Draw a description of the entry's fields, a state, and the state's bytes."""
    vmsd = VMStateDescription("entry", 2, 1, fields=fields)
    state = data.draw(states(vmsd))
    return vmsd, state, encode(vmsd, state)


@entries
@law
@given(st.data())
def test_what_is_saved_is_loaded(fields, data):
    vmsd, state, payload = drawn(data, fields)
    other = twin(vmsd, state)
    assert load(vmsd, payload + AFTER, other).pos == len(payload)
    assert encode(vmsd, other) == payload


@entries
@law
@given(st.data())
def test_what_is_decoded_is_written_back_by_both_codecs(fields, data):
    vmsd, state, payload = drawn(data, fields)
    _, decoded, error = decode(vmsd, memoryview(payload), 0, 2, state=twin(vmsd, state))
    assert error is None
    assert encode(vmsd, decoded, replay=True) == payload
    container, local = container_of(vmsd, decoded), twin(vmsd, state)
    assert plain(as_construct(vmsd).parse(payload, local=local)) == plain(container)
    assert as_construct(vmsd).build(container, local=local) == payload
    compiled = as_construct(vmsd).compile()
    assert plain(compiled.parse(payload, local=local)) == plain(container)
    assert compiled.build(container, local=local) == payload


@entries
@law
@given(st.data())
def test_what_is_cut_off_is_missed(fields, data):
    vmsd, state, payload = drawn(data, fields)
    for cut in range(len(payload)):
        _, _, error = decode(vmsd, memoryview(payload[:cut]), 0, 2, state=twin(vmsd, state))
        noticed = isinstance(error, Truncated) and error.offset + error.available == cut
        # Inside a struct, a last byte 5 may begin a subsection, or be the next field's.
        assert noticed or error is None or payload[cut - 1] == 5


def test_every_maker_of_fields_is_an_entry():
    makers = {name for name in d.__all__ if name[0].isupper() and callable(getattr(d, name))}
    makers = {name for name in makers if not isinstance(getattr(d, name), type)} - {"Since", "Until"}
    used = {name for name, value in globals().items() if name in makers and value is getattr(d, name)}
    assert used == makers


def test_a_state_may_have_more_elements_than_the_description_wants():
    vmsd = VMStateDescription("d", 1, 1, fields=[UInt8("f")[2]])
    assert encode(vmsd, Record(f=[1, 2, 3])) == b"\1\2"


def test_a_field_is_an_array_only_once():
    with pytest.raises(DeclarationError, match="array already"):
        _ = UInt8("f")[2][3]


def test_a_declaration_shows_what_it_says():
    assert repr(UInt8("f")[2]) == "Field(name='f', info=<uint8>, attr='f', count=2)"
    shown = repr(VMStateDescription("d", 1, fields=[replace(UInt8("f"), hint="h")]))
    field = "Field(name='f', info=<uint8>, attr='f', hint='h')"
    assert shown == f"VMStateDescription(name='d', version_id=1, fields=[{field}])"
