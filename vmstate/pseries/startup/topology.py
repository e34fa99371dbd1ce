"""``-smp`` and ``-m``: their meaning and their errors, by release.

vl.c ``smp_parse`` and ``set_memory_options``, later hw/core/machine-smp.c and hw/core/machine.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vmstate.describe.history import History
from vmstate.pseries.machine import Refused, Topology
from vmstate.pseries.options import parse_number, parse_size
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.tables.machine_class import ClassFlags

_MIB = 1 << 20
_DEFAULT_RAM = 512 * _MIB

#: The most processors of a pseries machine.
MAX_CPUS = History(1024, ("6.1", (1 << 31) - 1), ("7.2", 4096))

_Smp = Callable[[Startup, Mapping[str, int]], None]


def _numbers(given: Mapping[str, str]) -> dict[str, int]:
    # Numbers were checked as they were read; QEMU keeps the lower 32 bits.
    return {name: (parse_number(value) or 0) & 0xFFFFFFFF for name, value in given.items()}


def _max_cpus(start: Startup) -> int:
    own = start.machine.flags.max_cpus
    return MAX_CPUS.at(start.release) if own is None else own


def legacy_smp(start: Startup) -> None:
    """Set the topology in a separate step, before machine properties (to 6.0)."""
    if start.smp_opts is not None:
        _LEGACY_SMP.at(start.release)(start, _numbers(start.smp_opts))
    limit = _max_cpus(start)
    if start.machine.topology.max_cpus > limit:
        first = _TOO_MANY.at(start.release)
        raise Refused(
            first.format(n=start.machine.topology.max_cpus, machine=start.machine.type_name, limit=limit)
        )


_TOO_MANY = History(
    "Number of SMP CPUs requested ({n}) exceeds max CPUs supported by machine '{machine}' ({limit})",
    ("2.11", "Invalid SMP CPUs {n}. The max CPUs supported by machine '{machine}' is {limit}"),
)


def _smp_to_3_0(start: Startup, given: Mapping[str, int]) -> None:
    _smp_before_6_2(start, given, sockets_from_maxcpus=False, mismatch=None)


def _smp_to_5_1(start: Startup, given: Mapping[str, int]) -> None:
    _smp_before_6_2(start, given, sockets_from_maxcpus=True, mismatch="warning")


def _smp_to_6_1(start: Startup, given: Mapping[str, int]) -> None:
    _smp_before_6_2(start, given, sockets_from_maxcpus=True, mismatch="error")


def _smp_of_6_1(start: Startup, given: Mapping[str, int]) -> None:
    if given.get("dies", 0) > 1:
        raise Refused("dies not supported by this machine's CPU topology")
    _smp_to_6_1(start, given)


_LEGACY_SMP: History[_Smp] = History(_smp_to_3_0, ("3.1", _smp_to_5_1), ("5.2", _smp_to_6_1))


def _smp_before_6_2(
    start: Startup, given: Mapping[str, int], *, sockets_from_maxcpus: bool, mismatch: str | None
) -> None:
    """Set the topology; missing values are computed: sockets before cores before threads."""
    cpus, sockets = given.get("cpus", 0), given.get("sockets", 0)
    cores, threads = given.get("cores", 0), given.get("threads", 0)
    if not cpus or not sockets:
        cores, threads = cores or 1, threads or 1
        if not sockets_from_maxcpus or not cpus:
            sockets = sockets or 1
        else:
            sockets = given.get("maxcpus", cpus) // (cores * threads)
        cpus = cpus or cores * threads * sockets
    elif not cores:
        threads = threads or 1
        cores = cpus // (sockets * threads) or 1
    elif not threads:
        threads = cpus // (cores * sockets) or 1
    elif sockets * cores * threads < cpus:
        raise Refused(
            f"cpu topology: sockets ({sockets}) * cores ({cores}) * threads ({threads}) < smp_cpus ({cpus})"
        )
    max_cpus = given.get("maxcpus", cpus)
    if max_cpus < cpus:
        raise Refused("maxcpus must be equal to or greater than smp")
    product = f"sockets ({sockets}) * cores ({cores}) * threads ({threads})"
    count = sockets * cores * threads
    if mismatch != "error" and count > max_cpus:
        raise Refused(f"cpu topology: {product} > maxcpus ({max_cpus})")
    if mismatch and count != max_cpus:
        text = f"{product} != maxcpus ({max_cpus})"
        if mismatch == "error":
            raise Refused(f"Invalid CPU topology: {text}")
        start.warn(f"Invalid CPU topology deprecated: {text}")
    _store(start, cpus, sockets, cores, threads, max_cpus)


def _store(start: Startup, cpus: int, sockets: int, cores: int, threads: int, max_cpus: int) -> None:
    start.machine.topology = Topology(cpus, max_cpus, threads, cores, sockets, start.machine.topology.vsmt)


_ZERO_REFUSED = History(False, ("9.0", True))
#: One of a level that the machine does not have is allowed (9d7950edb0).
_ONE_ALLOWED = History(False, ("9.1", True))


def property_smp(start: Startup, given: Mapping[str, int]) -> None:
    """Set the topology as a machine property (6.1 on)."""
    _PROPERTY_SMP.at(start.release)(start, given)
    limit = _max_cpus(start)
    if start.machine.topology.max_cpus > limit:
        raise Refused(
            f"Invalid SMP CPUs {start.machine.topology.max_cpus}. "
            f"The max CPUs supported by machine '{start.machine.type_name}' is {limit}"
        )


def _smp_from_6_2(start: Startup, given: Mapping[str, int]) -> None:
    if any(value == 0 for value in given.values()):
        text = "CPU topology parameters must be greater than zero"
        if _ZERO_REFUSED.at(start.release):
            raise Refused(f"Invalid CPU topology: {text}")
        start.warn(f"Deprecated CPU topology (considered invalid): {text}")
    for name in _UNSUPPORTED_LEVELS:
        if given.get(name, 0) > 1:
            above = " > 1" if _ONE_ALLOWED.at(start.release) else ""
            raise Refused(f"{name}{above} not supported by this machine's CPU topology")
    cpus, max_cpus = given.get("cpus", 0), given.get("maxcpus", 0)
    sockets, cores, threads = _hierarchy(start.machine.flags, given)
    count = sockets * cores * threads
    max_cpus = max_cpus or cpus or count
    cpus = cpus or max_cpus
    product = f"sockets ({sockets}) * cores ({cores}) * threads ({threads})"
    if count != max_cpus:
        raise Refused(
            "Invalid CPU topology: product of the hierarchy must match maxcpus: "
            f"{product} != maxcpus ({max_cpus})"
        )
    if max_cpus < cpus:
        raise Refused(
            "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
            f"{product} == maxcpus ({max_cpus}) < smp_cpus ({cpus})"
        )
    _store(start, cpus, sockets, cores, threads, max_cpus)


_UNSUPPORTED_LEVELS = ("modules", "clusters", "dies", "books", "drawers")


def _hierarchy(flags: ClassFlags, given: Mapping[str, int]) -> tuple[int, int, int]:
    """Return sockets, cores and threads, computing missing ones: types before 6.2 prefer sockets."""
    sockets, cores, threads = (given.get(name, 0) for name in ("sockets", "cores", "threads"))
    max_cpus = given.get("maxcpus", 0) or given.get("cpus", 0)
    if not max_cpus:
        return sockets or 1, cores or 1, threads or 1
    if flags.prefer_sockets:
        if not sockets:
            cores, threads = cores or 1, threads or 1
            sockets = max_cpus // (cores * threads)
        elif not cores:
            threads = threads or 1
            cores = max_cpus // (sockets * threads)
    elif not cores:
        sockets, threads = sockets or 1, threads or 1
        cores = max_cpus // (sockets * threads)
    elif not sockets:
        threads = threads or 1
        sockets = max_cpus // (cores * threads)
    return sockets, cores, threads or (max_cpus // (sockets * cores) if sockets * cores else 0)


_PROPERTY_SMP: History[_Smp] = History(_smp_of_6_1, ("6.2", _smp_from_6_2))


def legacy_memory(start: Startup) -> None:
    """Set the memory in a separate step, before machine properties (to 7.0)."""
    given = start.memory_opts

    def refuse(text: str) -> Refused:
        return Refused(f"{start.memory_text}: {text}")

    size = _DEFAULT_RAM
    if "size" in given:
        if not given["size"]:
            raise refuse("missing 'size' option value")
        size = _suffixless_mib(given["size"])
        if size >= 1 << 64:
            raise refuse("too large 'size' option value")
    size = -(-(size or _DEFAULT_RAM) // 8192) * 8192
    start.machine.ram_size = start.machine.maxram_size = size
    maxmem, slots = given.get("maxmem"), parse_number(given.get("slots", "0")) or 0
    both_needed = _BOTH_NEEDED.at(start.release)
    if maxmem is not None and ("slots" in given or not both_needed):
        most = parse_size(maxmem) or 0
        _check_maxmem(refuse, size, most, slots, slots_needed=both_needed)
        start.machine.maxram_size, start.machine.ram_slots = most, slots
    elif "slots" in given or maxmem is not None:
        missing = "maxmem" if "slots" in given else "slots"
        raise refuse(f"invalid -m option value: missing '{missing}' option")


#: Until 2.12 maxmem needed slots as well.
_BOTH_NEEDED = History(True, ("3.0", False))


def _suffixless_mib(text: str) -> int:
    size = parse_size(text) or 0
    return size * _MIB if text[-1:].isdigit() else size


def _check_maxmem(
    refuse: Callable[[str], Refused], size: int, most: int, slots: int, *, slots_needed: bool
) -> None:
    if most < size:
        raise refuse(
            f"invalid value of -m option maxmem: maximum memory size (0x{most:x}) must be at least "
            f"the initial memory size (0x{size:x})"
        )
    if most > size and slots_needed and not slots:
        raise refuse("invalid value of -m option: maxmem was specified, but no hotplug slots were specified")
    if slots and most == size:
        raise refuse(
            "invalid value of -m option maxmem: memory slots were specified but maximum memory size "
            f"(0x{most:x}) is equal to the initial memory size (0x{size:x})"
        )


def property_memory(start: Startup, size: int | None, most: int | None, slots: int | None) -> None:
    """Set the memory as a machine property (hw/core/machine.c ``machine_set_mem``, 7.1 on)."""
    size = -(-(_DEFAULT_RAM if size is None else size) // 8192) * 8192
    if most is not None:
        if most < size:
            raise Refused(
                f"invalid value of maxmem: maximum memory size (0x{most:x}) must be at least "
                f"the initial memory size (0x{size:x})"
            )
        if slots and most == size:
            raise Refused(
                "invalid value of maxmem: memory slots were specified but maximum memory size "
                f"(0x{most:x}) is equal to the initial memory size (0x{size:x})"
            )
    elif slots is not None:
        raise Refused("slots specified but no max-size")
    start.machine.ram_size, start.machine.ram_slots = size, slots or 0
    start.machine.maxram_size = size if most is None else most
