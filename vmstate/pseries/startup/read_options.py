"""The first phase of a start: every option read in order (the loop over argv in vl.c)."""

from __future__ import annotations

import re
from collections.abc import Callable

from vmstate.dataclass import replace
from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.devices import real_name
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import (
    BadOption,
    DeviceOption,
    Global,
    KeyVal,
    Opt,
    parse_json,
    parse_keyval,
    parse_number,
    parse_opts,
    parse_opts_and_id,
    parse_size,
    value_of,
)
from vmstate.pseries.rules.memory import MEMORY_BACKENDS
from vmstate.pseries.startup.command_line import Option
from vmstate.pseries.startup.config_file import read_config
from vmstate.pseries.startup.drives import of_drive, of_node
from vmstate.pseries.startup.option_table import ASK_QEMU_FOR_DEVICE, BY_NAME, Treatment
from vmstate.pseries.startup.startup import Startup

#: ``-machine`` and ``-smp`` became keyval options, checked by the machine, not by the parser.
KEYVAL_MACHINE = History(False, ("6.1", True))
_WARN_ON_FLAG = History(False, ("6.0", True))
_GLOBAL = pattern(r"(?P<driver>[^.=]{1,63})\.(?P<prop>[^=]{1,63})=(?P<value>.*)", re.DOTALL)
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
        _read(start, option)
    start.machine.devices.extend(start.json_devices)
    for name, text in start.monitors:
        if name not in start.machine.chardevs:
            raise NotModelled(f"{text} is not modelled: there is no -chardev {name}")


def _read(start: Startup, option: Option) -> None:
    handler = _HANDLERS.get(option.name)
    try:
        if handler is not None:
            handler(start, option)
        elif BY_NAME[option.name].treatment is Treatment.OTHER_TARGET:
            raise Refused(f"{option.text}: Option not supported for this target")
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
        raise NotModelled(f"property of an accelerator is not modelled: {option.text}")
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


#: The first releases that read the argument of an option as JSON if it begins with a brace.
_JSON = {
    "device": History(False, ("6.2", True)),
    "netdev": History(False, ("7.2", True)),
    "object": History(False, ("6.0", True)),
    "blockdev": History(True),
}


def _parts(start: Startup, option: Option, implied: str) -> tuple[bool, str, tuple[Opt, ...]]:
    """Return True for JSON, the value of ``implied``, and the other parts in order.

    Raises NotModelled for JSON that is malformed, or that the release reads as text.
    """
    is_json = option.value.startswith("{")
    if is_json and not _JSON[option.name].at(start.release):
        raise _json_as_text(start, option)
    try:
        parts = tuple(parse_json(option.value)) if is_json else parse_opts_and_id(option.value, implied)
    except ValueError as error:
        raise NotModelled(f"{option.text}: this JSON is not modelled: {error}") from None
    kind = value_of(parts, implied) or ""
    return is_json, kind, tuple(opt for opt in parts if opt.name != implied)


def _json_as_text(start: Startup, option: Option) -> Exception:
    """Return the refusal of a release that reads JSON as text: flags with odd names, and no id."""
    if _WARN_ON_FLAG.at(start.release) or "=" in option.value:
        return NotModelled(
            f"QEMU {start.release} does not read JSON in -{option.name}: {option.value} is not modelled"
        )
    first = parse_opts(option.value, "driver")[0].value
    match option.name:
        case "device":
            return Refused(f"{option.text}: '{first}' is not a valid device model name")
        case "netdev":
            return Refused("Parameter 'id' is missing")
    return Refused(f"{option.text}: Parameter 'id' is missing")


def _device(start: Startup, option: Option) -> None:
    is_json, driver, rest = _parts(start, option, "driver")
    if not driver and not is_json:
        raise NotModelled(f"-device without a driver is not modelled: {option.text}")
    device = DeviceOption(real_name(driver, start.release), rest, option.text)
    if is_json:
        start.json_devices.append(device)
        return
    for opt in rest:
        _warn_of_flag(start, option, opt)
    if device.id is not None and any(other.id == device.id for other in start.machine.devices):
        raise BadOption(f"Duplicate ID '{device.id}' for device")
    start.machine.devices.append(device)


