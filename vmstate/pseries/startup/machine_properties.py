"""Machine properties of each release's pseries machine: their values, and their effects.

Setters of hw/core/machine.c, hw/ppc/spapr.c and hw/ppc/spapr_caps.c; value syntax of the visitor that the
release reads them with (qapi/string-input-visitor.c to 6.0, qapi/qobject-input-visitor.c from 6.1).
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import KeyVal, Opt, parse_number, parse_size, qdict_order
from vmstate.pseries.startup.read_options import BOOT_IS_PROPERTY, BOOT_PARTS, KEYVAL_MACHINE
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.startup.topology import property_memory, property_smp
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind

#: Sets a property: called with the property's name, for messages, and the value's text.
Setter = Callable[[Startup, str, str], None]


@dataclass(frozen=True)
class Property:
    """A machine property, its setter, and the releases that have it."""

    name: str
    set: Setter
    span: Span = ALWAYS


_YES = History(frozenset({"on", "yes", "true"}), ("5.2", frozenset({"on", "yes", "true", "y"})))
_NO = History(frozenset({"off", "no", "false"}), ("5.2", frozenset({"off", "no", "false", "n"})))
_ANY_CASE = History(True, ("5.2", False))
_BOOL_EXPECTED = History(
    "Invalid parameter type for '{}', expected: boolean", ("5.2", "Parameter '{}' expects 'on' or 'off'")
)
_NUMBER_EXPECTED = History(
    "Invalid parameter type for '{}', expected: an int64 value or range",
    ("4.0", "Parameter '{}' expects uint64"),
    ("6.1", "Parameter '{}' expects integer"),
)
_SIZE_EXPECTED: History[tuple[str, ...]] = History(
    (
        "Parameter '{}' expects a non-negative number below 2^64",
        "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-",
        "and exabytes, respectively.",
    ),
    ("6.1", ("Parameter '{}' expects size",)),
)
_NOT_FOUND = History("Property '.{name}' not found", ("5.2", "Property '{type}-machine.{name}' not found"))


def read_bool(start: Startup, name: str, text: str) -> bool:
    """Return a switch.  Raises Refused in the release's words."""
    value = text.lower() if _ANY_CASE.at(start.release) else text
    if value in _YES.at(start.release):
        return True
    if value in _NO.at(start.release):
        return False
    raise Refused(_BOOL_EXPECTED.at(start.release).format(name))


def read_number(start: Startup, name: str, text: str, bits: int = 32) -> int:
    """Return an unsigned number.  Raises Refused in the release's words."""
    value = parse_number(text)
    if value is None:
        raise Refused(_NUMBER_EXPECTED.at(start.release).format(name))
    if not 0 <= value < 1 << bits:
        raise Refused(f"Parameter '{name}' expects uint{bits}_t")
    return value


def read_size(start: Startup, name: str, text: str) -> int:
    """Return a size in bytes.  Raises Refused in the release's words."""
    value = parse_size(text)
    if value is None:
        raise Refused(*(line.format(name) for line in _SIZE_EXPECTED.at(start.release)))
    return value


def _set_capability(start: Startup, capability: CapabilityAt, text: str) -> None:
    name = capability.property_name
    levels = start.levels
    match capability.kind:
        case Kind.BOOL:
            levels[capability.name] = int(read_bool(start, name, text))
        case Kind.PAGE_SIZE:
            size = read_size(start, name, text)
            if size <= 0 or size & (size - 1):
                raise Refused(f"{name} must be a power of 2")
            levels[capability.name] = size.bit_length() - 1
        case Kind.STRING:
            if text == "?" and capability.help:
                raise Refused(capability.help)
            if text.lower() not in capability.values:
                raise Refused(f'Invalid capability mode "{text}" for {name}')
            levels[capability.name] = capability.values.index(text.lower())


def set_max_compat(start: Startup, name: str, text: str) -> None:
    """Set the newest mode that a guest may choose; empty for no limit (``ppc_compat_prop_set``)."""
    del name
    mode = start.machine.compat_table.by_name(text)
    if text and mode is None:
        raise Refused(f'Invalid compatibility mode "{text}"')
    start.machine.max_compat = mode.pvr if mode else 0


