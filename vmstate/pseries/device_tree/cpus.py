"""Processors: one node for each present core (hw/ppc/spapr.c spapr_dt_cpus, spapr_dt_cpu)."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import reached
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.device_tree.connectors import index_of, listed, write_connectors
from vmstate.pseries.device_tree.cpu_features import features, has_big_segments, page_sizes
from vmstate.pseries.device_tree.fdt import Node, cells
from vmstate.pseries.device_tree.inputs import TreeInputs

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
class FamilyProperties:
    """The properties that differ between CPU families: name, cache sizes, time counters."""

    name: str = "UNKNOWN"
    data_cache: int = 0x8000
    code_cache: int = 0x8000
    time_counters: bool = True


FAMILY_PROPERTIES = {
    "970": FamilyProperties(code_cache=0x10000, time_counters=False),
    "POWER5P": FamilyProperties("POWER5", code_cache=0x10000, time_counters=False),
    "POWER7": FamilyProperties("POWER7"),
    "POWER8": FamilyProperties("POWER8"),
    "POWER9": FamilyProperties("POWER9"),
    "POWER10": FamilyProperties("POWER10"),
    "POWER11": FamilyProperties("POWER11"),
}


def write_cpus(root: Node, inputs: TreeInputs) -> Node:
    """Add all cores, the last one first, so that they end up in order."""
    node = root.add("cpus")
    node.cells("#address-cells", 1)
    node.cells("#size-cells", 0)
    for index in reversed(inputs.cores.present):
        _core(node, inputs, index)
    return node


def write_cpu_connectors(node: Node, inputs: TreeInputs) -> None:
    """Add the connectors of cores, for machine types that can plug them."""
    if inputs.flags.has_hotpluggable_cpus:
        write_connectors(node, listed(inputs.connectors, (DrcType.CPU,)))


def _core(parent: Node, inputs: TreeInputs, index: int) -> None:
    """Add the core whose first processor has this index."""
    cores, family = inputs.cores, FAMILY_PROPERTIES[inputs.cpu.family.name]
    number = index // cores.threads * cores.vsmt
    node = parent.add(f"PowerPC,{family.name}@{number:x}")
    connector = index_of(inputs.connectors, DrcType.CPU, number)
    if connector is not None:
        node.cells("ibm,my-drc-index", connector)
    node.cells("reg", number)
    node.text("device_type", "cpu")
    node.cells("cpu-version", inputs.compat_pvr or inputs.cpu.pvr)
    _caches(node, family)
    node.cells("timebase-frequency", TIMEBASE_FREQUENCY)
    node.cells("clock-frequency", CLOCK_FREQUENCY)
    node.cells("slb-size", inputs.cpu.family.slb_entries)
    node.cells("ibm,slb-size", inputs.cpu.family.slb_entries)
    node.text("status", "okay")
    node.set("64-bit")
    if family.time_counters:
        _time_counters(node, inputs)
    _units(node, inputs)
    node.cells("ibm,chip-id", index // (cores.threads * cores.cores))
    node.cells("ibm,pft-size", 0, inputs.htab_shift)
    _threads(node, inputs, number)
    if inputs.cpu.family.isa >= 300:
        node.cells("ibm,processor-radix-AP-encodings", *RADIX_PAGES)
    if inputs.level("large-decr"):
        node.cells("ibm,dec-bits", inputs.cpu.family.decrementer_bits)


def _caches(node: Node, family: FamilyProperties) -> None:
    for kind in "di":
        node.cells(f"{kind}-cache-block-size", CACHE_LINE)
        node.cells(f"{kind}-cache-line-size", CACHE_LINE)
    node.cells("d-cache-size", family.data_cache)
    node.cells("i-cache-size", family.code_cache)


def _time_counters(node: Node, inputs: TreeInputs) -> None:
    if reached(_TIME_COUNTERS_SINCE, inputs.release):
        node.cells("ibm,purr", 1)
        node.cells("ibm,spurr", 1)
    else:
        node.set("ibm,purr")


def _units(node: Node, inputs: TreeInputs) -> None:
    """Add segments, vectors, decimal arithmetic, page sizes, and the lists of features."""
    if has_big_segments(inputs):
        node.cells("ibm,processor-segment-sizes", *SEGMENT_SHIFTS)
    if inputs.cpu.family.altivec or not reached(_ALTIVEC_ASKED, inputs.release):
        node.cells("ibm,vmx", 2 if inputs.level("vsx") else 1)
    if inputs.level("dfp"):
        node.cells("ibm,dfp", 1)
    node.set("ibm,segment-page-sizes", page_sizes(inputs))
    listed_features = features(inputs)
    if listed_features is not None:
        node.set("ibm,pa-features", listed_features)
    if reached(_PROCESSOR_INTERRUPTS, inputs.release):
        without = inputs.kvm and 300 in inputs.modes
        node.set("ibm,pi-features", bytes((1, 0, _NO_MSGSNDP if without else 0)))


def _threads(node: Node, inputs: TreeInputs, number: int) -> None:
    """Add the numbers of the threads that a guest may see (spapr_fixup_cpu_smt_dt)."""
    numbers = range(number, number + inputs.cores.seen_threads)
    node.cells("ibm,ppc-interrupt-server#s", *numbers)
    node.set("ibm,ppc-interrupt-gserver#s", b"".join(cells(one, 0) for one in numbers))
