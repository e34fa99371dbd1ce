"""Processors: one node for each core that is there (hw/ppc/spapr.c spapr_dt_cpus, spapr_dt_cpu)."""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.describe.history import reached
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.device_tree.connectors import index_of, listed, write_connectors
from vmstate.pseries.device_tree.cpu_features import features, has_big_segments, page_sizes
from vmstate.pseries.device_tree.fdt import Node, cells
from vmstate.pseries.device_tree.inputs import Facts

TIMEBASE_FREQUENCY = 512_000_000
CLOCK_FREQUENCY = 1_000_000_000
CACHE_LINE = 128
SEGMENT_SHIFTS = (28, 40, 0xFFFFFFFF, 0xFFFFFFFF)
#: Page sizes of radix page tables (shift) with their encodings in the upper three bits.
RADIX_PAGES = (0x0000000C, 0xA0000010, 0x20000015, 0x4000001E)

_TIME_COUNTERS_SINCE = "4.1"  # SPURR too, and values instead of empty properties
_ALTIVEC_ASKED = "7.0"
_PROCESSOR_INTERRUPTS = "9.0"
_NO_MSGSNDP = 0x08


@dataclass(frozen=True, slots=True)
class Look:
    """What firmware sees of a family: its name, the size of its caches."""

    name: str = "UNKNOWN"
    data_cache: int = 0x8000
    code_cache: int = 0x8000
    time_counters: bool = True


LOOKS = {
    "970": Look(code_cache=0x10000, time_counters=False),
    "POWER5P": Look("POWER5", code_cache=0x10000, time_counters=False),
    "POWER7": Look("POWER7"),
    "POWER8": Look("POWER8"),
    "POWER9": Look("POWER9"),
    "POWER10": Look("POWER10"),
    "POWER11": Look("POWER11"),
}


def write_cpus(root: Node, facts: Facts) -> Node:
    """All cores; the last is added first, so that they stand in order."""
    node = root.add("cpus")
    node.cells("#address-cells", 1)
    node.cells("#size-cells", 0)
    for index in reversed(facts.cores.present):
        _core(node, facts, index)
    return node


def write_cpu_connectors(node: Node, facts: Facts) -> None:
    """The connectors of cores, of machine types that can plug them."""
    if facts.flags.has_hotpluggable_cpus:
        write_connectors(node, listed(facts.connectors, (DrcType.CPU,)))


def _core(parent: Node, facts: Facts, index: int) -> None:
    """The core whose first processor has this index."""
    cores, look = facts.cores, LOOKS[facts.cpu.family.name]
    number = index // cores.threads * cores.vsmt
    node = parent.add(f"PowerPC,{look.name}@{number:x}")
    connector = index_of(facts.connectors, DrcType.CPU, number)
    if connector is not None:
        node.cells("ibm,my-drc-index", connector)
    node.cells("reg", number)
    node.text("device_type", "cpu")
    node.cells("cpu-version", facts.compat_pvr or facts.cpu.pvr)
    _caches(node, look)
    node.cells("timebase-frequency", TIMEBASE_FREQUENCY)
    node.cells("clock-frequency", CLOCK_FREQUENCY)
    node.cells("slb-size", facts.cpu.family.slb_entries)
    node.cells("ibm,slb-size", facts.cpu.family.slb_entries)
    node.text("status", "okay")
    node.set("64-bit")
    if look.time_counters:
        _time_counters(node, facts)
    _units(node, facts)
    node.cells("ibm,chip-id", index // (cores.threads * cores.cores))
    node.cells("ibm,pft-size", 0, facts.htab_shift)
    _threads(node, facts, number)
    if facts.cpu.family.isa >= 300:
        node.cells("ibm,processor-radix-AP-encodings", *RADIX_PAGES)
    if facts.level("large-decr"):
        node.cells("ibm,dec-bits", facts.cpu.family.decrementer_bits)


def _caches(node: Node, look: Look) -> None:
    for kind in "di":
        node.cells(f"{kind}-cache-block-size", CACHE_LINE)
        node.cells(f"{kind}-cache-line-size", CACHE_LINE)
    node.cells("d-cache-size", look.data_cache)
    node.cells("i-cache-size", look.code_cache)


def _time_counters(node: Node, facts: Facts) -> None:
    if reached(_TIME_COUNTERS_SINCE, facts.release):
        node.cells("ibm,purr", 1)
        node.cells("ibm,spurr", 1)
    else:
        node.set("ibm,purr")


def _units(node: Node, facts: Facts) -> None:
    """Segments, vectors, decimal arithmetic, page sizes, and the lists of features."""
    if has_big_segments(facts):
        node.cells("ibm,processor-segment-sizes", *SEGMENT_SHIFTS)
    if facts.cpu.family.altivec or not reached(_ALTIVEC_ASKED, facts.release):
        node.cells("ibm,vmx", 2 if facts.level("vsx") else 1)
    if facts.level("dfp"):
        node.cells("ibm,dfp", 1)
    node.set("ibm,segment-page-sizes", page_sizes(facts))
    listed_features = features(facts)
    if listed_features is not None:
        node.set("ibm,pa-features", listed_features)
    if reached(_PROCESSOR_INTERRUPTS, facts.release):
        without = facts.kvm and 300 in facts.modes
        node.set("ibm,pi-features", bytes((1, 0, _NO_MSGSNDP if without else 0)))


def _threads(node: Node, facts: Facts, number: int) -> None:
    """The numbers of the core's threads as far as a guest may see them (spapr_fixup_cpu_smt_dt)."""
    numbers = range(number, number + facts.cores.seen_threads)
    node.cells("ibm,ppc-interrupt-server#s", *numbers)
    node.set("ibm,ppc-interrupt-gserver#s", b"".join(cells(one, 0) for one in numbers))
