"""Where the members of a VMStateDescription are, found out from the descriptions of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from vmstate.binaries.elf import WORD
from vmstate.binaries.field_layout import MOST_FIELDS, STRUCT, VSTRUCT, FieldLayout
from vmstate.binaries.image import Flags, Image, Places
from vmstate.binaries.infos import Infos, shifted
from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError

_MOST_VERSION, _MOST_NAMELESS = 1 << 16, 100

#: The hooks, in order, by their number and by which of them is ``needed``: nearly every subsection has that.
_HOOKS = ("pre_load", "post_load", "pre_save", "post_save", "needed", "dev_unplug_pending")
_WITH_ERROR = (
    *("pre_load", "pre_load_errp", "post_load", "post_load_errp", "pre_save", "pre_save_errp"),
    *("post_save", "needed", "dev_unplug_pending"),
)
HOOKS = {
    (6, 4): _HOOKS,
    (7, 5): ("load_state_old", *_HOOKS),
    (9, 7): _WITH_ERROR,
}
NEEDED = "needed"
#: What has MIG_PRI_PCI_BUS in every QEMU, and that priority as :class:`vmstate.describe.Priority` has it.
_PCI_BUS = frozenset({"pci_bridge", "pcie-root-port", "i82801b11_bridge", "pcie-pci-bridge"})


@dataclass(frozen=True)
class DescriptionLayout:
    """Places of the members: in words, those of four bytes in halves of words.

    ``hooks``: by name, the word of each.  ``flag_bytes``: unmigratable and early_setup are single bytes.
    ``pci_bus``: the priority of bridges, by which others are understood; QEMU has numbered them anew.
    """

    fields: int
    subsections: int
    hooks: tuple[tuple[str, int], ...]
    version_id: int
    minimum_version_id: int
    priority: int | None
    pci_bus: int
    flag_bytes: bool

    @property
    def words(self) -> int:
        """The size of a description."""
        return self.subsections + 1


def find_descriptions(
    image: Image, infos: Infos, layout: FieldLayout, fields: int
) -> tuple[DescriptionLayout, Places]:
    """Find where the members are, and the places of all descriptions that have fields."""
    places = _with_fields(image, infos, layout, fields)
    found = _layout(image, places, layout, fields)
    known = np.zeros(image.size, np.bool_)
    known[places[_sane(image, places, found)]] = True
    known[_nameless(image, infos, layout, found)] = True
    for place in _empty(image, layout, found):
        known[place] = True
    return found, np.flatnonzero(known)


def _with_fields(image: Image, infos: Infos, layout: FieldLayout, fields: int) -> Places:
    """Return the places of what has a name, and ``fields`` words later a pointer to a list of fields."""
    named = (image.points != 0) & ~image.code
    places = np.flatnonzero(named & shifted(_lists(image, infos, layout)[image.target], fields))
    bools = image.raw.reshape(-1, WORD)[places + 1, :4] <= 1  # unmigratable and early_setup, or an int
    places = places[bools.all(axis=1)]
    return places[[image.text(int(address)) is not None for address in image.points[places]]]


def _nameless(image: Image, infos: Infos, layout: FieldLayout, found: DescriptionLayout) -> Places:
    """Return the places of descriptions that get their names at run time (hw/net/eepro100.c)."""
    nothing = (image.points == 0) & (image.words == 0)
    places = np.flatnonzero(nothing & shifted(_lists(image, infos, layout)[image.target], found.fields))
    places = places[_sane(image, places, found)]
    version = image.halves[2 * places + found.version_id]
    minimum = image.halves[2 * places + found.minimum_version_id]
    return places[(version > 0) & (version < _MOST_NAMELESS) & (minimum >= 0) & (minimum <= version)]


def _lists(image: Image, infos: Infos, layout: FieldLayout) -> Flags:
    """Return where a list of fields may begin: a name, and a type or the description of a struct."""
    named = (image.points != 0) & ~image.code
    typed = shifted(infos.shaped[image.target], layout.info)
    untyped = shifted((image.points == 0) & (image.words == 0), layout.info)
    nested = shifted(image.target != 0, layout.vmsd) & untyped
    is_list: Flags = named & (typed | (nested & _is_struct(image, layout)))
    is_list[0] = False
    return is_list


def _is_struct(image: Image, layout: FieldLayout) -> Flags:
    """Return, by the place of a field, whether its flags say that it is a struct."""
    kinds = image.halves[layout.flags % 2 :: 2]
    return shifted((kinds & (STRUCT | VSTRUCT)) != 0, layout.flags // 2)


def _layout(image: Image, places: Places, layout: FieldLayout, fields: int) -> DescriptionLayout:
    if len(places) < 20:
        raise _not_understood(image, f"only {len(places)} descriptions found")
    span = places[:, None] + np.arange(fields + 2)
    subsections = fields + 1
    lists = image.target[span[:, subsections]]
    lists = lists[lists != 0]
    inner = image.target[lists]
    if not len(lists) or (image.target[inner + fields] != 0).mean() < 0.9:
        raise _not_understood(image, "where a VMStateDescription has its subsections")
    code = image.code[span]
    in_code = [w for w in range(1, fields) if code[:, w].any()]
    halves = image.halves[2 * places[:, None] + np.arange(2 * fields)]
    version, minimum = _versions(image, places, halves, 2 * min(in_code, default=fields), layout, fields)
    priority, pci_bus = _priority(image, places, halves, minimum + 1, 2 * min(in_code, default=fields))
    hooks = _hooks(image, np.unique(inner), (max(minimum, priority or 0) + 2) // 2, fields)
    flag_bytes = bool((halves[:, 2] & ~1).any())
    return DescriptionLayout(fields, subsections, hooks, version, minimum, priority, pci_bus, flag_bytes)


def _versions(
    image: Image, places: Places, halves: npt.NDArray[np.int32], end: int, layout: FieldLayout, fields: int
) -> tuple[int, int]:
    """Return where version_id and minimum_version_id are: of the first alone no field is newer."""
    newest = _newest_field(image, places, layout, fields)
    fits = {h: int((halves[:, h] >= newest).sum()) for h in range(2, end) if halves[:, h].any()}
    version = max(fits, key=lambda h: fits[h], default=0)
    if fits.get(version, 0) < len(places) * 0.97:
        raise _not_understood(image, "where a VMStateDescription has its version_id")
    minimum = version + 1
    if (halves[:, minimum] <= halves[:, version]).mean() < 0.97:
        raise _not_understood(image, "where a VMStateDescription has its minimum_version_id")
    return version, minimum


def _priority(
    image: Image, places: Places, halves: npt.NDArray[np.int32], begin: int, end: int
) -> tuple[int | None, int]:
    """Return where the priority is, and that of PCI bridges; None if there is no bridge."""
    bridges = np.array([image.text(int(image.points[place])) in _PCI_BUS for place in places])
    rare = [h for h in range(begin, end) if 0 < (halves[:, h] != 0).mean() < 0.1]
    values = {h: np.unique(halves[bridges, h]).tolist() for h in rare}
    found = [(h, value[0]) for h, value in values.items() if len(value) == 1 and value[0] > 0]
    return found[0] if len(found) == 1 else (None, 0)


def _newest_field(image: Image, places: Places, layout: FieldLayout, fields: int) -> npt.NDArray[np.int32]:
    newest = np.zeros(len(places), np.int32)
    here = image.target[places + fields]
    going = np.ones(len(places), np.bool_)
    for _ in range(MOST_FIELDS):
        going &= (image.points[here] != 0) & ~image.code[here]
        if not going.any():
            break
        versions = image.halves[2 * here + layout.version_id]
        newest[going] = np.maximum(newest[going], versions[going])
        here = np.where(going, np.minimum(here + layout.stride, image.size - layout.stride - 1), 0)
    return newest


def _hooks(image: Image, inner: Places, first: int, fields: int) -> tuple[tuple[str, int], ...]:
    """Name the hooks by their number, and by which of them is ``needed``."""
    inner = inner[inner != 0]
    share = {w: float(image.code[inner + w].mean()) for w in range(first, fields)}
    needed = max(share, key=lambda w: share[w], default=0)
    names = HOOKS.get((fields - first, needed - first))
    rest = max((value for word, value in share.items() if word != needed), default=0)
    if names is None or share[needed] < max(0.5, 3 * rest):
        raise _not_understood(image, "the hooks of a VMStateDescription")
    return tuple(zip(names, range(first, fields), strict=True))


def _sane(image: Image, places: Places, layout: DescriptionLayout) -> Flags:
    """Return which of these can be descriptions: hooks are code, versions are in order."""
    fine = image.halves[2 * places + layout.version_id] >= 0
    for _, word in layout.hooks:
        fine &= image.code[places + word] | (
            (image.points[places + word] == 0) & (image.words[places + word] == 0)
        )
    lists = places + layout.subsections
    fine &= (image.target[lists] != 0) | ((image.points[lists] == 0) & (image.words[lists] == 0))
    return fine


def _empty(image: Image, layout: FieldLayout, found: DescriptionLayout) -> Iterator[int]:
    """Yield the places of descriptions whose list of fields has only its end.

    Such a list has no pointers, so it is often among the constants.
    """
    named = (image.points != 0) & ~image.code
    listed = shifted(named, found.fields)
    for _, word in found.hooks:
        listed &= shifted(image.code | ((image.points == 0) & (image.words == 0)), word)
    places = np.flatnonzero(named & listed)
    places = places[places + found.words < image.size]
    version = image.halves[2 * places + found.version_id]
    minimum = image.halves[2 * places + found.minimum_version_id]
    places = places[(minimum >= 0) & (minimum <= version) & (version < _MOST_VERSION)]
    places = places[_sane(image, places, found)]
    for place in places.tolist():
        raw = image.bytes_at(int(image.points[place + found.fields]), layout.stride * WORD)
        has_code = any(image.code[place + word] for _, word in found.hooks)
        numbered = image.halves[2 * place + found.minimum_version_id] > 0
        certain = layout.end or has_code or numbered or image.target[place + found.subsections]
        if certain and _is_end(image, raw, layout) and image.text(int(image.points[place])) is not None:
            yield place


def _is_end(image: Image, raw: bytes, layout: FieldLayout) -> bool:
    flags = 4 * layout.flags
    order: Literal["little", "big"] = "little" if image.byteorder == "<" else "big"
    end = int.from_bytes(raw[flags : flags + 4], order)
    return len(raw) == layout.stride * WORD and end == layout.end and not any(raw[:flags] + raw[flags + 4 :])


def _not_understood(image: Image, what: str) -> ConfigurationError:
    return ConfigurationError(f"{image.elfs[0].path}: not understood: {what}")
