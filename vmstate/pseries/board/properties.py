"""Properties of devices: the value that -device, -global, the machine type or the device itself gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Release, Span, at
from vmstate.errors import NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import FALSE, TRUE, DeviceOption, is_on, parse_number

#: The values of each type that is a choice.
CHOICES = {
    "OnOffAuto": frozenset({"on", "off", "auto"}),
    "GranuleMode": frozenset({"4k", "8k", "16k", "64k", "host"}),
    "BlockdevOnError": frozenset({"auto", "report", "ignore", "enospc", "stop"}),
}

#: The beginning of types that name an object.
LINK = "link<"

#: The lowest and the highest number of each type.
RANGES = {
    "uint8": (0, 0xFF),
    "uint16": (0, 0xFFFF),
    "uint32": (0, 0xFFFFFFFF),
    "uint64": (0, (1 << 64) - 1),
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int": (-(1 << 63), (1 << 63) - 1),
}

#: The name that QEMU gives the type of an unreadable number; None if that was not checked.
_NOT_A_NUMBER: History[str | None] = History(None, ("5.2", "{sign}int64"), ("6.2", "integer"))
_NOT_A_BOOL: History[str | None] = History(None, ("5.2", "Parameter '{name}' expects 'on' or 'off'"))
_NOT_A_CHOICE: History[str | None] = History(
    None,
    ("5.2", "Invalid parameter '{value}'"),
    ("6.2", "Parameter '{name}' does not accept value '{value}'"),
)

#: A size: a number, in hexadecimal without a suffix; a fraction needs one.
_SIZE = pattern(
    r"(?P<whole>0[xX][0-9a-fA-F]+|[0-9]+)(?P<fraction>\.[0-9]+)?(?P<suffix>[bBkKmMgGtTpPeE])?", re.ASCII
)
_BLOCK_SIZES = frozenset({"logical_block_size", "physical_block_size"})
#: Sizes that have 32 bits (hw/core/qdev-properties.c ``set_size32``); the others have 64.
_SIZES_BELOW_4G = _BLOCK_SIZES | {
    *("min_io_size", "opt_io_size", "discard_granularity", "x-max-bounce-buffer-size"),
}
_SIZE_ABOVE_4G: History[str | None] = History(
    None,
    ("5.2", "Property .{name} doesn't take value {size} (maximum: 4294967295)"),
    ("7.2", "Property {device}.{name} doesn't take value {size} (maximum: 4294967295)"),
)
_SIZES_EXPLAINED = """Parameter '{name}' expects a non-negative number below 2^64
Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-
and exabytes, respectively."""
_NOT_A_SIZE: History[str | None] = History(
    None, ("5.2", _SIZES_EXPLAINED), ("6.2", "Parameter '{name}' expects size")
)
_SIZE_OUT_OF_RANGE: History[str | None] = History(
    None, ("5.2", "Value '{value}' is out of range for parameter '{name}'"), ("6.2", None)
)
_NOT_TAKEN: History[str | None] = History(
    None, ("5.2", "Property '{driver}.{name}' doesn't take value '{value}'")
)
#: qom/object.c ``object_property_set`` of a property without a setter.
_READ_ONLY: History[str | None] = History(
    None,
    ("5.2", "Insufficient permission to perform this operation"),
    ("7.2", "Property '{driver}.{name}' is not writable"),
)
#: What may be read though it is no such number; exponents were read at first.
_UNSURE = History(
    re.compile(r"[.+\s].*|[0-9]*\..?|.*[eE].+", re.DOTALL),
    ("6.2", re.compile(r"[.+\s].*|[0-9]*\..?", re.DOTALL)),
)


def number_of(option: DeviceOption | None, name: str, default: int) -> int:
    """Return a numeric value of an option.  Raises NotModelled for a text that is not a number."""
    given = None if option is None else option.get(name)
    return default if given is None else _number(name, given)


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise NotModelled(f"{name}={text}: not a number that is modelled") from None


class Effect(Enum):
    """The effect of a property on a stream.

    MODELLED: it decides what is sent or accepted, and is simulated.  HARMLESS: it changes neither.
    NOT_MODELLED: it may change either, so a value other than the default is NotModelled.
    """

    MODELLED = "modelled"
    HARMLESS = "harmless"
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True)
class Property:
    """A property of the class ``owner``, with the device's own default, by release.

    ``default`` may depend on the machine; it is empty where it depends on other devices.  ``kind``: the type
    that ``-device NAME,help`` prints.  ``why``: what a harmless property does.  ``span``: the
    releases that have it.  ``values``: the values that are modelled, if not all are.  ``feature``: the bit
    of a virtio feature that it offers.  ``listed``: ``-device NAME,help`` prints it.  ``by_global``: a
    ``-global`` for it is followed.  ``own_syntax``: the texts that QEMU takes by rules of the
    property's own, which are not those of its type.
    ``read_only``: QEMU refuses to set it.
    """

    owner: str
    name: str
    default: str | History[str] | Callable[[Machine], str] = ""
    kind: str | History[str] = "str"
    effect: Effect = Effect.MODELLED
    why: str = ""
    span: Span = ALWAYS
    values: Callable[[str], bool] | None = None
    feature: int | None = None
    listed: bool = True
    by_global: bool = True
    own_syntax: re.Pattern[str] | None = None
    read_only: bool = False

    def text(self, machine: Machine, option: DeviceOption | None = None, driver: str = "") -> str:
        """Return the value from -device, else -global, else the machine type, else the device's default.

        ``driver``: the device's name, for a property that its class inherits from ``owner``.
        """
        given = None if option is None else option.get(self.name)
        if given is not None:
            return given
        value = self.default_text(machine, driver)
        for setting in machine.globals:
            if setting.prop == self.name and setting.driver in (self.owner, driver):
                value = setting.value
        return value

    def default_text(self, machine: Machine, driver: str = "") -> str:
        """Return the value of a device that neither -device nor -global sets."""
        values = machine.compat_values
        value = values.get((driver, self.name)) or values.get((self.owner, self.name))
        if value is not None:
            return value
        return self.default(machine) if callable(self.default) else at(self.default, machine.release)

    def flag(self, machine: Machine, option: DeviceOption | None = None, driver: str = "") -> bool:
        """Return the value of a property of type bool."""
        return is_on(self.text(machine, option, driver))

    def number(
        self, machine: Machine, option: DeviceOption | None = None, default: int = 0, driver: str = ""
    ) -> int:
        """Return a numeric value; ``default`` is the device's own if that depends on the machine.

        Raises NotModelled for a text that is not a number.
        """
        text = self.text(machine, option, driver)
        return _number(self.name, text) if text else default

    def check(self, machine: Machine, value: str, driver: str, text: str) -> None:
        """Raise Refused for a value that QEMU does not read, in the option ``text``.

        Raises NotModelled for one that is not modelled, or if the property is not.
        """
        complaint = self._complaint(value, driver, machine.release)
        if complaint is not None:
            raise Refused(*f"{text}: {complaint}".splitlines())
        if self.effect is Effect.NOT_MODELLED:
            if not self._same(value, self.default_text(machine, driver), machine.release):
                raise NotModelled(f"{text}: property {self.name} of {driver} is not modelled")
        elif at(self.kind, machine.release).startswith(LINK):
            if machine.find_object(value) is None:
                raise Refused(f"{text}: Device '{value}' not found")
        elif self.values is not None and not self.values(value):
            raise NotModelled(f"{text}: {self.name}={value} of {driver} is not modelled")

    def _complaint(self, value: str, driver: str, release: Release) -> str | None:
        """Return how QEMU refuses to set the property, or a value of the wrong type; None if it does not.

        Raises NotModelled where its words are not known.
        """
        kind = "" if self.own_syntax else at(self.kind, release)
        if self.read_only:
            line = _READ_ONLY.at(release)
        elif self.own_syntax is not None and not self.own_syntax.fullmatch(value):
            line = _NOT_TAKEN.at(release)
        elif kind == "bool" and value not in TRUE | FALSE:
            line = _NOT_A_BOOL.at(release)
        elif value not in CHOICES.get(kind, (value,)):
            line = _NOT_A_CHOICE.at(release)
        elif kind in RANGES:
            return self._range_complaint(kind, value, release)
        elif kind == "size":
            return self._size_complaint(value, driver, release)
        else:
            return None
        if line is None:
            raise NotModelled(f"{self.name}={value}: not modelled in {release}")
        return line.format(driver=driver, name=self.name, value=value)

    def _range_complaint(self, kind: str, value: str, release: Release) -> str | None:
        lowest, highest = RANGES[kind]
        number, wanted = parse_number(value), f"{kind}_t"
        if number is None:
            line = _NOT_A_NUMBER.at(release)
            wanted = "" if line is None else line.format(sign="" if lowest else "u")
        else:
            number = number & (1 << 64) - 1 if not lowest else number
            if lowest <= number <= highest:
                return None
        if not wanted or _NOT_A_NUMBER.at(release) is None:
            raise NotModelled(f"{self.name}={value}: not modelled in {release}")
        return f"Parameter '{self.name}' expects {wanted}"

    def _size_complaint(self, value: str, driver: str, release: Release) -> str | None:
        found = _SIZE.fullmatch(value)
        if found is not None and (found["fraction"] is None or found["suffix"]):
            number = parse_number(found["whole"]) or 0
            size = number * 1024 ** "bkmgtpe".index((found["suffix"] or "b").lower())
            if size < 1 << (32 if self.name in _SIZES_BELOW_4G else 64):
                return None
            line = _SIZE_ABOVE_4G.at(release)
            if size < 1 << 64 and (line is None or self.name in _BLOCK_SIZES):
                raise NotModelled(f"{self.name}={value}: its largest value is not modelled")
            if size < 1 << 64 and line is not None:
                # The properties of a virtio device are aliases on its proxy.
                inner = self.owner if self.owner.startswith("virtio-") else driver
                return line.format(device=inner, name=self.name, size=size)
        line = _NOT_A_SIZE.at(release)
        unsure = found is None and _UNSURE.at(release).fullmatch(value)
        if line is None or unsure:
            raise NotModelled(f"{self.name}={value}: not modelled in {release}")
        large = re.fullmatch("-[0-9]+", value) or (found is not None and found["fraction"] is None)
        line = _SIZE_OUT_OF_RANGE.at(release) or line if large else line
        return line.format(name=self.name, value=value)

    def _same(self, value: str, default: str, release: Release) -> bool:
        kind = at(self.kind, release)
        if kind == "bool":
            return default != "" and is_on(value) == is_on(default)
        if kind in RANGES:
            span = (1 << 64) - 1 if kind == "uint64" else 0xFFFFFFFF
            number, other = parse_number(value), parse_number(default)
            return number is not None and other is not None and number & span == other & span
        return value == default and default != ""


def harmless(owner: str, kind: str, why: str, *names: str, span: Span = ALWAYS) -> tuple[Property, ...]:
    """Return properties of one type that change no stream, for the same reason."""
    return tuple(Property(owner, name, "", kind, Effect.HARMLESS, why, span) for name in names)


def not_modelled(
    owner: str, name: str, kind: str | History[str], default: str = "", span: Span = ALWAYS
) -> Property:
    """Return a property that is only accepted with its default."""
    return Property(owner, name, default, kind, Effect.NOT_MODELLED, span=span)