def _netdev(start: Startup, option: Option) -> None:
    is_json, kind, rest = _parts(start, option, "type")
    netdev = DeviceOption(kind, rest, option.text)
    netdevs = start.machine.netdevs
    if any(other.id == netdev.id for other in netdevs):
        if netdev.id in {other.id for other in netdevs[: start.json_netdevs]}:
            raise BadOption(f"Duplicate ID '{netdev.id}'")
        if is_json:
            raise NotModelled(f"two network back ends with one id are not modelled: {option.text}")
        raise BadOption(f"Duplicate ID '{netdev.id}' for netdev")
    if is_json:  # those in JSON are created before all others (net_init_clients)
        netdevs.insert(start.json_netdevs, netdev)
        start.json_netdevs += 1
    else:
        netdevs.append(netdev)


def _serial(start: Startup, option: Option) -> None:
    start.machine.serials.append(option.value)


def _chardev(start: Startup, option: Option) -> None:
    for name in (opt.value for opt in parse_opts_and_id(option.value, "backend") if opt.name == "id"):
        if name in start.machine.chardevs:
            raise BadOption(f"Duplicate ID '{name}' for chardev")
        start.machine.chardevs.append(name)


#: What a drive without a format says when its content looks like no format (block/raw-format.c ``raw_open``).
_GUESSED_RAW = """WARNING: Image format was not specified for '{}://' and probing guessed raw.
         Automatically detecting the format is dangerous for raw images, \
write operations on block 0 will be restricted.
         Specify the 'raw' format explicitly to remove the restrictions."""


def _drive(start: Startup, option: Option) -> None:
    """Read a drive for a device of the command line; the board's own disks are not modelled."""
    properties = {opt.name: opt.value for opt in parse_opts_and_id(option.value, "file")}
    name = properties.get("id")
    if name is None or properties.get("if") != "none":
        raise NotModelled(f"only -drive if=none,id=... is modelled: {option.text}")
    if name in start.machine.drives:
        raise BadOption(f"Duplicate ID '{name}' for drive")
    drive = start.machine.drives[name] = of_drive(option.text, properties)
    guessed = not properties.keys() & {"driver", "format"} and drive.driver.startswith("null-")
    if guessed and not drive.read_only:
        start.say(*_GUESSED_RAW.format(drive.driver).splitlines())


#: Parts of a block node that are plain numbers, without the suffixes of sizes.
_NODE_NUMBERS = frozenset({"size", "offset", "latency-ns"})


def _blockdev(start: Startup, option: Option) -> None:
    """Read a block node; one without a name cannot be given to a device."""
    is_json, driver, parts = _parts(start, option, "driver")
    name = value_of(parts, "node-name")
    if name is None:
        raise BadOption("'node-name' must be specified for the root node")
    for opt in parts:
        if opt.name in _NODE_NUMBERS and parse_number(opt.value) is None:
            if is_json:
                raise NotModelled(f"{option.text}: {opt.name}={opt.value} is not modelled")
            raise BadOption(f"Parameter '{opt.name}' expects integer")
    if name in start.machine.drives:
        raise NotModelled(f"-blockdev without a node-name of its own is not modelled: {option.text}")
    start.machine.drives[name] = of_node(driver, parts)


def _nodefaults(start: Startup, option: Option) -> None:
    del option
    start.machine.default_devices = False


def _usb(start: Startup, option: Option) -> None:
    del option
    start.machine_opts.append(Opt("usb", "on"))
    start.machine_keys["usb"] = "on"


