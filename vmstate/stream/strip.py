"""Strip guest memory from a stream: every page becomes a zero page, and all other bytes are kept.

QEMU loads the result like the original, but with empty guest memory.  Some devices read guest memory when
they are loaded (virtio its queues, kvm-tpr-opt its option ROM): if the guest had set them up, a destination
refuses them with empty memory, unless their pages are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

from vmstate.stream.edit import Edit, Zeros
from vmstate.stream.reader import Stream
from vmstate.stream.sections.alike import words_at
from vmstate.stream.sections.ram import PageKind, Ram

_KINDS = PageKind.PAGE | PageKind.XBZRLE | PageKind.COMPRESSED


Pages = Mapping[int, Collection[int]]
"""Addresses of pages by the number of their block; an address counts from the block's beginning."""


def strip(stream: Stream, keep: Pages | None = None) -> Edit:
    """Return an edit that makes every page record a zero-page record (flag 0x02, one byte of zero).

    Records keep their order, addresses and block names; with mapped-ram, the bitmaps and pages become zero.
    All records of the pages in ``keep`` stay as they are.  Writing it raises Unsupported for a stream whose
    memory is not kept (it was read from a pipe).
    """
    edit, keep = Edit(stream), keep or {}
    for _, handler in stream.handlers:
        if isinstance(handler, Ram):
            _strip_records(edit, handler, keep)
            _strip_mapped(edit, handler, keep)
    return edit


def _strip_records(edit: Edit, ram: Ram, keep: Pages) -> None:
    import numpy as np

    win, runs = edit.stream.window, ram.runs
    kinds, zero = np.uint64(_KINDS), np.uint64(PageKind.ZERO)
    flags = np.uint64(ram.page_size - 1)
    for index in range(len(runs)):
        start, count, stride, lead = (
            runs.start[index],
            runs.count[index],
            runs.stride[index],
            runs.lead[index],
        )
        words = words_at(win.view, start - win.base, count, stride)
        win.behind(start, start + count * stride)
        kept = sorted(keep.get(runs.block[index], ()))
        stays = np.flatnonzero(np.isin(words & ~flags, np.array(kept, np.uint64))).tolist() if kept else []
        records = np.zeros((count, lead + 1), np.uint8)
        records[:, :8] = (words & ~kinds | zero).astype(">u8").view(np.uint8).reshape(count, 8)
        if lead > 8:
            records[:, 8:lead] = np.frombuffer(win.take(start + 8, lead - 8), np.uint8)
        for before, after in pairwise([-1, *stays, count]):
            if before + 1 < after:
                changed = records[before + 1 : after].tobytes()
                edit.replace(start + (before + 1) * stride, start + after * stride, changed)


def _strip_mapped(edit: Edit, ram: Ram, keep: Pages) -> None:
    for number, block in enumerate(ram.blocks):
        mapped = block.mapped
        if mapped is None:
            continue
        start, size = mapped.bitmap_offset, mapped.page_size
        old = edit.stream.window.take(start, mapped.bitmap_size)
        pages = [at // size for at in sorted(keep.get(number, ())) if at < block.length]
        stays = [page for page in pages if old[page // 8] >> page % 8 & 1]
        bitmap: bytearray | Zeros = Zeros(mapped.bitmap_size)
        if stays:
            bitmap = bytearray(mapped.bitmap_size)
            for page in stays:
                bitmap[page // 8] |= 1 << page % 8
        edit.replace(start, start + mapped.bitmap_size, bitmap)
        first, at = mapped.pages_offset, 0
        for end in (*(page * size for page in stays), block.length):
            if at < end:
                edit.replace(first + at, first + end, Zeros(end - at))
            at = end + size
