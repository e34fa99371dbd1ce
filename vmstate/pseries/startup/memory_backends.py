"""Guest memory that is named on the command line: ``memory-backend=`` and ``-numa node,memdev=``.

vl.c ``qemu_resolve_machine_memdev``, hw/core/machine.c ``machine_run_board_init``, hw/core/numa.c.
"""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Refused
from vmstate.pseries.options import DeviceOption, Opt, parse_number, value_of
from vmstate.pseries.rules.memory import MEMORY_BACKENDS, block_size
from vmstate.pseries.startup.startup import Startup

_OTHER_SIZE = History(
    "Size specified by -m option must match size of explicitly specified 'memory-backend' property",
    ("7.1", "Machine memory size does not match the size of the memory backend"),
)
_DEFAULT = "ppc_spapr.ram"
_NO_OTHER_PURPOSE = "is reserved for the default RAM backend, it can't be used for any other purposes"
_RESERVED_AT_FIRST = (
    f"object name '{_DEFAULT}' {_NO_OTHER_PURPOSE}. Change the object's 'id' to something else"
)
_RESERVED_HINT = (
    "Change the object's 'id' to something else or disable automatic creation of the default RAM backend by "
    f"setting 'memory-backend={_DEFAULT}' with '-machine'."
)
_RESERVED: History[tuple[str, ...]] = History(
    (),
    (("7.2.22", "8.1"), (_RESERVED_AT_FIRST,)),
    ("8.2", (f"object's id '{_DEFAULT}' {_NO_OTHER_PURPOSE}", _RESERVED_HINT)),
)
#: Machine types older than this one accept a node's share of memory as a number.
_MEM_UNTIL = "5.1"
#: The wording was checked from this release on.
_CPUS_WARNED = History(False, ("5.2", True))
_NODE_PROPERTIES = frozenset({"type", "nodeid", "cpus", "memdev", "initiator"})


def take_memory_backends(start: Startup) -> None:
    """Take the back ends of guest memory, of the whole machine or of its NUMA nodes."""
    nodes = _nodes(start)
    if start.memory_backend is not None:
        if nodes:
            raise NotModelled("memory-backend= together with -numa is not modelled")
        start.machine.memory_backends = (_machine_backend(start, start.memory_backend),)
        return
    if nodes:
        assigned = _assigned_cpus(start, nodes)
        start.machine.memory_backends = tuple(_node_backends(start, nodes))
        if assigned:
            _warn_of_cpus_outside(start, assigned)
    if not start.machine.memory_backends and any(one.id == _DEFAULT for one in start.machine.objects):
        raise _reserved(start)


def _reserved(start: Startup) -> Exception:
    message = _RESERVED.at(start.release)
    if not message:
        return NotModelled(f"-object {_DEFAULT} without memory-backend={_DEFAULT} is not modelled")
    return Refused(*message)


def _machine_backend(start: Startup, wanted: str) -> DeviceOption:
    backend = _backend(start, wanted)
    if backend is None:
        raise Refused(f"Memory backend '{wanted}' not found")
    if "size" not in start.memory_opts:
        raise NotModelled("memory-backend= without -m is not modelled")
    if block_size(backend) != start.machine.ram_size:
        raise Refused(_OTHER_SIZE.at(start.release))
    return backend


def _backend(start: Startup, wanted: str) -> DeviceOption | None:
    backends = (one for one in start.machine.objects if one.driver in MEMORY_BACKENDS)
    return next((one for one in backends if one.id == wanted), None)