def _set_ic_mode(start: Startup, name: str, text: str) -> None:
    del name
    if start.machine.flags.legacy_irq_allocation:
        raise Refused("This machine only uses the legacy XICS backend, don't pass ic-mode")
    if text not in {"xics", "xive", "dual"}:
        raise Refused('Bad value for "ic-mode" property')
    start.machine.ic_mode = text


def _set_resize_hpt(start: Startup, name: str, text: str) -> None:
    del name
    if text not in {"default", "disabled", "enabled", "required"}:
        raise Refused('Bad value for "resize-hpt" property')
    start.machine.resize_hpt = text


def _set_vsmt(start: Startup, name: str, text: str) -> None:
    start.machine.topology.vsmt = read_number(start, name, text)


def _set_modern_hotplug_events(start: Startup, name: str, text: str) -> None:
    start.machine.modern_hotplug_events = read_bool(start, name, text)


def _set_suppress_vmdesc(start: Startup, name: str, text: str) -> None:
    start.machine.suppress_vmdesc = read_bool(start, name, text)


def _set_enforce_config_section(start: Startup, name: str, text: str) -> None:
    start.enforce_config_section = read_bool(start, name, text)


def _set_kernel_irqchip(start: Startup, name: str, text: str) -> None:
    del name
    if not _IRQCHIP_IS_KVMS.at(start.release) and text not in {"on", "off", "split"}:
        raise Refused(f"Invalid parameter '{text}'")
    start.machine.kernel_irqchip = text


#: From 5.0 on this is a property of KVM: without KVM it is not checked.
_IRQCHIP_IS_KVMS = History(False, ("5.0", True))


def _set_accel(start: Startup, name: str, text: str) -> None:
    del name
    start.accel = text


def _set_kvm_type(start: Startup, name: str, text: str) -> None:
    del name
    start.kvm_type = text


def _set_memory_backend(start: Startup, name: str, text: str) -> None:
    del name
    start.memory_backend = text


def _off_only(start: Startup, name: str, text: str) -> None:
    if read_bool(start, name, text):
        _unmodelled(start, name, text)


def _set_boot(start: Startup, value: str | KeyVal) -> None:
    """Check the order of boot devices (hw/core/machine.c ``machine_set_boot``, 7.1 on)."""
    if isinstance(value, str):
        raise Refused("Invalid parameter type for 'boot', expected: object")
    for key in ("menu", "strict"):
        given = value.get(key)
        if isinstance(given, str):
            read_bool(start, f"boot.{key}", given)
    for key in qdict_order(value):
        if key not in BOOT_PARTS:
            raise Refused(f"Parameter 'boot.{key}' is unexpected")
    for key in ("order", "once"):
        given = value.get(key)
        if isinstance(given, str):
            check_boot_devices(given)


def check_boot_devices(order: str) -> None:
    """Refuse letters that are not boot devices, or come twice (``validate_bootdevices``)."""
    for place, letter in enumerate(order):
        if not "a" <= letter <= "p":
            raise Refused(f"Invalid boot device '{letter}'")
        if letter in order[:place]:
            raise Refused(f"Boot device '{letter}' was given twice")


def _any_bool(start: Startup, name: str, text: str) -> None:
    read_bool(start, name, text)


def _any_text(start: Startup, name: str, text: str) -> None:
    del start, name, text


def _unmodelled(start: Startup, name: str, text: str) -> None:
    del start
    raise NotModelled(f"machine property {name}={text} is not modelled")


def _usb(start: Startup, name: str, text: str) -> None:
    start.machine.usb = read_bool(start, name, text)


_ACCEL_PROPERTIES = Span(until="5.0")