def _vga(start: Startup, option: Option) -> None:
    if option.value not in {"std", "none"}:
        raise NotModelled(f"{option.text}: this graphics card is not modelled: {ASK_QEMU_FOR_DEVICE}")
    start.machine.vga = option.value


def _net(start: Startup, option: Option) -> None:
    if option.value != "none":
        raise NotModelled(f"{option.text} is not modelled: give -netdev and -device")
    start.machine.default_network = False


def _boot_file(start: Startup, option: Option) -> None:
    start.machine_opts.append(Opt(option.name, option.value))
    start.machine_keys[option.name] = option.value


_UUID = pattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def _uuid(start: Startup, option: Option) -> None:
    if _UUID.fullmatch(option.value) is None:
        raise BadOption("failed to parse UUID string: wrong format")
    start.machine.uuid = option.value.lower()


def _name(start: Startup, option: Option) -> None:
    _plain(start, option)
    for opt in parse_opts(option.value, "guest"):
        if opt.name == "guest":
            start.machine.guest_name = opt.value


def _plain(start: Startup, option: Option) -> None:
    """Check the names of an option's parts, and their values as far as a refusal is known."""
    for opt in _opts(start, option, *_PLAIN[option.name]):
        if opt.name in _FLAGS and opt.value not in {"on", "off"}:
            raise NotModelled(f"{option.text}: {opt.name}={opt.value} is not modelled")
        if opt.name == "base" and not _RTC_BASE.fullmatch(opt.value):
            raise NotModelled(f"{option.text}: {opt.name}={opt.value} is not modelled")


_FLAGS = frozenset({"timestamp", "guest-name", "mem-lock", "cpu-pm", "debug-threads"})
_RTC_BASE = pattern(r"utc|localtime|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2})?", re.ASCII)


#: The implied name of the first part, and the names that QEMU knows, of options without an effect.
_PLAIN: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "name": ("guest", ("guest", "process", "debug-threads")),
    "rtc": (None, ("base", "clock", "driftfix")),
    "overcommit": (None, ("mem-lock", "cpu-pm")),
    "msg": (None, ("timestamp", "guest-name")),
    "sandbox": ("enable", ("enable", "obsolete", "elevateprivileges", "spawn", "resourcecontrol")),
}


#: From this release on ``-boot`` sets properties of the machine.
BOOT_IS_PROPERTY = History(False, ("7.1", True))
BOOT_PARTS = ("order", "once", "menu", "splash", "splash-time", "reboot-timeout", "strict")


def _boot(start: Startup, option: Option) -> None:
    if BOOT_IS_PROPERTY.at(start.release):
        given = start.machine_keys.setdefault("boot", {})
        if isinstance(given, dict):
            given.update((opt.name, opt.value) for opt in _opts(start, option, "order"))
        return
    for opt in _opts(start, option, "order", BOOT_PARTS):
        devices = opt.name in {"order", "once"}
        known = _BOOT_DEVICES.fullmatch(opt.value) if devices else opt.value in {"on", "off"}
        if not known and (devices or opt.name in {"menu", "strict"}):
            raise NotModelled(f"{option.text}: {opt.name}={opt.value} is not modelled")


#: Letters, each once.
_BOOT_DEVICES = pattern(r"(?:([a-p])(?!.*\1))*")


_MON_DEPRECATED = History(False, ("11.1", True))


def _mon(start: Startup, option: Option) -> None:
    """Record the monitor's chardev, which must exist in the end; from 11.1 on, warn."""
    given = {opt.name: opt.value for opt in _opts(start, option, "chardev")}
    start.monitors.append((given.get("chardev", ""), option.text))
    if _MON_DEPRECATED.at(start.release):
        start.say(
            f"{option.text}: warning: '-mon' is deprecated, use '-object' with 'monitor-hmp' or "
            "'monitor-qmp' types instead"
        )


