"""Strip guest memory from a stream: every page becomes a zero page, and all other bytes are kept.

QEMU loads the result like the original, but with empty guest memory.  Some devices read guest memory when
they are loaded (virtio its queues, kvm-tpr-opt its option ROM): if the guest had set them up, a destination
refuses them with empty memory.
"""

from __future__ import annotations

from vmstate.stream.edit import Edit, Zeros
from vmstate.stream.reader import Stream
from vmstate.stream.sections.alike import words_at
from vmstate.stream.sections.ram import PageKind, Ram

_KINDS = PageKind.PAGE | PageKind.XBZRLE | PageKind.COMPRESSED


def strip(stream: Stream) -> Edit:
    """Return an edit that makes every page record a zero-page record (flag 0x02, one byte of zero).

    Records keep their order, addresses and block names; with mapped-ram, the bitmaps and pages become zero.
    Writing it raises Unsupported for a stream whose memory is not kept (it was read from a pipe).
    """
    edit = Edit(stream)
    for _, handler in stream.handlers:
        if isinstance(handler, Ram):
            _strip_records(edit, handler)
            _strip_mapped(edit, handler)
    return edit


def _strip_records(edit: Edit, ram: Ram) -> None:
    import numpy as np

    win, runs = edit.stream.window, ram.runs
    kinds, zero = np.uint64(_KINDS), np.uint64(PageKind.ZERO)
    for index in range(len(runs)):
        start, count, stride, lead = (
            runs.start[index],
            runs.count[index],
            runs.stride[index],
            runs.lead[index],
        )
        words = words_at(win.view, start - win.base, count, stride) & ~kinds | zero
        win.behind(start, start + count * stride)
        records = np.zeros((count, lead + 1), np.uint8)
        records[:, :8] = words.astype(">u8").view(np.uint8).reshape(count, 8)
        if lead > 8:
            records[:, 8:lead] = np.frombuffer(win.take(start + 8, lead - 8), np.uint8)
        edit.replace(start, start + count * stride, records.tobytes())


def _strip_mapped(edit: Edit, ram: Ram) -> None:
    for block in ram.blocks:
        if block.mapped is not None:
            bitmap, pages = block.mapped.bitmap_offset, block.mapped.pages_offset
            edit.replace(bitmap, bitmap + block.mapped.bitmap_size, Zeros(block.mapped.bitmap_size))
            edit.replace(pages, pages + block.length, Zeros(block.length))