PROPERTIES: tuple[Property, ...] = (
    Property("accel", _set_accel),
    Property("kernel-irqchip", _set_kernel_irqchip),
    Property("kvm-shadow-mem", _any_text),
    Property("igd-passthru", _any_text),
    Property("dump-guest-core", _any_bool),
    Property("mem-merge", _any_bool),
    Property("graphics", _any_bool),
    Property("usb", _usb),
    Property("suppress-vmdesc", _set_suppress_vmdesc),
    Property("enforce-config-section", _set_enforce_config_section, Span(until="5.1")),
    Property("kernel", _any_text),
    Property("initrd", _any_text),
    Property("append", _any_text),
    Property("dtb", _any_text),
    Property("dumpdtb", _unmodelled),
    Property("phandle-start", _any_text),
    Property("dt-compatible", _any_text),
    Property("firmware", _any_text),
    Property("memory-encryption", _unmodelled, Span("2.12")),
    Property("nvdimm", _off_only, Span("4.0")),
    Property("nvdimm-persistence", _unmodelled, Span("4.0")),
    Property("hmat", _off_only, Span("5.0")),
    Property("memory-backend", _set_memory_backend, Span("5.0")),
    Property("confidential-guest-support", _unmodelled, Span("6.0")),
    Property("kvm-type", _set_kvm_type),
    Property("modern-hotplug-events", _set_modern_hotplug_events),
    Property("max-cpu-compat", set_max_compat, Span("2.10")),
    Property("resize-hpt", _set_resize_hpt, Span("2.10")),
    Property("vsmt", _set_vsmt, Span("2.11")),
    Property("vfio-no-msix-emulation", _off_only, Span("3.1")),
    Property("ic-mode", _set_ic_mode, Span("4.0")),
    Property("host-model", _any_text, Span("4.0")),
    Property("host-serial", _any_text, Span("4.0")),
    Property("kernel-addr", _any_text, Span("5.1")),
    Property("x-vof", _off_only, Span("6.1")),
)
_BY_NAME = {prop.name: prop for prop in PROPERTIES}


def set_property(start: Startup, name: str, text: str) -> None:
    """Set one machine property, as the release's setter does.  Raises Refused or ConfigurationError."""
    start.machine.properties_given += (name,)
    capability = start.binary.capability.get(name)
    if capability is not None:
        _set_capability(start, capability, text)
        return
    prop = _BY_NAME.get(name)
    if prop is None or not prop.span.covers(start.release):
        package = start.configuration.catalogue.package
        if package is not None:
            raise NotModelled(
                f"machine property {name} is not modelled: {package.program} may have properties of its own"
            )
        raise Refused(_NOT_FOUND.at(start.release).format(name=name, type=start.machine.type_name))
    prop.set(start, name, text)


def apply_properties(start: Startup) -> None:
    """Set all properties of ``-machine``, in the release's order."""
    if KEYVAL_MACHINE.at(start.release):
        _apply_keyval(start)
    else:
        for opt in start.machine_opts:
            if opt.name != "type":
                set_property(start, _legacy_name(start, opt.name), opt.value)


def _legacy_name(start: Startup, name: str) -> str:
    """Return a name with dashes; 5.0 to 6.0 replace underscores only in names of other properties."""
    dashed = name.replace("_", "-")
    return name if _OWN_NAMES_EXACT.at(start.release) and dashed not in _NOT_PROPERTIES else dashed


_OWN_NAMES_EXACT = History(False, ("5.0", True))
_NOT_PROPERTIES = ("accel", "igd-passthru", "kvm-shadow-mem", "kernel-irqchip")


def _apply_keyval(start: Startup) -> None:
    """Set properties in the order of QDict's hash (``qemu_apply_machine_options``, 6.1 on)."""
    keys = _dashed(start.machine_keys)
    for name in _NOT_PROPERTIES:
        value = keys.pop(name, None)
        if isinstance(value, str) and name in {"accel", "kernel-irqchip"}:
            set_property(start, name, value)
    if _MEMORY_IS_PROPERTY.at(start.release):
        keys["memory"] = _memory_keys(start)
    for name in qdict_order(keys):
        value = keys[name]
        if name == "smp":
            _set_smp(start, value)
        elif name == "memory" and _MEMORY_IS_PROPERTY.at(start.release):
            _set_memory(start, value)
        elif name == "boot" and BOOT_IS_PROPERTY.at(start.release):
            _set_boot(start, value)
        elif name != "type":
            _set_text(start, name, value)


