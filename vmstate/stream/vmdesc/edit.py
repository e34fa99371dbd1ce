"""Change single devices in a vmdescription's text; every other byte stays as QEMU wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from vmstate.errors import StreamError

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")


def device_spans(text: bytes) -> list[tuple[int, int]]:
    """Return the span of each device's JSON object in the text, in order.

    StreamError when the text is not an object with a list of devices.
    """
    # JSON's own characters are ASCII, so in Latin-1 every index is a byte offset.
    source = text.decode("latin-1")
    try:
        return _top(source)
    except (ValueError, IndexError, RecursionError) as error:
        raise StreamError(f"not a vmdescription: {error}", section="vmdescription") from None


def _top(source: str) -> list[tuple[int, int]]:
    at = _expect(source, 0, "{")
    while True:
        key, at = _DECODER.raw_decode(source, _space(source, at))
        at = _space(source, _expect(source, at, ":"))
        if key == "devices":
            return _objects(source, at)
        at = _expect(source, _DECODER.raw_decode(source, at)[1], ",")


def _objects(source: str, at: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at = _space(source, _expect(source, at, "["))
    while source[at] != "]":
        _, end = _DECODER.raw_decode(source, at)
        spans.append((at, end))
        at = _space(source, end)
        if source[at] == ",":
            at = _space(source, at + 1)
    return spans


def _space(source: str, at: int) -> int:
    match = _SPACE.match(source, at)
    return match.end() if match else at


def _expect(source: str, at: int, sign: str) -> int:
    at = _space(source, at)
    if source[at] != sign:
        raise ValueError(f"expected {sign!r} at {at}")
    return at + 1


def replace_devices(text: bytes, changes: Mapping[int, bytes | None]) -> bytes:
    """Return the text with the objects of some devices, by index, replaced or removed (None).

    Index -1 - n inserts in front of device n (at the end if there is no such device).
    """
    spans = device_spans(text)
    separator = _separator(text, spans)
    objects = []
    for index, (start, end) in enumerate(spans):
        inserted = changes.get(-1 - index)
        if inserted is not None:
            objects.append(inserted)
        kept = changes.get(index, text[start:end]) if index in changes else text[start:end]
        if kept is not None:
            objects.append(kept)
    last = changes.get(-1 - len(spans))
    if last is not None:
        objects.append(last)
    if not spans:
        at = text.index(b"[", text.index(b'"devices"')) + 1
        return text[:at] + separator.join(objects) + text[at:]
    return text[: spans[0][0]] + separator.join(objects) + text[spans[-1][1] :]


def _separator(text: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Return QEMU's separator between two devices: a comma; before 6.0 a comma and a space."""
    return text[spans[0][1] : spans[1][0]] if len(spans) > 1 else b","