def _audiodev(start: Startup, option: Option) -> None:
    del start
    if option.value.startswith("{"):
        try:
            names = {opt.name for opt in parse_json(option.value)}
        except ValueError as error:
            raise NotModelled(f"{option.text}: this JSON is not modelled: {error}") from None
    else:
        keys: KeyVal = {}
        parse_keyval(option.value, keys, "driver")
        names = set(keys)
    if "id" not in names:
        raise BadOption("Parameter 'id' is missing")


def _known_value(start: Startup, option: Option) -> None:
    """Raise ConfigurationError for a value that QEMU may refuse."""
    del start
    if not _VALUES[option.name].fullmatch(option.value):
        raise NotModelled(f"{option.text} is not modelled: QEMU may refuse this value")


_VALUES = {
    "g": re.compile("[0-9]+x[0-9]+(x(8|15|16|24|32))?", re.ASCII),
    "seed": re.compile("[0-9]+", re.ASCII),
    "watchdog-action": re.compile("reset|shutdown|poweroff|pause|debug|none|inject-nmi"),
}


def _object(start: Startup, option: Option) -> None:
    _, kind, rest = _parts(start, option, "qom-type")
    if kind not in _OBJECTS:
        raise NotModelled(f"option -object {kind} is not modelled")
    made = DeviceOption(kind, rest, option.text)
    if kind in MEMORY_BACKENDS:
        _check_backend(start, made)
    known = _RNG_PARTS.get(kind)
    if known is not None and not {opt.name for opt in rest} <= known:
        raise NotModelled(f"{option.text}: a property is not modelled")
    if made.id is None or any(other.id == made.id for other in start.machine.objects):
        raise NotModelled(f"-object without an id of its own is not modelled: {option.text}")
    start.machine.objects.append(made)


_RNG_PARTS = {
    "rng-random": {"id", "filename", "opened"},
    "rng-builtin": {"id", "opened"},
    "rng-egd": {"id", "chardev", "opened"},
}


def _check_backend(start: Startup, backend: DeviceOption) -> None:
    """Check a memory back end's properties as QAPI does, what is missing first (6.0 on)."""
    names = {opt.name for opt in backend.properties}
    needed = ("id", "size", "mem-path") if backend.driver == "memory-backend-file" else ("id", "size")
    missing = next((name for name in needed if name not in names), None)
    known = _BACKEND_PARTS["memory-backend"] | _BACKEND_PARTS[backend.driver]
    unknown = next((opt.name for opt in backend.properties if opt.name not in known), None)
    if (missing or unknown) and not _QAPI_OBJECTS.at(start.release):
        raise NotModelled(f"{backend.text}: {missing or unknown} is not modelled")
    if missing is not None:
        raise BadOption(f"Parameter '{missing}' is missing")
    for opt in backend.properties:
        if opt.name in _BACKEND_FLAGS and opt.json not in {"", "boolean"}:
            raise BadOption(f"Invalid parameter type for '{opt.name}', expected: boolean")
        if opt.name == "size" and opt.json not in {"", "integer"}:
            raise BadOption("Parameter 'size' expects uint64")
    if unknown is not None:
        raise BadOption(f"Invalid parameter '{unknown}'")


_BACKEND_FLAGS = frozenset(
    {"share", "prealloc", "merge", "dump", "reserve", "discard-data", "pmem", "readonly"}
)
_QAPI_OBJECTS = History(False, ("6.0", True))
_BACKEND_PARTS = {
    "memory-backend": frozenset(
        {
            "id",
            "size",
            "share",
            "prealloc",
            "prealloc-threads",
            "prealloc-context",
            "merge",
            "dump",
            "reserve",
        }
        | {"policy", "host-nodes", "x-use-canonical-path-for-ramblock-id"}
    ),
    "memory-backend-ram": frozenset[str](),
    "memory-backend-file": frozenset(
        {"mem-path", "align", "discard-data", "offset", "pmem", "readonly", "rom"}
    ),
    "memory-backend-memfd": frozenset({"hugetlb", "hugetlbsize", "seal"}),
}

