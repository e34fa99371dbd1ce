"""VMStateInfo structs in an image: a name, then a pair of functions that read and write.

Up to 11.0 the pair follows the name; later there are two pairs, of which a type has one.  Which places QEMU's
own types use is taken from the image: those types have names that nothing else has.
"""

from __future__ import annotations

import numpy as np

from vmstate.binaries.image import Flags, Image, Places
from vmstate.dataclass import dataclass
from vmstate.describe.infos import SCALARS
from vmstate.errors import ConfigurationError

#: Types that every QEMU has, by names that occur for nothing else (migration/vmstate-types.c).
SEEDS = frozenset(
    {"unused_buffer", "int32 equal", "uint32 equal", "uint8 equal", "uint16 equal", "int64 equal", "int32 le"}
)
#: Types that most fields have.
COMMON = SEEDS | SCALARS.keys() | {"buffer", "bitmap", "tmp", "qtailq"}
_MOST_PLACES = 4
_LEAST_SEEDS = 4


@dataclass(frozen=True)
class Infos:
    """The types found.  By place: ``shaped``: a type may begin there; ``common``: one of QEMU's own does."""

    shaped: Flags
    common: Flags
    names: dict[int, str]


def find_infos(image: Image) -> Infos:
    """Find the types.  Raises ConfigurationError if QEMU's own are not there."""
    pointed = np.zeros(image.size, np.bool_)
    pointed[image.target] = True
    pointed[0] = False
    shaped = np.zeros(image.size, np.bool_)
    seeds: set[str] = set()
    named: dict[int, str] = {}
    for behind in range(_MOST_PLACES, 0, -1):
        names = _names(image, np.flatnonzero(_shape(image, behind)))
        seeds |= SEEDS & set(names.values())
        if seeds:  # types of devices may have the older pair of functions, which comes first
            used = {place: name for place, name in names.items() if pointed[place]}
            named |= used
            shaped[list(used)] = True
    if len(seeds) < _LEAST_SEEDS:
        path = image.elfs[0].path
        message = (
            f"{path}: not understood: {len(seeds)} of QEMU's wire types found; is it a qemu-system program?"
        )
        raise ConfigurationError(message)
    common = np.zeros(image.size, np.bool_)
    common[[place for place, name in named.items() if name in COMMON]] = True
    return Infos(shaped, common, named)


def _shape(image: Image, behind: int) -> Flags:
    """Return where a name is, with a pair of functions ``behind`` words after it and nothing in between."""
    found = (image.points != 0) & ~image.code
    for distance in range(1, behind):
        found &= shifted(image.words == 0, distance) & shifted(image.points == 0, distance)
    pair: Flags = found & shifted(image.code, behind) & shifted(image.code, behind + 1)
    return pair


def shifted(flags: Flags, distance: int) -> Flags:
    """Return, by place, the flag of the word ``distance`` words later."""
    return np.concatenate((flags[distance:], np.zeros(distance, np.bool_)))


def _names(image: Image, places: Places) -> dict[int, str]:
    texts = {int(place): image.text(int(image.points[place])) for place in places}
    return {place: text for place, text in texts.items() if text is not None}
