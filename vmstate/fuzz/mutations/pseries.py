"""Mutations of values that a pseries machine checks: levels, processors, option vectors, interrupts."""

from __future__ import annotations

from functools import cache

from vmstate.describe import History
from vmstate.fuzz.anatomy import Anatomy, Leaf
from vmstate.fuzz.mutations.domains import Number, Place, among, between
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge, u32
from vmstate.fuzz.mutations.places import element
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.pseries.tables.cpu_models import CPU_MODELS
from vmstate.stream import writer

_SPR_PVR = 287
_COMPAT = ("0x0f000001", "0x0f000002", "0x0f000003", "0x0f100003", "0x0f000004", "0x0f000005", "0x0f000006")


@cache
def _pvrs() -> tuple[int, ...]:
    """Return the version register of every processor, and some that no processor has."""
    known = {value for model in CPU_MODELS for value in _values(model.pvr)}
    return (*sorted(known), 0, 0xFFFFFFFF, 0x004E0000, 0x00800100, 0x0F000004, 0x7FFFFFFF)


def _values(pvr: int | History[int]) -> list[int]:
    return [pvr] if isinstance(pvr, int) else [pvr.first, *(value for _, value in pvr.changes)]


def _levels(base: Anatomy) -> list[str]:
    return [leaf.path for leaf in base.leaves.values() if "/cap/" in leaf.path]


@mutation("values", capability=Place(_levels), level=between(0, 255))
def capability_level(base: Anatomy, capability: str, level: int) -> list[Splice]:
    """A machine capability has another level."""
    leaf = base.leaves[capability]
    return [Splice(leaf.start, leaf.end, bytes([level % 256]) * leaf.size)]


def _owner_end(base: Anatomy, path: str) -> int:
    return base.by_path[path].section.payload_end


def _cpus(base: Anatomy) -> list[str]:
    return [part.path for part in base.devices if f"{part.path}.env.spr" in base.arrays]


CPU = Place(_cpus)


@mutation("values", cpu=CPU, which=Number(lambda _b, _c: 0, lambda _b, _c: len(_pvrs()) - 1))
def cpu_pvr(base: Anatomy, cpu: str, which: int) -> list[Splice]:
    """A processor has another version register: that of one that QEMU knows, or of none."""
    start, end = element(base.arrays[f"{cpu}.env.spr"], _SPR_PVR, "")
    return [Splice(start, end, _pvrs()[which].to_bytes(end - start, "big"))]


@mutation("values", cpu=CPU, pvr=among(*_COMPAT, "0", "0x0f000007", "0x004e1200", "0xffffffff"))
def compat_pvr(base: Anatomy, cpu: str, pvr: str) -> list[Splice]:
    """A processor runs in another compatibility mode; a missing subsection is added."""
    leaf = base.leaves.get(f"{cpu}/compat.compat_pvr")
    new = u32(int(pvr, 0))
    if leaf is not None:
        return [Splice(leaf.start, leaf.end, new)]
    at = _owner_end(base, cpu)
    return [Splice(at, at, writer.subsection_header("cpu/compat", 1) + new)]


@mutation("values", cpu=CPU, register=between(0, 1023), value=FIELD_EDGES)
def cpu_register(base: Anatomy, cpu: str, register: int, value: str) -> list[Splice]:
    """A special-purpose register of a processor has an edge value."""
    start, end = element(base.arrays[f"{cpu}.env.spr"], register, "")
    return [Splice(start, end, sized_edge(value, base.data[start:end]))]


def _vectors(base: Anatomy) -> list[str]:
    return [
        leaf.path for leaf in base.leaves.values() if "option_vector" in leaf.path and leaf.type == "bitmap"
    ]


_BIT = Number(lambda _b, _c: 0, lambda base, chosen: base.leaves[chosen["vector"]].size * 8 - 1)


@mutation("values", vector=Place(_vectors), bit=_BIT)
def option_vector_bit(base: Anatomy, vector: str, bit: int) -> list[Splice]:
    """A bit of a negotiated option vector is flipped."""
    leaf = base.leaves[vector]
    at = leaf.start + bit // 8 % leaf.size
    return [Splice(at, at + 1, bytes([base.data[at] ^ 0x80 >> bit % 8]))]


def _interrupt(leaf: Leaf) -> bool:
    last = leaf.path.rsplit(".", 1)[-1]
    return last in {"irq", "irq_num", "xirr", "server"} and leaf.size == 4


_NUMBERS = among(
    *("0", "1", "+1", "-1", "0x10", "0x1000", "0x1200", "0x12ff", "0x1fff", "0x2000", "0x2fff", "0x3000"),
    *("0xffffff", "0x80000000", "0xffffffff"),
)


@mutation(
    "values",
    field=Place(lambda base: [leaf.path for leaf in base.leaves.values() if _interrupt(leaf)]),
    number=_NUMBERS,
)
def irq_number(base: Anatomy, field: str, number: str) -> list[Splice]:
    """An interrupt number is another device's, the last one, or invalid."""
    leaf = base.leaves[field]
    return [Splice(leaf.start, leaf.end, sized_edge(number, base.data[leaf.start : leaf.end]))]


def _servers(base: Anatomy) -> list[str]:
    return [
        path for path, array in base.arrays.items() if any(name == "server" for name, _, _ in array.fields)
    ]


_ENTRY = Number(lambda _b, _c: 0, lambda base, chosen: base.arrays[chosen["array"]].length - 1)


@mutation(
    "values",
    array=Place(_servers),
    index=_ENTRY,
    server=among("0", "1", "7", "8", "0x7ff", "0x800", "0xffffff", "top"),
)
def server_number(base: Anatomy, array: str, index: int, server: str) -> list[Splice]:
    """An interrupt goes to a server (a thread) that does not exist."""
    start, end = element(base.arrays[array], index, "server")
    return [Splice(start, end, sized_edge(server, base.data[start:end]))]


def _states(base: Anatomy) -> list[str]:
    return [path for path in base.arrays if path.endswith("runstate")]


_STATES = among(
    *("running", "paused", "postmigrate", "prelaunch", "shutdown", "finish-migrate", "colo"),
    *("nothing", "", "Running", "running "),
)


@mutation("values", state=Place(_states), name=_STATES)
def run_state(base: Anatomy, state: str, name: str) -> list[Splice]:
    """The machine was in another run state, or in one that does not exist."""
    array = base.arrays[state]
    size = array.end - array.start
    return [Splice(array.start, array.end, name.encode()[:size].ljust(size, b"\0"))]
