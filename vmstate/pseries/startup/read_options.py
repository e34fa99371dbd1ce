"""The first phase of a start: every option read in order (the loop over argv in vl.c)."""

from __future__ import annotations

import re
from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import (
    BadOption,
    DeviceOption,
    Global,
    Opt,
    parse_keyval,
    parse_number,
    parse_opts,
    parse_size,
)
from vmstate.pseries.startup.command_line import Option
from vmstate.pseries.startup.option_names import FLAGS, HARMLESS
from vmstate.pseries.startup.startup import Startup

#: ``-machine`` and ``-smp`` became keyval options, checked by the machine, not by the parser.
KEYVAL_MACHINE = History(False, ("6.1", True))
_WARN_ON_FLAG = History(False, ("6.0", True))
_GLOBAL = re.compile(r"(?P<driver>[^.=]{1,63})\.(?P<prop>[^=]{1,63})=(?P<value>.*)", re.DOTALL)
_SMP_KEYS = History(
    ("cpus", "sockets", "cores", "threads", "maxcpus"),
    ("4.1", ("cpus", "sockets", "dies", "cores", "threads", "maxcpus")),
)
_BAD_SIZE = (
    "Parameter '{}' expects a non-negative number below 2^64",
    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-",
    "and exabytes, respectively.",
)


def read_options(start: Startup) -> None:
    """Read all options; raises Refused for the first that is malformed."""
    _look_up(start)
    for option in start.configuration.options:
        handler = _HANDLERS.get(option.name)
        try:
            if handler is not None:
                handler(start, option)
            elif option.name not in FLAGS and option.name not in HARMLESS:
                raise ConfigurationError(f"option {option.text} is not modelled")
        except BadOption as error:
            first, *rest = error.lines
            raise Refused(f"{option.text}: {first}", *rest) from None


def _look_up(start: Startup) -> None:
    """Refuse options that QEMU does not have, in a first pass before any is read."""
    for option in start.configuration.options:
        if option.name == "invalid":
            raise Refused(f"{option.text}: invalid option")
        if option.name == "missing-argument":
            raise Refused(f"{option.text}: requires an argument")


def _opts(start: Startup, option: Option, implied: str | None, known: tuple[str, ...] = ()) -> list[Opt]:
    """Return a QemuOpts option's parts; ``known`` are the allowed names (empty: any)."""
    opts = parse_opts(option.value, implied)
    for opt in opts:
        _warn_of_flag(start, option, opt)
        if known and opt.name not in known:
            raise BadOption(f"Invalid parameter '{opt.name}'")
    return opts


def _warn_of_flag(start: Startup, option: Option, opt: Opt) -> None:
    if opt.short and _WARN_ON_FLAG.at(start.release):
        start.say(
            f"{option.text}: warning: short-form boolean option "
            f"'{'no' if opt.value == 'off' else ''}{opt.name}' deprecated",
            f"Please use {opt.name}={opt.value} instead",
        )


def _machine(start: Startup, option: Option) -> None:
    if KEYVAL_MACHINE.at(start.release):
        parse_keyval(option.value, start.machine_keys, "type")
    else:
        start.machine_opts.extend(_opts(start, option, "type"))


def _cpu(start: Startup, option: Option) -> None:
    start.cpu_option = option.value


def _memory(start: Startup, option: Option) -> None:
    for opt in _opts(start, option, "size", ("size", "slots", "maxmem")):
        if opt.name == "slots":
            _check_number(opt)
        elif parse_size(opt.value) is None and opt.value:
            first, *rest = _BAD_SIZE
            raise BadOption(first.format(opt.name), *rest)
        start.memory_opts[opt.name] = opt.value
    start.memory_text = start.memory_text or option.text


def _check_number(opt: Opt) -> None:
    if parse_number(opt.value) is None:
        raise BadOption(f"Parameter '{opt.name}' expects a number")


def _smp(start: Startup, option: Option) -> None:
    if KEYVAL_MACHINE.at(start.release):
        given = start.machine_keys.setdefault("smp", {})
        assert isinstance(given, dict)
        given.update((opt.name, opt.value) for opt in _opts(start, option, "cpus"))
        return
    start.smp_opts = {} if start.smp_opts is None else start.smp_opts
    for opt in _opts(start, option, "cpus", _SMP_KEYS.at(start.release)):
        _check_number(opt)
        start.smp_opts[opt.name] = opt.value