#: Objects that are known: memory has a RAM block once it is used, the others have no state of their own.
_OBJECTS = frozenset(
    {
        *MEMORY_BACKENDS,
        *("rng-random", "rng-builtin", "rng-egd", "secret", "iothread", "throttle-group", "main-loop"),
        *("tls-creds-x509", "tls-creds-psk", "tls-creds-anon", "tls-cipher-suites", "pr-manager-helper"),
        *("authz-list", "authz-list-file", "authz-pam", "authz-simple", "cryptodev-backend-builtin"),
        *("input-linux", "thread-context", "can-bus", "x-remote-object"),
    }
)


def _icount(start: Startup, option: Option) -> None:
    """Read how instructions make virtual time (accel/tcg/icount-common.c ``icount_configure``)."""
    given = {opt.name: opt.value for opt in _opts(start, option, "shift", _ICOUNT_PARTS)}
    flags = {name: given.get(name, default) for name, default in (("align", "off"), ("sleep", "on"))}
    wrong = next((name for name, value in flags.items() if value not in {"on", "off"}), None)
    if wrong is not None or given.keys() & _REPLAY or start.configuration.host is not None:
        raise NotModelled(f"{option.text} is not modelled")
    shift = given.get("shift")
    if shift is None:
        if "align" in given:
            raise BadOption("Please specify shift option when using align")
        return
    if flags == {"align": "on", "sleep": "off"}:
        raise BadOption("align=on and sleep=off are incompatible")
    if shift != "auto" and parse_number(shift) not in range(11):
        raise BadOption("icount: Invalid shift value")
    if shift == "auto" and flags != {"align": "off", "sleep": "on"}:
        raise NotModelled(f"{option.text} is not modelled: shift=auto with other parts")
    start.machine.icount, start.machine.icount_sleep = shift, flags["sleep"] == "on"


_REPLAY = frozenset({"rr", "rrfile", "rrsnapshot"})
_ICOUNT_PARTS = ("shift", "align", "sleep", *sorted(_REPLAY))


def _readconfig(start: Startup, option: Option) -> None:
    for one in read_config(option.value):
        known = BY_NAME.get(one.name)
        if known is None or (one.name not in _HANDLERS and known.treatment is not Treatment.NO_EFFECT):
            raise NotModelled(f"{option.text}: a section [{one.name}] is not modelled")
        _read(start, one)


_SET = pattern(r"([^.]{1,63})\.([^.]{1,63})\.([^=]{1,63})=(.*)", re.DOTALL)


def _set(start: Startup, option: Option) -> None:
    """Set a property of a device that was given before (``qemu_set_option``)."""
    parts = _SET.fullmatch(option.value)
    if parts is None:
        raise BadOption(f'can\'t parse: "{option.value}"')
    group, name, prop, value = parts.groups()
    if group != "device":
        raise NotModelled(f"{option.text} is not modelled: give it with -{group}")
    for place, device in enumerate(start.machine.devices):
        if device.id == name:
            properties = (*device.properties, Opt(prop, value))
            start.machine.devices[place] = replace(device, properties=properties)
            return
    raise BadOption(f'there is no device "{name}" defined')


def _numa(start: Startup, option: Option) -> None:
    start.numa.append((_opts(start, option, "type"), option.text))


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
    "blockdev": _blockdev,
    "nodefaults": _nodefaults,
    "object": _object,
    "numa": _numa,
    "icount": _icount,
    "readconfig": _readconfig,
    "set": _set,
    "usb": _usb,
    "vga": _vga,
    "net": _net,
    "nic": _net,
    "kernel": _boot_file,
    "initrd": _boot_file,
    "append": _boot_file,
    "uuid": _uuid,
    "boot": _boot,
    "mon": _mon,
    "audiodev": _audiodev,
    **dict.fromkeys(_PLAIN, _plain),
    "name": _name,
    **dict.fromkeys(_VALUES, _known_value),
}
