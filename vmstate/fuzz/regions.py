"""The named regions of a stream, and which of them a splice touches."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from vmstate.fuzz.anatomy import Anatomy, Part
from vmstate.fuzz.splices import Splice

_ELEMENT = re.compile(r"\[\d+\]|(?<=@)[0-9a-f.]+")


def general(path: str) -> str:
    """Return a path without the indices of elements, so that all elements of an array are one region."""
    return _ELEMENT.sub("[]", path)


class Regions:
    """The regions of a base: fields, arrays, headers, footers, and the gaps between sections."""

    def __init__(self, base: Anatomy) -> None:
        spots: list[tuple[int, str]] = [(0, "(header)")]
        for part in base.parts:
            spots += _regions(part)
            spots.append((part.end, "(between sections)"))
        vmdesc = base.vmdesc
        if vmdesc is not None:
            spots.append((vmdesc.start, "(vmdesc)"))
        spots.sort(key=lambda spot: spot[0])
        self._starts = [start for start, _ in spots]
        self._names = [name for _, name in spots]

    @property
    def all(self) -> set[str]:
        """The names of all regions."""
        return set(self._names)

    def touched(self, splices: Iterable[Splice]) -> set[str]:
        """Return the regions in which splices begin; the first byte decides."""
        return {self._names[max(0, bisect_right(self._starts, splice.start) - 1)] for splice in splices}


def _regions(part: Part) -> Iterable[tuple[int, str]]:
    where = general(part.path)
    yield part.start, f"{where} (section header)"
    if part.live:
        yield part.section.payload_start, f"{where} (payload)"
    for leaf in part.leaves:
        yield leaf.start, general(leaf.path)
    for array in part.arrays:
        yield array.start, general(array.path)
    for sub in part.subsections:
        yield sub.start, f"{general(sub.path)} (subsection header)"
    if part.section.footer is not None:
        yield part.end - 5, f"{where} (footer)"
