"""Make a host file of the answers of its KVM.

A rule for each key says what QEMU makes of the answers: target/ppc/kvm.c ``kvm_arch_init``,
``parse_cap_ppc_safe_cache`` and the functions after it, ``kvmppc_get_dec_bits``;
hw/intc/xics_kvm.c ``xics_kvm_has_broken_disconnect``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release, at, newest
from vmstate.errors import ConfigurationError
from vmstate.kvm.answers import ANY, HV, PR, Answers, VirtualMachine, positive
from vmstate.pseries.tables.compat import COMPAT_MODES
from vmstate.pseries.tables.cpu_models import CPU_MODELS
from vmstate.pseries.tables.releases import NEWEST

_TYPES = {"hv": HV, "pr": PR}


@dataclass(frozen=True)
class Observed:
    """A host's answers, its VM that counts, and what kind of KVM it is, where."""

    answers: Answers
    machine: VirtualMachine
    flavour: str
    level: int
    family: str

    def has(self, capability: str) -> bool:
        """Return True if the VM has the capability."""
        return positive(self.machine.capabilities, capability)


def observed(answers: Answers, *, flavour: str | None = None, level: int | None = None) -> Observed:
    """Find out which kind of KVM answered, and where it runs.

    Raises ConfigurationError if the answers do not say: then ``flavour`` (hv, pr), ``level`` decide.
    """
    if flavour is None:
        kinds = [kind for kind, number in _TYPES.items() if number in answers.machines]
        if not answers.machines:
            kinds = ["hv"]  # no VM is created, of either kind
        if len(kinds) != 1:
            raise ConfigurationError("the answers do not say which kind of KVM is used; give the flavour")
        flavour = kinds[0]
    if level is None:
        level = _level(answers)
    number = _TYPES[flavour]
    machine = answers.machines.get(number) or answers.machines.get(ANY) or VirtualMachine()
    pvr = int(answers.fact("mfpvr"), 16)
    return Observed(answers, machine, flavour, level, _family(pvr))


def _level(answers: Answers) -> int:
    """Return 0 on the machine itself.  In a guest it is 1, or deeper, which a guest cannot see."""
    platform = answers.facts.get("platform")
    if platform is None:
        raise ConfigurationError("the answers do not say where this KVM runs; give the level")
    return 0 if platform == "PowerNV" else 1


def _family(pvr: int) -> str:
    now = newest(map(Release.parse, NEWEST))
    families = {at(model.pvr, now) >> 16: model.family for model in CPU_MODELS}
    try:
        return families[pvr >> 16]
    except KeyError:
        raise ConfigurationError(f"no known processor has the PVR {pvr:#010x}") from None


# Bits of KVM_PPC_GET_CPU_CHAR: those of H_GET_CPU_CHARACTERISTICS, which PAPR counts from the left.
def _bit(number: int) -> int:
    return 1 << (63 - number)


_SPEC_BAR, _SERIALISED, _FLUSH_ORI30, _FLUSH_TRIG2 = _bit(0), _bit(1), _bit(2), _bit(3)
_THREAD_PRIVATE, _COUNT_CACHE_DISABLED, _FLUSH_ASSIST = _bit(4), _bit(7), _bit(9)
_FLUSHES_L1D, _BOUNDS_BARRIER, _FLUSHES_COUNT_CACHE = _bit(1), _bit(2), _bit(5)


def _character(host: Observed, bits: int) -> bool:
    found = host.machine.characteristics
    return bool(found.character & found.character_mask & bits)


def _behaves(host: Observed, bit: int) -> bool:
    found = host.machine.characteristics
    return bool(found.behaviour & found.behaviour_mask & bit)


def _lacks_character(host: Observed, bit: int) -> bool:
    found = host.machine.characteristics
    return bool(~found.character & found.character_mask & bit)


def _needs_not(host: Observed, bit: int) -> bool:
    found = host.machine.characteristics
    return bool(~found.behaviour & found.behaviour_mask & bit)


def _cfpc(host: Observed) -> int:
    if _needs_not(host, _FLUSHES_L1D):
        return 2
    private = host.family == "POWER8" or _character(host, _THREAD_PRIVATE)
    return int(private and _character(host, _FLUSH_ORI30 | _FLUSH_TRIG2))


def _sbbc(host: Observed) -> int:
    return 2 if _needs_not(host, _BOUNDS_BARRIER) else int(_character(host, _SPEC_BAR))


def _ibs(host: Observed) -> int:
    lacks = _lacks_character(host, _COUNT_CACHE_DISABLED) and _lacks_character(host, _SERIALISED)
    if _needs_not(host, _FLUSHES_COUNT_CACHE) and lacks:
        return 16
    if _behaves(host, _FLUSHES_COUNT_CACHE):
        return 1
    if _character(host, _COUNT_CACHE_DISABLED):
        return 3
    return 2 if _character(host, _SERIALISED) else 0


def _large_decr_bits(host: Observed) -> int:
    """The width that the device tree gives."""
    known = host.answers.facts.get("dec-bits")
    if known is None:  # old answers have no device tree
        return 56 if host.flavour == "hv" and host.family in {"POWER9", "POWER10", "POWER11"} else 0
    return int(known)


def _smt_modes(host: Observed) -> list[int]:
    possible = host.machine.capabilities.get("PPC_SMT_POSSIBLE", 0)
    return [1 << place for place in range(possible.bit_length()) if possible >> place & 1]


def _compat_writes(host: Observed) -> dict[int, tuple[bool, int | None]]:
    """Return by mode: True if the register took it; the value read back, if it was read."""
    found: dict[int, tuple[bool, int | None]] = {}
    last = 0
    for register in host.machine.registers:
        if register.name != "ARCH_COMPAT":
            continue
        if register.verb == "set":
            last = register.value
            found[last] = register.said == "ok", None
        elif last in found and register.said == "ok":
            found[last] = found[last][0], register.value
    return found


