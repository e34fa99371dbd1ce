"""Choosing machine type, accelerator and processor from the options, by release."""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pattern import pattern
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import Global, Opt, parse_opts
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.machine_properties import default_options, machine_option, set_max_compat
from vmstate.pseries.startup.option_table import ASK_QEMU
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.other_cpus import is_other_cpu

_LIST_HINT = "Use -machine help to list supported machines"
_UNSUPPORTED = History(
    "{option}: unsupported machine type", ("6.0", "unsupported machine type"),
    ("9.1", 'unsupported machine type: "{name}"'),
)  # fmt: skip


def select_machine(start: Startup) -> None:
    """Select the type that -machine names, or the release's default (``select_machine``)."""
    name = machine_option(start, "type")
    binary = start.binary
    if name is None or name == "pseries":
        name = binary.default_type
    elif name not in binary.machine_types:
        _check_simulated(name, start.configuration)
        text = _UNSUPPORTED.at(start.release).format(name=name, option=_machine_option_text(start))
        raise Refused(text, _LIST_HINT)
    start.machine.become(binary.machine_class(name))
    default_options(start)


#: Machines of qemu-system-ppc64 other than pseries.
_OTHER_MACHINES = frozenset(
    {"none", "40p", "bamboo", "g3beige", "mac99", "mpc8544ds", "pegasos2", "powernv", "powernv8", "powernv9",
     "powernv10", "powernv11", "ppce500", "prep", "ref405ep", "sam460ex", "taihu", "virtex-ml507", "amigaone",
     "pegasos", "pegasos1", "powernv10-rainier", "x-remote"}
)  # fmt: skip


#: Machines of the programs of other targets.
_OTHER_TARGETS = pattern(
    r"(pc|q35|pc-(i440fx|q35)-.*|pc-[0-9].*|microvm|isapc|xenfv.*|xenpv|nitro-enclave|virt(-.*)?|sbsa-ref|raspi.*"
    r"|s390-ccw-virtio(-.*)?|malta|sifive_[eu]|spike|vexpress-.*|versatile[ap]b|xlnx-.*|loongson3-virt|SS-5|sun4[uv])"
)
#: A distribution names its types after its own releases, upstream after QEMU's.
_DOWNSTREAM = pattern(r"pseries-(?![0-9]).*")


def _check_simulated(name: str, asked: Configuration) -> None:
    """Raise NotModelled for a type of another target, another board, or a distribution's QEMU.

    A package may have types that were not read, so a type that it is not known to have is no refusal.
    """
    if name in _OTHER_MACHINES or _OTHER_TARGETS.fullmatch(name):
        raise NotModelled(f"machine {name} is not modelled: {ASK_QEMU}")
    catalogue = asked.catalogue
    if _DOWNSTREAM.fullmatch(name) or catalogue.package is not None:
        having = [one for one in catalogue.packages if one.has_type(name)]
        same_line = [one for one in having if one.base.line == asked.release.line]
        if having:
            programs = ", ".join(one.program for one in same_line or having)
            advice = f"it is a vendor's; name the vendor's program: {programs}"
        else:
            advice = "declare the type with --with (docs/downstream.md), or ask that QEMU: `vmstate replay`"
            advice = f"if your QEMU is a distribution's, {advice}"
        own = "upstream" if catalogue.package is None else catalogue.package.program
        raise NotModelled(f"machine {name} is not modelled: {own} has no such type; {advice}")


def _machine_option_text(start: Startup) -> str:
    """Return the option that QEMU's message quotes: the first -machine."""
    return next(o.text for o in start.configuration.options if o.name in {"machine", "M"})


def warn_deprecated_machine(start: Startup) -> None:
    """Warn of a machine type that will be removed."""
    reason = start.configuration.catalogue.lifecycle.deprecation(start.machine.type_version, start.release)
    if reason is not None:
        start.warn(f"Machine type '{start.machine.type_name}' is deprecated: {reason}")


def find_old_cpu(start: Startup, name: str) -> CpuAt:
    """Find a processor in 2.9 and 2.10: a class by name in any case or exact alias, a core by exact name."""
    cpus = start.binary.cpus.values()
    aliases = {_old_alias(alias): cpu for cpu in cpus for alias in cpu.aliases}
    known = any(name.lower() == cpu.old_name.lower() for cpu in cpus)
    if not known and name not in aliases and not is_other_cpu(name.lower(), start.release):
        raise Refused(f"Unable to find CPU definition: {name}")
    for cpu in cpus:
        if name in {cpu.old_name, cpu.old_name.replace("mp", "MP")}:
            return cpu
    if name not in aliases:
        raise Refused("Unable to find sPAPR CPU Core definition")
    return aliases[name]


