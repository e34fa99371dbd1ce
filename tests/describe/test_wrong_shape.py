"""A state that does not fit its description: always EncodeError, with the path of the field."""

from __future__ import annotations

import pytest

from vmstate.describe import (
    Bitmap,
    Bool,
    Buffer,
    ByteArray,
    GTree,
    Int8,
    Pointers,
    QList,
    Record,
    SaveFailure,
    Struct,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    VMStateDescription,
    decode,
    encode,
)
from vmstate.errors import DeclarationError, EncodeError, VmstateError

INNER = VMStateDescription("inner", 1, 1, fields=[UInt8("x"), UInt16("y")["n"]])
POINT = VMStateDescription("point", 1, 1, fields=[UInt8("x"), UInt8("y")])
COMPAT = VMStateDescription("cpu/compat", 1, 1, needed=lambda s: s.pvr, fields=[UInt32("pvr")])


def vmsd(*fields, **more):
    return VMStateDescription("cpu", 1, 1, fields=fields, **more)


CASES = [
    (vmsd(UInt64("env.nip")), Record(), "cpu.env.nip", "no attribute 'nip'"),
    (vmsd(UInt64("env.nip")), None, "cpu.env.nip", "NoneType"),
    (vmsd(UInt8("a"), UInt8("b")), Record(a=1), "cpu.b", "no attribute 'b'"),
    (vmsd(UInt8("a")), Record(a=256), "cpu.a", "256 does not fit uint8, which holds 0 to 255"),
    (vmsd(Int8("a")), Record(a=-129), "cpu.a", "-129 does not fit int8, which holds -128 to 127"),
    (vmsd(UInt64("a")), Record(a=1 << 64), "cpu.a", "holds 0 to 18446744073709551615"),
    (vmsd(UInt8("a")), Record(a="1"), "cpu.a", "'1' is not a number"),
    (vmsd(UInt8("a")), Record(a=None), "cpu.a", "None is not a number"),
    (vmsd(UInt8("a")), Record(a=1.5), "cpu.a", "1.5 is not a number"),
    (vmsd(UInt8("a"), UInt8("b")), Record(a=1, b=[2]), "cpu.b", "is not a number"),
    (vmsd(UInt8("a")[3]), Record(a=[1, 2]), "cpu.a", "an array of 2 where the description has one of 3"),
    (vmsd(UInt8("a")[3]), Record(a=[1, 2, -1]), "cpu.a", r"a\[2\] = -1 does not fit uint8"),
    (vmsd(UInt8("a")[3]), Record(a=5), "cpu.a", "int 5 does not fit an array of 3"),
    (vmsd(UInt8("a")[3]), Record(a=None), "cpu.a", "NoneType"),
    (vmsd(UInt8("a")[3]), Record(a="abc"), "cpu.a", "'a' is not a number"),
    (vmsd(UInt8("a")[2, 3]), Record(a=[[1, 2, 3], [4, 5, 6]]), "cpu.a", "array of 2 .* one of 6"),
    (vmsd(UInt8("a")["n"]), Record(a=[1]), "cpu.a", "no number 'n'"),
    (vmsd(UInt8("a")["n"]), Record(a=[1], n=2), "cpu.a", "array of 1 .* one of 2"),
    (vmsd(UInt8("n"), UInt8("a")["n"]), Record(a=[1], n=None), "cpu.n", "None is not a number"),
    (vmsd(Buffer("b", 4)), Record(b=b"abc"), "cpu.b", "size 3 .* of size 4"),
    (vmsd(Buffer("b", 4)), Record(b="abcd"), "cpu.b", "'abcd' is not bytes"),
    (vmsd(Buffer("b", 4)), Record(b=7), "cpu.b", "7 is not bytes"),
    (vmsd(Buffer("b", 4)), Record(b=[1, 2, 3, 4]), "cpu.b", "is not bytes"),
    (vmsd(Buffer("b", 4)), Record(b=None), "cpu.b", "nothing"),
    (vmsd(Buffer("b", "n")), Record(b=b"abc", n=4), "cpu.b", "size 3 .* of size 4"),
    (vmsd(ByteArray("b")), Record(b="abc"), "cpu.b", "'abc' is not bytes"),
    (vmsd(Bitmap("b", 8)), Record(b="abc"), "cpu.b", "str"),
    (vmsd(Bitmap("b", 8)), Record(b=-1), "cpu.b", "bits"),
    (vmsd(Struct("s", POINT)), Record(), "cpu.s", "no attribute 's'"),
    (vmsd(Struct("s", POINT)), Record(s=None), "cpu.s.x", "NoneType"),
    (vmsd(Struct("s", POINT)), Record(s=Record(x=1)), "cpu.s.y", "no attribute 'y'"),
    (vmsd(Struct("s", POINT)[2]), Record(s=[Record(x=1, y=2)]), "cpu.s", "list of 1 does not fit"),
    (vmsd(Struct("s", POINT)[2]), Record(s=[Record(x=1, y=2), Record(x=1, y=300)]), "cpu.s[1].y", "300"),
    (vmsd(Struct("s", INNER)[1]), Record(s=[Record(x=1, y=[1], n=2)]), "cpu.s[0].y", "array of 1 "),
    (vmsd(Pointers(UInt8("p")[2])), Record(p=[None]), "cpu.p", "list of 1"),
    (vmsd(Pointers(UInt8("p")[2])), Record(p=[None, "x"]), "cpu.p", "'x' is not a number"),
    (vmsd(QList("q", POINT)), Record(q=None), "cpu.q", "NoneType"),
    (vmsd(QList("q", POINT)), Record(q=[Record(x=1)]), "cpu.q.y", "no attribute 'y'"),
    (vmsd(GTree("t", POINT)), Record(t=[1]), "cpu.t", "list of"),
    (vmsd(UInt8("a", exists=lambda s, v: s.flag)), Record(a=1), "cpu.a", "flag"),
    (vmsd(subsections=[COMPAT]), Record(pvr=1 << 32), "cpu/compat.pvr", "does not fit uint32"),
    (vmsd(subsections=[COMPAT]), Record(), "cpu", "subsections cannot be chosen: .*'pvr'"),
    (vmsd(Bool("a")), Record(), "cpu.a", "no attribute"),
]  # fmt: skip