def _modes(host: Observed) -> list[tuple[str, bool, bool]]:
    """Return the modes in order: name, True if the register took it, True if it was not kept."""
    writes = _compat_writes(host)
    known = {mode.pvr: mode.name for mode in COMPAT_MODES}
    return [
        (name, writes[pvr][0], writes[pvr][1] not in {None, pvr})
        for pvr, name in known.items()
        if pvr in writes
    ]


def _compat_register(host: Observed) -> str:
    taken = [(name, lost) for name, took, lost in _modes(host) if took]
    if not taken:
        return "absent"
    return "ignored" if all(lost for _, lost in taken) else "handled"


def _compat_limit(host: Observed) -> str:
    """The newest mode that the register takes, if this processor could be in a newer one."""
    own = host.family.lower()
    modes = _modes(host)
    if _compat_register(host) != "handled" or own not in [name for name, _, _ in modes]:
        return ""
    newest = [name for name, took, _ in modes if took][-1]
    order = [mode.name for mode in COMPAT_MODES]
    return newest if order.index(newest) < order.index(own) else ""


def _lpcr_gtse(host: Observed) -> bool:
    """Bit 53 of the LPCR of a guest that uses the radix MMU."""
    if not host.has("PPC_MMU_RADIX"):
        return True
    values = [one.value for one in host.machine.registers if one.name == "LPCR_64" and one.said == "ok"]
    return not values or bool(values[0] & 0x400)


Value = int | bool | str | list[int]


@dataclass(frozen=True)
class Key:
    """A key of a host file: what its value is, and what that comes from."""

    name: str
    value: Callable[[Observed], Value]
    source: str


def _capability(name: str, capability: str) -> Key:
    return Key(name, lambda host: host.has(capability), f"KVM_CAP_{capability}")


def _of_system(name: str, capability: str) -> Key:
    return Key(name, lambda host: host.answers.system.get(capability, 0), f"KVM_CAP_{capability}")


_CHAR = "KVM_PPC_GET_CPU_CHAR"
_COMPAT = "KVM_REG_PPC_ARCH_COMPAT"
KEYS = (
    Key("family", lambda host: host.family, "the PVR"),
    Key("pvr", lambda host: int(host.answers.fact("mfpvr"), 16), "/proc/cpuinfo"),
    Key("flavour", lambda host: host.flavour, "KVM_CREATE_VM"),
    Key("creates_vm", lambda host: bool(host.answers.machines), "KVM_CREATE_VM"),
    Key("level", lambda host: host.level, "the platform in /proc/cpuinfo"),
    Key("cfpc", _cfpc, _CHAR),
    Key("sbbc", _sbbc, _CHAR),
    Key("ibs", _ibs, _CHAR),
    Key("ccf_assist", lambda host: int(_character(host, _FLUSH_ASSIST)), _CHAR),
    _capability("htm", "PPC_HTM"),
    _capability("nested_hv", "PPC_NESTED_HV"),
    _capability("fwnmi", "PPC_FWNMI"),
    _capability("rpt_invalidate", "PPC_RPT_INVALIDATE"),
    _capability("ail_mode_3", "PPC_AIL_MODE_3"),
    _capability("dawr1", "PPC_DAWR1"),
    Key("large_decr_bits", _large_decr_bits, "ibm,dec-bits in the device tree"),
    _capability("radix", "PPC_MMU_RADIX"),
    _capability("hash_v3", "PPC_MMU_HASH_V3"),
    _capability("resize_hpt", "SPAPR_RESIZE_HPT"),
    _capability("irq_xics", "IRQ_XICS"),
    _capability("xive", "PPC_IRQ_XIVE"),
    Key(
        "xics_reconnects",
        lambda host: host.machine.devices.get("then XICS again") == "ok",
        "KVM_CREATE_DEVICE",
    ),
    Key(
        "page_sizes",
        lambda host: [int(host.answers.facts.get("page-size", "65536"))],
        "the kernel's page size",
    ),
    Key("smt_threads", lambda host: host.machine.capabilities.get("PPC_SMT", 0) or 1, "KVM_CAP_PPC_SMT"),
    Key("smt_modes", _smt_modes, "KVM_CAP_PPC_SMT_POSSIBLE"),
    Key("compat_register", _compat_register, _COMPAT),
    Key("compat_limit", _compat_limit, _COMPAT),
    Key("lpcr_gtse", _lpcr_gtse, "KVM_REG_PPC_LPCR_64"),
    _of_system("recommended_vcpus", "NR_VCPUS"),
    _of_system("max_vcpus", "MAX_VCPUS"),
)


def values(host: Observed) -> dict[str, Value]:
    """Return the keys of the host, as ``tables.accelerators.host_from`` takes them."""
    return {key.name: key.value(host) for key in KEYS}


def host_file(host: Observed) -> Iterator[str]:
    """Yield the lines of the host file; each says where its value comes from."""
    kernel = host.answers.facts.get("kernel", "an unknown kernel")
    yield f"# {host.family} with KVM {host.flavour.upper()}, observed: {kernel}."
    lines = {key.name: f"{key.name} = {_toml(key.name, key.value(host))}" for key in KEYS}
    width = max(map(len, lines.values()))
    for key in KEYS:
        yield f"{lines[key.name]:<{width}}  # {key.source}"


def _toml(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if name == "pvr":
        return f"0x{value:08X}"
    return f'"{value}"' if isinstance(value, str) else str(value)