def _accel(start: Startup, option: Option) -> None:
    opts = _opts(start, option, "accel")
    if any(opt.name not in {"accel", "thread", "tb-size"} for opt in opts):
        raise ConfigurationError(f"property of an accelerator is not modelled: {option.text}")
    start.accel_opts.extend((opt.value, option.text) for opt in opts if opt.name == "accel")


def _enable_kvm(start: Startup, option: Option) -> None:
    del option
    start.machine_opts.append(Opt("accel", "kvm"))
    start.machine_keys["accel"] = "kvm"


def _global(start: Startup, option: Option) -> None:
    given = _GLOBAL.fullmatch(option.value)
    if given:
        default = Global(given["driver"], given["prop"], given["value"])
    else:
        parts = {o.name: o.value for o in _opts(start, option, None, ("driver", "property", "value"))}
        if len(parts) < 3 and _GLOBAL_CHECKED.at(start.release):
            raise BadOption("options 'driver', 'property', and 'value' are required")
        driver, prop, value = (parts.get(name, "(null)") for name in ("driver", "property", "value"))
        default = Global(driver, prop, value)
    start.machine.globals.append(default)


_GLOBAL_CHECKED = History(False, ("6.2", True))


def _with_id(value: str, implied: str) -> tuple[Opt, ...]:
    """Return all parts with the id, which the parser of a list of options removes."""
    ids = tuple(Opt("id", part[3:]) for part in value.split(",") if part.startswith("id="))
    return (*parse_opts(value, implied), *ids)


def _device(start: Startup, option: Option) -> None:
    properties = _with_id(option.value, "driver")
    driver = next((opt.value for opt in properties if opt.name == "driver"), None)
    if driver is None:
        raise ConfigurationError(f"-device without a driver is not modelled: {option.text}")
    for opt in properties:
        _warn_of_flag(start, option, opt)
    rest = tuple(opt for opt in properties if opt.name != "driver")
    device = DeviceOption(driver, rest, option.text)
    if device.id is not None and any(other.id == device.id for other in start.machine.devices):
        raise BadOption(f"Duplicate ID '{device.id}' for device")
    start.machine.devices.append(device)


def _netdev(start: Startup, option: Option) -> None:
    properties = _with_id(option.value, "type")
    kind = next((opt.value for opt in properties if opt.name == "type"), "")
    rest = tuple(opt for opt in properties if opt.name != "type")
    netdev = DeviceOption(kind, rest, option.text)
    if any(other.id == netdev.id for other in start.machine.netdevs):
        raise BadOption(f"Duplicate ID '{netdev.id}' for netdev")
    start.machine.netdevs.append(netdev)


def _serial(start: Startup, option: Option) -> None:
    start.machine.serials.append(option.value)


def _chardev(start: Startup, option: Option) -> None:
    start.machine.chardevs.extend(opt.value for opt in _with_id(option.value, "backend") if opt.name == "id")


def _drive(start: Startup, option: Option) -> None:
    """Read a drive for a device of the command line; the board's own disks are not modelled."""
    properties = {opt.name: opt.value for opt in _with_id(option.value, "driver")}
    name = properties.get("id") if option.name == "drive" else properties.get("node-name")
    if name is None or (option.name == "drive" and properties.get("if") != "none"):
        raise ConfigurationError(f"only -drive if=none,id=... is modelled: {option.text}")
    if name in start.machine.drives:
        raise BadOption(f"Duplicate ID '{name}' for {option.name}")
    start.machine.drives.append(name)


def _nodefaults(start: Startup, option: Option) -> None:
    del option
    start.machine.default_devices = False


def _object(start: Startup, option: Option) -> None:
    properties = _with_id(option.value, "qom-type")
    kind = next((opt.value for opt in properties if opt.name == "qom-type"), "")
    if kind not in {"memory-backend-ram", "rng-random", "rng-builtin"}:
        raise ConfigurationError(f"option -object {kind} is not modelled")
    rest = tuple(opt for opt in properties if opt.name != "qom-type")
    start.machine.objects.append(DeviceOption(kind, rest, option.text))


_HANDLERS: dict[str, Callable[[Startup, Option], None]] = {
    "machine": _machine,
    "M": _machine,
    "cpu": _cpu,
    "m": _memory,
    "smp": _smp,
    "accel": _accel,
    "enable-kvm": _enable_kvm,
    "global": _global,
    "device": _device,
    "netdev": _netdev,
    "serial": _serial,
    "chardev": _chardev,
    "drive": _drive,
    "blockdev": _drive,
    "nodefaults": _nodefaults,
    "object": _object,
}
