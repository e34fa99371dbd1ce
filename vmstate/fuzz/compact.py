"""Smaller versions of streams: most page records of each memory section are left out."""

from __future__ import annotations

from vmstate.stream import open_stream
from vmstate.stream.edit import Edit
from vmstate.stream.sections.ram import Ram

_KEPT = 16


def compact(data: bytes, keep: int = _KEPT) -> bytes:
    """Return the stream with at most ``keep`` page records of each run; all other bytes stay."""
    stream = open_stream(data)
    edit = Edit(stream)
    for _, handler in stream.handlers:
        if not isinstance(handler, Ram):
            continue
        runs = handler.runs
        for index in range(len(runs)):
            start, count, stride = runs.start[index], runs.count[index], runs.stride[index]
            if count > keep:
                edit.replace(start + keep * stride, start + count * stride, b"")
    return edit.tobytes()
