"""Mutations of the description after the sections: JSON that tools read, but no destination."""

from __future__ import annotations

import re

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import Number, among
from vmstate.fuzz.mutations.edge_values import EDGES, edge, u32
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice

_NUMBER = re.compile(rb"(?<=[ :])\d+")
_TEXT = re.compile(rb'(?<=: )"[^"]*"|(?<=:)"[^"]*"')


def _has(base: Anatomy) -> bool:
    return base.vmdesc is not None


def _text(base: Anatomy) -> tuple[int, bytes]:
    assert base.vmdesc is not None
    return base.vmdesc.text_start, base.data[base.vmdesc.text_start : base.vmdesc.end]


def _found(base: Anatomy, pattern: re.Pattern[bytes]) -> list[tuple[int, int]]:
    if base.vmdesc is None:
        return []
    start, text = _text(base)
    return [(start + one.start(), start + one.end()) for one in pattern.finditer(text)]


def _numbers(base: Anatomy) -> list[tuple[int, int]]:
    return base.remember(_NUMBER, lambda base: _found(base, _NUMBER))


def _texts(base: Anatomy) -> list[tuple[int, int]]:
    return base.remember(_TEXT, lambda base: _found(base, _TEXT))


def _with(base: Anatomy, start: int, end: int, new: bytes, *, repaired: bool) -> list[Splice]:
    """Replace a piece of the text; the length before it is adjusted if ``repaired``."""
    assert base.vmdesc is not None
    at = base.vmdesc.text_start
    splices = [Splice(start, end, new)]
    if repaired and len(new) != end - start:
        size = base.vmdesc.end - at + len(new) - (end - start)
        splices.insert(0, Splice(at - 4, at, u32(size)))
    return splices


@mutation("vmdesc", _has, what=among("missing", "twice", "mark", "empty", "only length"))
def vmdesc_item(base: Anatomy, what: str) -> list[Splice]:
    """The description is missing, comes twice, is empty, or begins with another mark."""
    assert base.vmdesc is not None
    item = base.vmdesc
    whole = base.data[item.start : item.end]
    new = {
        "missing": b"",
        "twice": whole + whole,
        "mark": b"\x09" + whole[1:],
        "empty": whole[:1] + bytes(4),
        "only length": whole[:5],
    }[what]
    return [Splice(item.start, item.end, new)]


@mutation("vmdesc", _has, length=EDGES)
def vmdesc_length(base: Anatomy, length: str) -> list[Splice]:
    """The length before the description is wrong."""
    start, text = _text(base)
    return [Splice(start - 4, start, u32(edge(length, len(text))))]


_PLACE = Number(lambda _base, _chosen: 0, lambda base, _chosen: len(_numbers(base)) - 1)
_WRONG_NUMBERS = among("0", "1", "-1", "999999999999", "9" * 25, "1e9", '"1"', "null", "[]")


@mutation("vmdesc", number=_PLACE, value=_WRONG_NUMBERS, repaired=among(True, False))
def vmdesc_number(base: Anatomy, number: int, value: str, repaired: bool) -> list[Splice]:
    """A size, version, instance id or array length in the description is wrong."""
    start, end = _numbers(base)[number]
    return _with(base, start, end, value.encode(), repaired=repaired)


_TEXT_PLACE = Number(lambda _base, _chosen: 0, lambda base, _chosen: len(_texts(base)) - 1)
_NAMES = among(
    *('""', '"x"', '"uint64"', '"struct"', '"unused_buffer"', "null", "7", '"\\ud800"'), '"' + "x" * 300 + '"'
)


@mutation("vmdesc", text=_TEXT_PLACE, value=_NAMES, repaired=among(True, False))
def vmdesc_text(base: Anatomy, text: int, value: str, repaired: bool) -> list[Splice]:
    """A name or type in the description is wrong."""
    start, end = _texts(base)[text]
    return _with(base, start, end, value.encode("utf-8", "backslashreplace"), repaired=repaired)


_WHOLES = {
    "not json": b"{" * 3,
    "deep": b"[" * 20000 + b"]" * 20000,
    "list": b"[]",
    "object": b"{}",
    "no devices": b'{"devices": 7}',
    "null device": b'{"devices": [null, [], {}]}',
    "zeros": bytes(64),
    "not utf-8": b"\xff" * 64,
    "long number": b'{"devices": ' + b"9" * 10000 + b"}",
}


@mutation("vmdesc", _has, text=among(*_WHOLES))
def vmdesc_other(base: Anatomy, text: str) -> list[Splice]:
    """The description is replaced by another text."""
    start, old = _text(base)
    return _with(base, start, start + len(old), _WHOLES[text], repaired=True)


_BYTE = Number(lambda _base, _chosen: 0, lambda base, _chosen: len(_text(base)[1]) - 1)


@mutation("vmdesc", _has, at=_BYTE, byte=among(*b'[]{},:"\\0-e \x00\xff'))
def vmdesc_byte(base: Anatomy, at: int, byte: int) -> list[Splice]:
    """A byte of the description has another value."""
    start, text = _text(base)
    at = start + at % max(len(text), 1)
    return [Splice(at, at + 1, bytes([byte % 256]))]
