"""The places of a stream that mutations may change: sections, fields, counts, arrays, subsections."""

from __future__ import annotations

import math

from vmstate.fuzz.anatomy import Anatomy, Array, Leaf, Part
from vmstate.fuzz.mutations.domains import Place
from vmstate.stream.constants import SectionType

_LARGE = 1 << 14
#: The most bytes that a field may have to be set as a number.
_WIDEST = 8
_NUMBERS = ("int", "uint", "bool", "timer", "mark")


def _weight(base: Anatomy, path: str) -> float:
    """Prefer small sections: large ones mostly repeat one kind of field."""
    part = base.by_path[path]
    return 1.0 if part.end - part.start < _LARGE else 0.3


def named(part: Part) -> bool:
    """Return True if the section's header names its device; those of PART and END do not."""
    return part.section.kind in {SectionType.START, SectionType.FULL}


def is_number(leaf: Leaf) -> bool:
    """Return True if a field is one number."""
    return leaf.size <= _WIDEST and leaf.type.startswith(_NUMBERS)


def _field_weight(base: Anatomy, path: str) -> float:
    """Do not prefer devices with hundreds of similar fields, such as the ports of a controller."""
    counts = base.remember(_field_weight, _leaves_by_section)
    return 1.0 / math.sqrt(counts[path])


def _leaves_by_section(base: Anatomy) -> dict[str, int]:
    return {leaf.path: len(part.leaves) for part in base.parts for leaf in part.leaves}


#: A device's section.
SECTION = Place(lambda base: [part.path for part in base.devices], _weight)
#: A section whose header names it: of a device, or the start of a live one.
NAMED = Place(lambda base: [part.path for part in base.parts if named(part)], _weight)
#: Any section.
ANY_SECTION = Place(lambda base: [part.path for part in base.parts], _weight)
#: A section with a footer.
FOOTED = Place(lambda base: [part.path for part in base.parts if part.section.footer is not None], _weight)
#: A field that is a number.
NUMBER = Place(lambda base: [leaf.path for leaf in base.leaves.values() if is_number(leaf)], _field_weight)
#: A field of a device that is a number.
DEVICE_NUMBER = Place(
    lambda base: [leaf.path for part in base.devices for leaf in part.leaves if is_number(leaf)],
    _field_weight,
)
#: Any field.
FIELD = Place(lambda base: list(base.leaves), _field_weight)
#: A number that bounds an array.
COUNT = Place(lambda base: list(base.counts))
#: An array.
ARRAY = Place(lambda base: list(base.arrays))
#: A subsection.
SUBSECTION = Place(lambda base: list(base.subsections))


def array_fields(base: Anatomy, path: str) -> list[str]:
    """Return the fields of an array's elements; an array of numbers has one, without a name."""
    return [name for name, _, _ in base.arrays[path].fields] or [""]


def element(array: Array, index: int, field: str) -> tuple[int, int]:
    """Return where a field of an array's element begins and ends."""
    at = array.start + index % array.length * array.width
    for name, offset, size in array.fields:
        if name == field:
            return at + offset, at + offset + size
    return at, at + array.width


def before(base: Anatomy, path: str) -> int:
    """Return the offset of a section, by its path."""
    return base.by_path[path].start


def header(part: Part) -> int:
    """Return the offset of the instance id in the header of a START or FULL: after mark, id and idstr."""
    return part.section.payload_start - 8