def _nodes(start: Startup) -> list[tuple[list[Opt], str]]:
    """Return the parts and texts of the nodes, by number; distances do not matter to a stream's reader."""
    nodes: dict[int, tuple[list[Opt], str]] = {}
    for parts, text in start.numa:
        kind = value_of(parts, "type")
        if kind == "dist" or (kind == "cpu" and nodes):
            continue
        number = parse_number(value_of(parts, "nodeid") or str(len(nodes)))
        if kind != "node" or number is None or number in nodes:
            raise NotModelled(f"{text} is not modelled")
        _check_node(start, parts, text)
        nodes[number] = (parts, text)
    if sorted(nodes) != list(range(len(nodes))):
        raise NotModelled("NUMA nodes whose numbers leave a gap are not modelled")
    return [nodes[number] for number in sorted(nodes)]


def _check_node(start: Startup, parts: Iterable[Opt], text: str) -> None:
    if value_of(parts, "mem") is not None and not start.machine.older_than(_MEM_UNTIL):
        raise Refused(
            f"{text}: Parameter -numa node,mem is not supported by this machine type",
            "Use -numa node,memdev instead",
        )
    if not {opt.name for opt in parts} <= _NODE_PROPERTIES:
        raise NotModelled(f"{text} is not modelled")


def _node_backends(start: Startup, nodes: Iterable[tuple[list[Opt], str]]) -> list[DeviceOption]:
    """Return the back ends of all nodes, whose sizes must be those of guest memory."""
    found: list[DeviceOption] = []
    total = 0
    for parts, text in nodes:
        wanted = value_of(parts, "memdev")
        backend = None if wanted is None else _backend(start, wanted)
        if wanted is not None and backend is None:
            raise NotModelled(f"{text}: no such -object memory-backend-ram, -file or -memfd: not modelled")
        if backend is None:
            if start.machine.older_than(_MEM_UNTIL):
                raise NotModelled(f"{text}: a node without memdev= is not modelled")
            continue
        if backend in found:
            raise NotModelled(f"{text}: one back end for several nodes is not modelled")
        found.append(backend)
        total += block_size(backend)
    if total != start.machine.ram_size:
        raise Refused(
            f"total memory for NUMA nodes (0x{total:x}) should equal RAM size (0x{start.machine.ram_size:x})"
        )
    return found


def _assigned_cpus(start: Startup, nodes: Iterable[tuple[list[Opt], str]]) -> set[int]:
    """Return the indexes of the processors that are assigned to a node."""
    found: set[int] = set()
    for parts, text in nodes:
        for given in (opt.value for opt in parts if opt.name == "cpus"):
            ends = [parse_number(end) for end in given.split("-")]
            first, last = ends[0], ends[-1]
            if first is None or last is None or len(ends) > 2 or first > last:
                raise NotModelled(f"{text}: cpus={given} is not modelled")
            most = start.machine.topology.max_cpus
            if last >= most:
                raise Refused(
                    f"{text}: CPU index ({max(first, most)}) should be smaller than maxcpus ({most})"
                )
            found.update(range(first, last + 1))
    for parts, text in start.numa:
        if value_of(parts, "type") == "cpu":
            core = parse_number(value_of(parts, "core-id") or "")
            if core is None or core >= start.machine.topology.max_cpus:
                raise NotModelled(f"{text} is not modelled")
            found.update(range(core, core + start.machine.topology.threads))
    return found


def _warn_of_cpus_outside(start: Startup, assigned: Iterable[int]) -> None:
    """Warn of cores without a node, if others have one (``machine_numa_finish_cpu_init``)."""
    topology = start.machine.topology
    inside = {index // topology.threads for index in assigned}
    outside = [core for core in range(topology.max_cpus // topology.threads) if core not in inside]
    if not outside:
        return
    if not _CPUS_WARNED.at(start.release):
        raise NotModelled("processors outside of all NUMA nodes are not modelled")
    names = ", ".join(f"CPU {core} [core-id: {core * topology.threads}]" for core in outside)
    start.warn(f"CPU(s) not present in any NUMA nodes: {names}")
    start.warn(
        "All CPU(s) up to maxcpus should be described in NUMA config, ability to start up with partial NUMA "
        "mappings is obsoleted and will be removed in future"
    )