def _dashed(keys: KeyVal) -> KeyVal:
    """Replace underscores by dashes; refuse both forms of a name at once (``keyval_dashify``)."""
    for name in qdict_order(keys):
        dashed = name.replace("_", "-")
        if dashed != name and dashed in keys:
            raise Refused(f"Conflict between '{name}' and '{dashed}'")
    return {name.replace("_", "-"): value for name, value in keys.items()}


_MEMORY_IS_PROPERTY = History(False, ("7.1", True))


def _set_text(start: Startup, name: str, value: str | KeyVal) -> None:
    if isinstance(value, str):
        set_property(start, name, value)
    elif name in _BY_NAME or name in start.binary.capability:
        raise Refused(f"Parameters '{name}.*' are unexpected")
    else:
        set_property(start, name, "")


def _memory_keys(start: Startup) -> KeyVal:
    given = start.memory_opts
    keys: KeyVal = {}
    if parse_size(given.get("size", "")):
        keys["size"] = given["size"] + ("M" if given["size"][-1].isdigit() else "")
    if "maxmem" in given:
        keys["max-size"] = given["maxmem"]
    if "slots" in given:
        keys["slots"] = given["slots"]
    return keys


def _set_memory(start: Startup, value: str | KeyVal) -> None:
    if isinstance(value, str):
        raise Refused("Invalid parameter type for 'memory', expected: object")
    sizes = {}
    for key in ("size", "max-size"):
        text = value.get(key)
        sizes[key] = None if not isinstance(text, str) else read_size(start, f"memory.{key}", text)
    slots = value.get("slots")
    number = None if not isinstance(slots, str) else read_number(start, "memory.slots", slots, 64)
    property_memory(start, sizes["size"], sizes["max-size"], number)


_SMP_KEYS = History(
    ("cpus", "sockets", "dies", "cores", "threads", "maxcpus"),
    ("7.0", ("cpus", "sockets", "dies", "clusters", "cores", "threads", "maxcpus")),
    ("8.2", ("cpus", "drawers", "books", "sockets", "dies", "clusters", "cores", "threads", "maxcpus")),
    (
        "9.1",
        ("cpus", "drawers", "books", "sockets", "dies", "clusters", "modules", "cores", "threads", "maxcpus"),
    ),
)


def _set_smp(start: Startup, value: str | KeyVal) -> None:
    if isinstance(value, str):
        raise Refused("Invalid parameter type for 'smp', expected: object")
    known = _SMP_KEYS.at(start.release)
    numbers = {}
    for key in known:
        text = value.get(key)
        if isinstance(text, str):
            numbers[key] = read_number(start, f"smp.{key}", text, 64)
    for key in qdict_order(value):
        if key not in known:
            raise Refused(f"Parameter 'smp.{key}' is unexpected")
    property_smp(start, {key: number & 0xFFFFFFFF for key, number in numbers.items()})


def default_options(start: Startup) -> None:
    """Set the machine type's defaults, before the user's options (``default_machine_opts``)."""
    flags = start.machine.flags
    start.machine.modern_hotplug_events = flags.modern_hotplug_events
    start.machine.suppress_vmdesc = flags.suppress_vmdesc


def check_boot_files(start: Startup) -> None:
    """Refuse a command line for the guest's kernel, and an initial disk, without a kernel."""
    if machine_option(start, "kernel") is None:
        for name in ("append", "initrd"):
            if machine_option(start, name):
                raise Refused(f"-{name} only allowed with -kernel option")


def machine_option(start: Startup, name: str) -> str | None:
    """Return the last value given for an option of ``-machine``, or None."""
    if KEYVAL_MACHINE.at(start.release):
        value = start.machine_keys.get(name)
        return value if isinstance(value, str) else None
    found: list[Opt] = [opt for opt in start.machine_opts if opt.name == name]
    return found[-1].value if found else None
