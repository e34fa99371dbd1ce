"""The features that a processor's node lists: ``ibm,pa-features``, page sizes.

Rules of hw/ppc/spapr.c spapr_dt_pa_features and hw/ppc/fdt.c ppc_create_page_sizes_prop.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from vmstate.describe.history import History
from vmstate.pseries.device_tree.fdt import cells
from vmstate.pseries.device_tree.inputs import TreeInputs

#: Hash page tables: for each segment page size (shift, SLB encoding) the page sizes (shift, PTE encoding).
Segments = tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]
_SEGMENTS_970: Segments = ((12, 0, ((12, 0),)), (24, 0x100, ((24, 0),)))
_SEGMENTS: Segments = (
    (12, 0, ((12, 0), (16, 7), (24, 0x38))),
    (16, 0x110, ((16, 1), (24, 8))),
    (24, 0x100, ((24, 0),)),
    (34, 0x120, ((34, 3),)),
)
_MIXED_WITH = 24  # the only page size that KVM allows in a segment of another
_LARGE = 16

_CI_LARGE_PAGES = (3, 0x20)
_TRANSACTIONS = (24, 0x80)
_SECOND_DAWR = (66, 0x80)


def _features(size: int, bits: Iterable[tuple[int, int]]) -> bytes:
    """Return feature bytes by place, after their count and the number of the list (0)."""
    data = bytearray(size + 2)
    data[0] = size
    for place, value in bits:
        data[place] = value
    return bytes(data)


_BASIC = ((2, 0xF6), (3, 0x1F), (4, 0xC7))
_ISA_2_06 = (*_BASIC, (7, 0xC0))
_ISA_2_07 = (*_BASIC, (5, 0xC0), (7, 0xF0), (8, 0x80), (18, 0x80), (20, 0x80), (22, 0x80))
_NEW_IN_3_00 = (26, 28, 30, 34, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64)
_ISA_3_00 = (*_ISA_2_07, (36, 0xC0), *((place, 0x80) for place in _NEW_IN_3_00))
_ISA_3_10 = (*_ISA_3_00, (70, 0xCE), (74, 0x80))
_OLD = ((6, 0x80),)  # announced by QEMU without an implementation
_OLD_3_00 = (*_OLD, (32, 0x80), (38, 0x80), (40, 0x80))

#: The features of each ISA level, without those that capabilities add.
FEATURES: History[dict[int, bytes]] = History(
    {
        206: _features(6, (*_ISA_2_06, *_OLD)),
        207: _features(24, (*_ISA_2_07, *_OLD)),
        300: _features(66, (*_ISA_3_00, *_OLD_3_00)),
    },
    (
        "9.0",
        {
            206: _features(6, _ISA_2_06),
            207: _features(24, _ISA_2_07),
            300: _features(66, _ISA_3_00),
            310: _features(74, _ISA_3_10),
        },
    ),
)


def features(inputs: TreeInputs) -> bytes | None:
    """Return the list of the newest level that the processors can run at; None if QEMU has no list for it."""
    lists = FEATURES.at(inputs.release)
    level = max((mode for mode in inputs.modes if mode in lists), default=None)
    if level is None:
        return None
    data = bytearray(lists[level])
    extra = (
        (_CI_LARGE_PAGES, _has_large_pages(inputs)),
        (_TRANSACTIONS, inputs.level("htm")),
        (_SECOND_DAWR, inputs.level("dawr1")),
    )
    for (place, bit), present in extra:
        if present and place < len(data):
            data[place] |= bit
    return bytes(data)


def page_sizes(inputs: TreeInputs) -> bytes:
    """Return ``ibm,segment-page-sizes``, without the sizes that cap-hpt-max-page-size forbids."""
    return _page_sizes(*_segments(inputs))


def _segments(inputs: TreeInputs) -> tuple[Segments, int]:
    return _SEGMENTS if has_big_segments(inputs) else _SEGMENTS_970, inputs.level("hpt-max-page-size") or 64


def has_big_segments(inputs: TreeInputs) -> bool:
    """Return True if there are segments of 1 TiB: from POWER7 on."""
    return inputs.cpu.family.isa >= 206


@lru_cache(maxsize=16)
def _page_sizes(segments: Segments, largest: int) -> bytes:
    pieces = []
    for shift, code, pages in segments:
        kept = [page for page in pages if _allowed(shift, page[0], largest)]
        if kept:
            pieces.append(cells(shift, code, len(kept), *(n for page in kept for n in page)))
    return b"".join(pieces)


def _allowed(segment: int, page: int, largest: int) -> bool:
    """Return True if a segment may have pages of this size (hw/ppc/spapr_caps.c spapr_pagesize_cb)."""
    return page <= largest and page in (segment, _MIXED_WITH)


def _has_large_pages(inputs: TreeInputs) -> bool:
    """Return True if cache-inhibited pages may be large: POWER7 on, if any large page is allowed."""
    segments, largest = _segments(inputs)
    return has_big_segments(inputs) and any(
        page >= _LARGE and _allowed(shift, page, largest) for shift, _, pages in segments for page, _ in pages
    )
