"""Features of a processor that its node lists: ``ibm,pa-features``, page sizes.

Rules of hw/ppc/spapr.c spapr_dt_pa_features and hw/ppc/fdt.c ppc_create_page_sizes_prop.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from vmstate.describe.history import History
from vmstate.pseries.device_tree.fdt import cells
from vmstate.pseries.device_tree.inputs import Facts

#: Hash page tables: for each segment page size (shift, SLB encoding) the page sizes (shift, PTE encoding).
Segments = tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]
_SEGMENTS_970: Segments = ((12, 0, ((12, 0),)), (24, 0x100, ((24, 0),)))
_SEGMENTS: Segments = (
    (12, 0, ((12, 0), (16, 7), (24, 0x38))),
    (16, 0x110, ((16, 1), (24, 8))),
    (24, 0x100, ((24, 0),)),
    (34, 0x120, ((34, 3),)),
)
_MIXED_WITH = 24  # the one page size that KVM allows in a segment of another
_LARGE = 16

_CI_LARGE_PAGES = (3, 0x20)
_TRANSACTIONS = (24, 0x80)
_SECOND_DAWR = (66, 0x80)


def _features(size: int, bits: Iterable[tuple[int, int]]) -> bytes:
    """Bytes by place, behind their count and the number of the list (0)."""
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
_OLD = ((6, 0x80),)  # what QEMU announced without having it
_OLD_3_00 = (*_OLD, (32, 0x80), (38, 0x80), (40, 0x80))

#: What a processor of an ISA level has, before what capabilities add.
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


def features(facts: Facts) -> bytes | None:
    """The list of the newest level that the processors run at; None if QEMU has none for it."""
    lists = FEATURES.at(facts.release)
    level = max((mode for mode in facts.modes if mode in lists), default=None)
    if level is None:
        return None
    data = bytearray(lists[level])
    extra = (
        (_CI_LARGE_PAGES, _has_large_pages(facts)),
        (_TRANSACTIONS, facts.level("htm")),
        (_SECOND_DAWR, facts.level("dawr1")),
    )
    for (place, bit), present in extra:
        if present and place < len(data):
            data[place] |= bit
    return bytes(data)


def page_sizes(facts: Facts) -> bytes:
    """``ibm,segment-page-sizes``, without what cap-hpt-max-page-size forbids."""
    return _page_sizes(*_segments(facts))


def _segments(facts: Facts) -> tuple[Segments, int]:
    return _SEGMENTS if has_big_segments(facts) else _SEGMENTS_970, facts.level("hpt-max-page-size") or 64


def has_big_segments(facts: Facts) -> bool:
    """Whether there are segments of 1 TiB: from POWER7 on."""
    return facts.cpu.family.isa >= 206


@lru_cache(maxsize=16)
def _page_sizes(segments: Segments, largest: int) -> bytes:
    pieces = []
    for shift, code, pages in segments:
        kept = [page for page in pages if _allowed(shift, page[0], largest)]
        if kept:
            pieces.append(cells(shift, code, len(kept), *(n for page in kept for n in page)))
    return b"".join(pieces)


def _allowed(segment: int, page: int, largest: int) -> bool:
    """spapr_pagesize_cb of hw/ppc/spapr_caps.c."""
    return page <= largest and page in (segment, _MIXED_WITH)


def _has_large_pages(facts: Facts) -> bool:
    """Whether pages that are not cached may be large: POWER7 on, if any large page is left at all."""
    segments, largest = _segments(facts)
    return has_big_segments(facts) and any(
        page >= _LARGE and _allowed(shift, page, largest) for shift, _, pages in segments for page, _ in pages
    )
