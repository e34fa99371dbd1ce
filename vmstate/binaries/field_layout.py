"""Where the members of a VMStateField are, found out from the fields of an image.

QEMU moved these members more than once, so no release's layout is assumed: a member is where the values are
that only this member can have.  What remains ambiguous is not understood, and an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from vmstate.binaries.image import Flags, Image, Places
from vmstate.binaries.infos import Infos
from vmstate.dataclass import dataclass
from vmstate.describe.infos import SCALARS
from vmstate.errors import ConfigurationError

#: VMS_* (include/migration/vmstate.h): these bits have meant the same in all releases.
SINGLE, POINTER, ARRAY, STRUCT, VARRAY_INT32, BUFFER = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20
ARRAY_OF_POINTER, VARRAY_UINT16, VBUFFER, MULTIPLY = 0x40, 0x80, 0x100, 0x200
VARRAY_UINT8, VARRAY_UINT32, MUST_EXIST, ALLOC = 0x400, 0x800, 0x1000, 0x2000
MULTIPLY_ELEMENTS, VSTRUCT = 0x4000, 0x8000
VARRAY = VARRAY_INT32 | VARRAY_UINT16 | VARRAY_UINT8 | VARRAY_UINT32
#: The end of a list had this bit until it became AUTO_ALLOC.
AUTO_ALLOC = 0x10000

_LEAST_WORDS, _MOST_WORDS = 6, 32
MOST_FIELDS = 4096
_NUMBERS = {n: info.width for n, info in SCALARS.items() if n.removeprefix("u")[:3] == "int" or n == "bool"}


@dataclass(frozen=True)
class FieldLayout:
    """Places of the members: in words, those of four bytes in halves of words; None: not in this QEMU.

    ``stride``: the size of a field in words.  ``end``: the flags of a list's end.  ``paired``: the offset of
    a count or size is four bytes, and the next four are how many bytes it has there (from 11.1 on).
    """

    stride: int
    info: int
    vmsd: int
    exists: int | None
    offset: int
    size: int
    start: int | None
    num_offset: int | None
    size_offset: int | None
    num: int
    flags: int
    version_id: int
    struct_version_id: int | None
    end: int
    paired: bool = False
    unknown: tuple[int, ...] = ()


class Evidence:
    """The fields of an image, as rows: what is in each word and in each half of a word."""

    def __init__(self, image: Image, infos: Infos, places: Places, stride: int, info: int) -> None:
        self.image = image
        self.places = places
        self.stride = stride
        span = places[:, None] + np.arange(stride)
        self.words, self.points = image.words[span], image.points[span]
        self.code, self.target = image.code[span], image.target[span]
        self.halves = image.halves[2 * places[:, None] + np.arange(2 * stride)]
        kind = self.target[:, info]
        self.names = np.array([infos.names.get(int(place), "") for place in kind], object)
        self.width = np.array([_NUMBERS.get(name, 0) for name in self.names], np.uint64)
        self.next = np.append(np.diff(places) == stride, False)


def stride_and_info(image: Image, infos: Infos) -> tuple[int, int, Places]:
    """Return a field's size, where its type is, and the places where lists of fields begin."""
    of_field = np.flatnonzero(infos.common[image.target])
    distances = np.diff(of_field)
    distances = distances[(distances >= _LEAST_WORDS) & (distances <= _MOST_WORDS)]
    counts = np.bincount(distances, minlength=_MOST_WORDS + 1)
    stride = int(counts.argmax())
    if counts[stride] < 20 or counts[stride] * 2 < counts.sum():
        raise _not_understood(image, "the size of a VMStateField")
    is_field = np.zeros(image.size, np.bool_)
    is_field[of_field] = True
    first = of_field[~is_field[of_field - stride]]
    pointed = np.zeros(image.size, np.bool_)
    pointed[image.target] = True
    pointed[0] = False
    named = (image.points != 0) & ~image.code & pointed
    scores = {back: int(named[first - back].sum()) for back in range(stride)}
    info = _best(image, "the start of a VMStateField", scores, len(first) // 4)
    starts = first - info
    return stride, info, starts[named[starts]]


def list_of(image: Image, starts: Places, stride: int) -> tuple[Places, Places]:
    """Return the places of all fields of these lists, and those of the lists' ends."""
    fields, ends = [], []
    here = starts
    for _ in range(MOST_FIELDS):
        going = (image.points[here] != 0) & ~image.code[here]
        ends.append(here[~going])
        here = here[going]
        if not len(here):
            break
        fields.append(here)
        here = np.minimum(here + stride, image.size - stride - 1)
    return np.unique(np.concatenate([*fields, starts[:0]])), np.unique(np.concatenate(ends))


def find_layout(
    image: Image, infos: Infos, stride: int, info: int, starts: Places
) -> tuple[FieldLayout, int]:
    """Find where each member is, and where in a VMStateDescription the pointer to its fields is."""
    rows, ends = list_of(image, starts, stride)
    seen = Evidence(image, infos, rows, stride, info)
    vmsd, fields = _vmsd(seen, info, starts)
    exists = _exists(seen, info, vmsd)
    size = _size(seen)
    offset = _offset(seen, size)
    end = _end(image, ends, stride)
    flags = _flags(seen, image, ends, end)
    kinds = seen.halves[:, flags]
    taken = {0, info, vmsd, size, offset} | ({exists} if exists is not None else set())
    free = [w for w in range(stride) if w not in taken and not seen.points[:, w].any() and w != flags // 2]
    num_offset = _only_where(seen, free, (kinds & VARRAY) != 0, "num_offset")
    size_offset = _only_where(
        seen, [w for w in free if w != num_offset], (kinds & VBUFFER) != 0, "size_offset"
    )
    free = [w for w in free if w not in {num_offset, size_offset}]
    halves = [h for h in range(2 * stride) if (h // 2 in free or h // 2 == flags // 2) and h != flags]
    num = _num(seen, halves, kinds)
    start = _start(seen, [w for w in free if w != num // 2], kinds)
    halves = [h for h in halves if h != num and h // 2 != start and seen.halves[:, h].any()]
    struct_version = _struct_version(seen, halves, kinds)
    versions = {h: int((seen.halves[:, h] != 0).sum()) for h in halves if h != struct_version}
    version = _best(image, "version_id", versions, 1)
    unknown = tuple(4 * h for h in halves if h not in {version, struct_version})
    places = [w for w in (num_offset, size_offset) if w is not None]
    paired = bool(places) and bool((seen.words[:, places] >> np.uint64(32)).any())
    layout = FieldLayout(
        *(stride, info, vmsd, exists, offset, size, start, num_offset, size_offset, num, flags),
        *(version, struct_version, end, paired, unknown),
    )
    return layout, fields


def _vmsd(seen: Evidence, info: int, starts: Places) -> tuple[int, int]:
    """Return where the pointer to a description is, and where that has its pointer to a list of fields."""
    image = seen.image
    begins = np.zeros(image.size, np.bool_)
    begins[starts] = True
    scores = {}
    for word in range(1, seen.stride):
        targets = np.unique(seen.target[:, word])
        targets = targets[targets != 0]
        if word != info and len(targets):
            for fields in range(1, _MOST_WORDS):
                there = np.minimum(targets + fields, image.size - 1)
                scores[word, fields] = int(begins[image.target[there]].sum())
    best = max(scores, key=lambda key: scores[key], default=(0, 0))
    if scores.get(best, 0) < 5:
        raise _not_understood(image, "where a VMStateField names a description")
    return best


def _exists(seen: Evidence, info: int, vmsd: int) -> int | None:
    columns = [w for w in range(1, seen.stride) if w not in {info, vmsd} and seen.code[:, w].any()]
    if len(columns) > 1:
        raise _not_understood(seen.image, "field_exists")
    return columns[0] if columns else None


def _size(seen: Evidence) -> int:
    known = seen.width != 0
    scores = {w: int((seen.words[known, w] == seen.width[known]).sum()) for w in range(1, seen.stride)}
    return _best(seen.image, "size", scores, int(known.sum()) * 3 // 4)


def _offset(seen: Evidence, size: int) -> int:
    """An offset is the previous one and its size, for many numbers that stand one after the other."""
    pairs = np.flatnonzero(seen.next[:-1] & (seen.width[:-1] != 0))
    grown = seen.words[pairs + 1] - seen.words[pairs]
    fits = grown == seen.width[pairs][:, None]
    scores = {w: int(fits[:, w].sum()) for w in range(1, seen.stride) if w != size}
    return _best(seen.image, "offset", scores, len(pairs) // 10)


def _end(image: Image, ends: Places, stride: int) -> int:
    """The flags of a list's end: its only member that is not zero, if it has one (VMS_END)."""
    halves = image.halves[2 * ends[:, None] + np.arange(2 * stride)]
    values, counts = np.unique(halves[halves != 0], return_counts=True)
    if not len(values) or counts.max() * 2 < len(ends):
        return 0
    return int(values[counts.argmax()])


def _flags(seen: Evidence, image: Image, ends: Places, end: int) -> int:
    if end:
        halves = image.halves[2 * ends[:, None] + np.arange(2 * seen.stride)]
        scores = {h: int((halves[:, h] == end).sum()) for h in range(2 * seen.stride)}
        return _best(image, "flags", scores, len(ends) // 2)
    known = seen.width != 0
    scores = {h: int((seen.halves[known, h] == SINGLE).sum()) for h in range(2 * seen.stride)}
    return _best(image, "flags", scores, int(known.sum()) // 3)


def _only_where(seen: Evidence, words: Iterable[int], rows: Flags, member: str) -> int | None:
    """Return the word that is set only in these rows, and in most of them; None if there are no such rows."""
    scores = {w: int((seen.words[rows, w] != 0).sum()) for w in words if not seen.words[~rows, w].any()}
    if not rows.any() or not any(scores.values()):
        return None
    return _best(seen.image, member, scores, int(rows.sum()) // 2)


def _num(seen: Evidence, halves: Iterable[int], kinds: npt.NDArray[np.int32]) -> int:
    arrays, singles = (kinds & ARRAY) != 0, kinds == SINGLE
    scores = {
        h: int((seen.halves[arrays, h] > 0).sum()) for h in halves if not (seen.halves[singles, h] != 0).any()
    }
    return _best(seen.image, "num", scores, int(arrays.sum()) * 3 // 4)


def _start(seen: Evidence, words: Iterable[int], kinds: npt.NDArray[np.int32]) -> int | None:
    """Return the word for queues and trees: where an element has its link, how large a key is."""
    rows = np.isin(seen.names, ["qtailq", "qlist", "gtree"])
    plain = kinds == SINGLE
    scores = {
        w: int((seen.words[rows, w] != 0).sum()) for w in words if not (seen.words[plain & ~rows, w]).any()
    }
    scores = {w: score for w, score in scores.items() if score}
    return _best(seen.image, "start", scores, 1) if scores else None


def _struct_version(seen: Evidence, halves: Iterable[int], kinds: npt.NDArray[np.int32]) -> int | None:
    rows = (kinds & VSTRUCT) != 0
    scores = {h: int((seen.halves[rows, h] != 0).sum()) for h in halves if not seen.halves[~rows, h].any()}
    return _best(seen.image, "struct_version_id", scores, 1) if rows.any() and scores else None


def _best(image: Image, member: str, scores: Mapping[int, int], least: int) -> int:
    """Return the place with the highest score; it must reach ``least``, and no other may come near."""
    ranked = sorted(scores, key=lambda key: scores[key], reverse=True)
    if not ranked or scores[ranked[0]] < max(1, least):
        raise _not_understood(image, f"where a VMStateField has its {member}")
    if len(ranked) > 1 and scores[ranked[1]] * 10 > scores[ranked[0]] * 9:
        raise _not_understood(image, f"which member of a VMStateField is its {member}")
    return ranked[0]


def _not_understood(image: Image, what: str) -> ConfigurationError:
    return ConfigurationError(f"{image.elfs[0].path}: not understood: {what}")
