"""QEMU's parsers of an option's text: QemuOpts, the keyval syntax that replaced it for some options, JSON.

util/qemu-option.c, util/keyval.c and qobject/json-parser.c, and the order of a QDict's entries
(qobject/qdict.c).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache

from vmstate.dataclass import dataclass
from vmstate.pattern import pattern

#: A parsed keyval option: values are texts, or dictionaries for dotted keys.
KeyVal = dict[str, "str | KeyVal"]

_BUCKETS = 512
_NAME = pattern("[A-Za-z][A-Za-z0-9_-]*")
#: A pair without dots in its name or commas in its value, with the comma that ends it.
_PLAIN_PAIR = pattern("([A-Za-z][A-Za-z0-9_-]*)=([^,]*)(?:,(?!,)|\\Z)", re.ASCII)


class BadOption(Exception):
    """The text of an option is malformed; ``lines`` are QEMU's message, without the place."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Opt:
    """One ``name=value``; ``short`` if it was written as a flag.

    ``json``: the type of a value that was written as JSON (``string``, ``integer``, ``boolean``, ``number``,
    ``null``, ``object``, ``array``), empty for one that was written as text.
    """

    name: str
    value: str
    short: bool = False
    json: str = ""


@dataclass(frozen=True, slots=True)
class Global:
    """A ``-global``: a default for a property of a class.  ``own`` if -cpu made it."""

    driver: str
    prop: str
    value: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class DeviceOption:
    """A ``-device`` or ``-netdev``: its driver (or type), its properties in order, its text as written."""

    driver: str
    properties: tuple[Opt, ...]
    text: str

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the last value given for a property."""
        for opt in reversed(self.properties):
            if opt.name == name:
                return opt.value
        return default

    @property
    def id(self) -> str | None:
        """The id given, if any."""
        return self.get("id")


def parse_opts(text: str, implied: str | None = None) -> list[Opt]:
    """Parse a QemuOpts text; ``implied`` is the name of a first value without one (``opts_do_parse``).

    A comma in a value is written twice.  A flag ``foo`` is on, ``nofoo`` is off.  ``id`` is left out.
    """
    if ",," not in text:
        found = [_opt(part, implied if not place else None) for place, part in enumerate(text.split(","))]
        if text and not text.endswith(","):
            return [opt for opt in found if opt.name != "id"]
    return [opt for opt in _slow_opts(text, implied) if opt.name != "id"]


def parse_opts_and_id(text: str, implied: str | None = None) -> tuple[Opt, ...]:
    """Parse a QemuOpts text; the ids that :func:`parse_opts` leaves out are the last parts."""
    ids = tuple(Opt("id", part[3:]) for part in text.split(",") if part.startswith("id="))
    return (*parse_opts(text, implied), *ids)


def _opt(part: str, implied: str | None) -> Opt:
    name, equals, value = part.partition("=")
    if equals:
        return Opt(name, value)
    if implied is not None:
        return Opt(implied, part)
    if part.startswith("no"):
        return Opt(part[2:], "off", short=True)
    return Opt(part, "on", short=True)


def _slow_opts(text: str, implied: str | None) -> Iterable[Opt]:
    place = 0
    while place < len(text):
        start = place
        while place < len(text) and text[place] not in "=,":
            place += 1
        if place < len(text) and text[place] == "=":
            name = text[start:place]
            value, place = _value(text, place + 1)
            yield Opt(name, value)
        elif implied is not None:
            value, place = _value(text, start)
            yield Opt(implied, value)
        else:
            yield _opt(text[start:place], None)
        implied = None
        place += 1


def _value(text: str, place: int) -> tuple[str, int]:
    """Return a value, up to a single comma, and its end; two commas are one (``get_opt_value``)."""
    value = ""
    while place < len(text):
        if text[place] == ",":
            if text[place + 1 : place + 2] != ",":
                break
            place += 1
        value += text[place]
        place += 1
    return value, place


def parse_json(text: str) -> list[Opt]:
    """Parse a JSON object; its entries come in the order of its QDict (``qobject_from_json``).

    A boolean becomes ``on`` or ``off``; an object or an array keeps its JSON.  Raises ValueError for a text
    that is not a JSON object, or has a key twice.
    """
    pairs = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    if type(pairs) is not dict:
        raise ValueError("not a JSON object")
    return [_json_opt(name, pairs[name]) for name in qdict_order(pairs)]


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _json_opt(name: str, value: object) -> Opt:
    match value:
        case bool():
            return Opt(name, "on" if value else "off", json="boolean")
        case str():
            return Opt(name, value, json="string")
        case int():
            return Opt(name, str(value), json="integer")
    kinds = {dict: "object", list: "array", float: "number", type(None): "null"}
    return Opt(name, json.dumps(value), json=kinds[type(value)])


def parse_keyval(text: str, into: KeyVal, implied: str | None = None) -> None:
    """Parse ``text`` into a dictionary that may have entries; later ones win (``keyval_parse_into``).

    Raises BadOption with QEMU's message, without the place.
    """
    place = 0
    while place < len(text):
        plain = _PLAIN_PAIR.match(text, place)
        if plain is not None and not isinstance(into.get(plain[1]), dict):
            into[plain[1]] = plain[2]
            place = plain.end()
        else:
            place = _keyval_one(text, place, into, implied)
        implied = None


def _keyval_one(text: str, place: int, into: KeyVal, implied: str | None) -> int:
    start = place
    while place < len(text) and text[place] not in "=,":
        place += 1
    is_value = place < len(text) and text[place] == "="
    if not is_value and implied is not None and place > start:
        _put(into, [implied], text[start:place], implied)
        return place + 1
    key = text[start:place]
    fragments = key.split(".")
    if not all(_is_name(fragment) for fragment in fragments):
        raise BadOption(f"Invalid parameter '{key}'")
    if not is_value:
        raise BadOption(f"Expected '=' after parameter '{key}'")
    value, place = _value(text, place + 1)
    _put(into, fragments, value, key)
    return place + 1


def _is_name(fragment: str) -> bool:
    return _NAME.fullmatch(fragment) is not None


def _put(into: KeyVal, fragments: list[str], value: str, key: str) -> None:
    place = into
    for fragment in fragments[:-1]:
        inner = place.setdefault(fragment, {})
        if not isinstance(inner, dict):
            raise BadOption(f"Parameters '{key.rpartition('.')[0]}.*' used inconsistently")
        place = inner
    if isinstance(place.get(fragments[-1]), dict):
        raise BadOption(f"Parameters '{key}.*' used inconsistently")
    place[fragments[-1]] = value


def qdict_order(keys: Iterable[str]) -> list[str]:
    """Return ``keys`` in the order of a QDict into which they were put in this order."""
    buckets: dict[int, list[str]] = {}
    for key in keys:
        buckets.setdefault(_bucket(key), []).insert(0, key)
    return [key for bucket in sorted(buckets) for key in buckets[bucket]]


@lru_cache(4096)
def _bucket(key: str) -> int:
    value = 0x238F13AF * len(key)
    for place, char in enumerate(key.encode()):
        value += char << (place * 5 % 24)
    return ((1103515243 * (value & 0xFFFFFFFF) + 12345) & 0xFFFFFFFF) % _BUCKETS


def parse_size(text: str, default_unit: int = 1) -> int | None:
    """Return a size in bytes, which may have a suffix k, M, G, T, P or E; None if it is not one.

    util/cutils.c ``qemu_strtosz``.
    """
    digits = text
    unit = default_unit
    if text and text[-1].isalpha() and text[:2].lower() != "0x":
        scale = "bkmgtpe".find(text[-1].lower())
        if scale < 0:
            return None
        unit, digits = 1 << (10 * scale), text[:-1]
    try:
        if digits.lower().startswith("0x"):
            value = int(digits, 16) * unit
        elif digits.isascii() and digits.isdigit():
            value = int(digits) * unit
        else:
            whole, dot, rest = digits.partition(".")
            if not dot or not (whole + rest).isdigit() or not whole.isascii():
                return None
            value = int(float(digits) * unit)
    except ValueError:
        return None
    return value if value < 1 << 64 else None


TRUE = frozenset({"on", "yes", "true", "y"})
FALSE = frozenset({"off", "no", "false", "n"})


def is_on(value: str) -> bool:
    """Return True if a property of type bool is set."""
    return value in TRUE


def value_of(parts: Iterable[Opt], name: str) -> str | None:
    """Return the value of the first part of that name; None if there is no such part."""
    return next((opt.value for opt in parts if opt.name == name), None)


def parse_number(text: str) -> int | None:
    """Return a whole number as read by ``strtoull`` with base 0; None if it is not one."""
    try:
        if text.lower().startswith("0x"):
            return int(text, 16)
        if not text.isascii() or not text.lstrip("+-").isdigit():
            return None
        return int(text, 8) if len(text) > 1 and text.startswith("0") else int(text)
    except ValueError:
        return None