@pytest.mark.parametrize(("description", "state", "path", "said"), CASES)
def test_a_state_of_another_shape_is_refused_with_the_path_of_the_field(description, state, path, said):
    with pytest.raises(EncodeError, match=said) as caught:
        encode(description, state)
    assert caught.value.path == path
    assert f"(field {path})" in str(caught.value)


def test_buffers_take_any_buffer():
    assert encode(vmsd(Buffer("b", 4)), Record(b=memoryview(b"abcd"))) == b"abcd"
    assert encode(vmsd(Buffer("b", 4)), Record(b=bytearray(b"abcd"))) == b"abcd"


def raising(_state):
    raise AttributeError("a bug of the hook's")


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_hook_raises_passes_through(nested):
    description = VMStateDescription("inner", 1, 1, fields=[UInt8("a")], pre_save=raising)
    state = Record(a=1)
    if nested:
        description, state = vmsd(Struct("s", description)), Record(s=state)
    with pytest.raises(AttributeError, match="a bug of the hook's"):
        encode(description, state)


def test_a_hook_that_refuses_is_named_without_a_path():
    inner = VMStateDescription("inner", 1, 1, fields=[UInt8("a")], pre_save=lambda state: -22)
    with pytest.raises(SaveFailure) as caught:
        encode(vmsd(Struct("s", inner)), Record(s=Record(a=1)))
    assert str(caught.value) == "pre_save of inner failed with -22"


def test_a_description_that_contradicts_itself_is_the_authors_fault():
    from vmstate.describe import Field

    with pytest.raises(DeclarationError):
        encode(vmsd(Field("a", attr="a")), Record(a=1))


def test_a_result_of_decoding_has_names_and_unpacks():
    result = decode(vmsd(UInt8("a"), UInt16("b")), memoryview(b"\1\0"), 0, 1)
    assert result.state.a == 1
    assert isinstance(result.error, VmstateError)
    assert result.tree.find("a").value == 1
    tree, state, error = result
    assert (tree, state, error) == (result.tree, result.state, result.error)