def _old_alias(alias: str) -> str:
    return alias.upper().replace("GS", "gs") if alias.startswith("power") else alias


def find_cpu(start: Startup, name: str) -> CpuAt | None:
    """Find a processor from 2.11 on, by alias or name in any case; None for one that pseries cannot have."""
    wanted = name.lower()
    for cpu in start.binary.cpus.values():
        if wanted == cpu.name or wanted in cpu.aliases:
            return cpu
    if wanted == "max" and _MAX_IS_DEFAULT.at(start.release):
        return start.binary.cpus[start.machine.flags.default_cpu]
    package = start.configuration.catalogue.package
    if package is not None and package.cpus is not None:
        raise NotModelled(f"-cpu {name} is not modelled: {package.program} is not known to have it")
    if is_other_cpu(wanted, start.release):
        return None
    raise Refused(f"unable to find CPU model '{name}'")


#: Before 7.1, "max" was an alias of a processor that pseries cannot have.
_MAX_IS_DEFAULT = History(False, ("7.1", True))


def _default_cpu(start: Startup) -> CpuAt:
    """Return the machine type's default processor; under KVM the host's, whatever the type."""
    host = start.machine.host
    own = None if host is None else _host_cpu(start, host)
    return own or start.binary.cpus[start.machine.flags.default_cpu]


def _host_cpu(start: Startup, host: Host) -> CpuAt | None:
    """Return ``-cpu host``: the class of the host's family with the host's PVR.

    kvm_ppc_register_host_cpu_type; None if this release does not know the processor, and so has no model.
    """
    for cpu in start.binary.cpus.values():
        if cpu.family.name == host.family:
            return replace(cpu, name="host", pvr=host.pvr, deprecated="")
    return None


def _is_host(name: str, host: Host | None) -> bool:
    """Return True if a processor's name means the host: ``host``, or the alias of its family."""
    return host is not None and (name == "host" or name.lower() == host.family.lower())


def parse_cpu_early(start: Startup) -> None:
    """Look up the processor before the board is built (``parse_cpu_model``, 2.11 on)."""
    if start.cpu_option is None:
        start.take_cpu(_default_cpu(start))
        return
    name, _, features = start.cpu_option.partition(",")
    host = start.machine.host
    own = _host_cpu(start, host) if host and _is_host(name, host) else None
    start.take_cpu(own or find_cpu(start, name))
    if features:
        _features(start, features)


def warn_deprecated_cpu(start: Startup) -> None:
    """Warn of a processor that will be removed, before the board is built (``is_cpu_type_supported``)."""
    if start.cpu is not None and start.cpu.deprecated:
        start.warn(f"CPU model {start.cpu.type_name} is deprecated -- {start.cpu.deprecated}")


def check_core_type(start: Startup) -> None:
    """Refuse a processor without a core for pseries, when the board is built (2.11 on)."""
    if start.cpu is None:
        raise Refused("Unable to find sPAPR CPU Core definition")


def parse_cpu_late(start: Startup) -> None:
    """Look up the processor while the board is built (``ppc_cpu_parse_features``, 2.9 and 2.10).

    Under KVM the default is called host, whether or not there is such a model.
    """
    host = start.machine.host
    if start.cpu_option is None and host is None:
        start.take_cpu(_default_cpu(start))
        return
    name, _, features = (start.cpu_option or "host").partition(",")
    own = _host_cpu(start, host) if host and _is_host(name, host) else None
    start.take_cpu(own or find_old_cpu(start, name))
    if features:
        _features(start, features)


_COMPAT = History("property", ("2.10", "moved"), ("6.0", "gone"))
_COMPAT_WARNS = History(False, ("5.0", True))


def _features(start: Startup, features: str) -> None:
    """Apply ``-cpu NAME,features``: compat= may move to the machine, others become the class's defaults."""
    kind = _COMPAT.at(start.release)
    for opt in parse_opts(features):
        if opt.name == "compat" and kind != "gone":
            _compat_feature(start, opt, kind)
        elif start.cpu is not None:
            start.machine.globals.append(Global(start.machine.cpu.type_name, opt.name, opt.value, own=True))


def _compat_feature(start: Startup, opt: Opt, kind: str) -> None:
    if kind == "moved":
        if _COMPAT_WARNS.at(start.release):
            start.warn("CPU 'compat' property is deprecated; use max-cpu-compat machine property instead")
        set_max_compat(start, "max-cpu-compat", opt.value)
        return
    mode = start.machine.compat_table.by_name(opt.value)
    if mode is None or mode.name not in {"power6", "power7", "power8"}:
        raise Refused(f'Invalid compatibility mode "{opt.value}"')
    start.machine.max_compat = mode.pvr
