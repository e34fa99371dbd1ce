"""The properties that the command line gives devices: QEMU must know them, and read their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from vmstate.describe.history import History, Release, at
from vmstate.errors import NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.board.bus_properties import MAC
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property
from vmstate.pseries.devices import drivers
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption, Global, Opt, parse_number, qdict_order

#: The parts of -device that are not properties.
_OF_THE_OPTION = frozenset({"id", "bus", "driver"})
_INTEGER = pattern("u?int[0-9]*$")
_NOT_FOUND = History(".{name}", ("5.2", "{driver}.{name}"))
#: The option became a dictionary, whose order is its own, and in which the last value counts.
_DICTIONARY = History(False, ("6.2", True))
BOOTINDEX = "bootindex"
_MAC = pattern("[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", re.ASCII)
_NOT_A_MAC: History[str | None] = History(
    None, ("5.2", "Property '{owner}.mac' doesn't take value '{value}'")
)


def check_properties(machine: Machine, driver: Driver, option: DeviceOption) -> None:
    """Raise Refused for the first property that the device does not have, or whose value is of another type.

    Raises NotModelled for one that is not modelled, and for a value that is not.
    """
    for opt in _in_order(option, machine.release):
        found = driver.property(opt.name, machine.release)
        if found is None:
            _check_unknown(opt)
            name = _NOT_FOUND.at(machine.release).format(driver=driver.name, name=opt.name)
            raise Refused(f"{option.text}: Property '{name}' not found")
        found.check(machine, opt.value, driver.name, option.text)
        _check_json(found, opt, machine.release)
        if opt.name == BOOTINDEX:
            _check_bootindex(machine, option, opt.value)
        if (found.owner, found.name) == (MAC.owner, MAC.name):
            _check_mac(machine, driver, option, opt.value)


def _in_order(option: DeviceOption, release: Release) -> Iterator[Opt]:
    given = [opt for opt in option.properties if opt.name not in _OF_THE_OPTION]
    if not _DICTIONARY.at(release):
        yield from given
        return
    last = {opt.name: opt for opt in option.properties}
    yield from (last[name] for name in qdict_order(last) if name not in _OF_THE_OPTION)


def _check_unknown(opt: Opt) -> None:
    """Raise ConfigurationError for old aliases and elements of arrays, which QEMU may know."""
    if opt.name.startswith("legacy-") or "[" in opt.name or "." in opt.name:
        raise NotModelled(f"property {opt.name} is not modelled")


def _check_json(found: Property, opt: Opt, release: Release) -> None:
    """Check that a JSON value has the property's own type: a number or bool in quotes is not one."""
    kind = at(found.kind, release)
    wanted = "boolean" if kind == "bool" else "integer" if _INTEGER.match(kind) else ""
    if opt.json and wanted and opt.json != wanted and not found.own_syntax:
        raise NotModelled(f"{opt.name}={opt.value}: a JSON {opt.json}, not a JSON {wanted}, is not modelled")


def _check_mac(machine: Machine, driver: Driver, option: DeviceOption, value: str) -> None:
    """Refuse what is no address of six bytes (hw/core/qdev-properties.c ``set_mac``)."""
    if _MAC.fullmatch(value):
        return
    line = _NOT_A_MAC.at(machine.release)
    if line is None:
        raise NotModelled(f"{option.text}: mac={value} is not modelled in {machine.release}")
    owner = driver.netdev_owner or driver.name
    raise Refused(f"{option.text}: {line.format(owner=owner, value=value)}")


def _check_bootindex(machine: Machine, option: DeviceOption, value: str) -> None:
    """Refuse an index that another device has (``check_boot_index``)."""
    index = parse_number(value)
    for other in machine.earlier(option):
        given = other.get(BOOTINDEX)
        if given is not None and index is not None and index >= 0 and parse_number(given) == index:
            raise Refused(f"{option.text}: The bootindex {index} has already been used")


@cache
def _of_classes() -> Mapping[str, Mapping[str, tuple[Property, ...]]]:
    """Return the properties of all classes that a -global can name: drivers, and what they inherit from."""
    found: dict[str, dict[str, tuple[Property, ...]]] = {}
    for driver in drivers().values():
        found[driver.name] = dict(driver.all_properties)
        for name, several in driver.all_properties.items():
            for one in several:
                named = found.setdefault(one.owner, {})
                if one not in named.get(name, ()):
                    named[name] = (*named.get(name, ()), one)
    return found


def is_class(name: str) -> bool:
    """Return True for a driver, and for a class that one inherits from."""
    return name in _of_classes()


def check_defaults(machine: Machine, driver: Driver, prefix: str = "") -> None:
    """Refuse a -global for a class of the device's that sets a property which the device lacks.

    hw/core/qdev.c ``device_post_init``: each -global of a class is applied to all that inherit from it.
    """
    if not machine.globals:
        return
    owners = {one.owner for several in driver.all_properties.values() for one in several}
    for default in machine.globals:
        if default.driver in owners and driver.property(default.prop, machine.release) is None:
            name = _NOT_FOUND.at(machine.release).format(driver=driver.name, name=default.prop)
            text = f"{default.driver}.{default.prop}={default.value}"
            raise Refused(f"{prefix}can't apply global {text}: Property '{name}' not found")


def follows(machine: Machine, default: Global) -> bool:
    """Return True for a -global that is simulated, or that changes nothing.

    Raises NotModelled for a value that is not modelled.
    """
    several = _of_classes().get(default.driver, {}).get(default.prop, ())
    found = next((one for one in several if one.span.covers(machine.release)), None)
    if found is None:
        return False
    text = f"-global {default.driver}.{default.prop}={default.value}"
    try:
        found.check(machine, default.value, default.driver, text)
    except Refused as error:
        raise NotModelled(f"{text} is not modelled: {error}") from None
    return found.by_global
