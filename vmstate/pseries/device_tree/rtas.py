"""The node of the run-time abstraction services (hw/ppc/spapr.c spapr_dt_rtas)."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Release, Span, reached
from vmstate.pseries.device_tree.fdt import Node
from vmstate.pseries.device_tree.inputs import TreeInputs
from vmstate.pseries.device_tree.memory import LMB_SIZE, hotplug_end

TOKEN_BASE = 0x2000
ERROR_LOG_MAX = 2048
EVENT_SCAN_RATE = 1
QUERY_WINDOW, CREATE_WINDOW, REMOVE_WINDOW, RESET_WINDOW = (TOKEN_BASE + n for n in range(0x26, 0x2A))

_MIN_SIZE = History(0, ("6.1", 20))
_SIZE_SINCE = "5.0"  # since then the node states how much room RTAS needs
_MEMORY_END_ALWAYS = ("10.0.6", "10.1.2", "10.2")
_KERNEL_DUMP = "10.2"
_DUMP_VERSION = 1
_DUMP_CPU_STATE, _DUMP_HASH_TABLE = 1, 2
_DUMP_HEADER, _DUMP_REGISTERS, _DUMP_REGISTER_SIZE = 32, 79, 16


@dataclass(frozen=True, slots=True)
class Service:
    """A service by name; its number is its place in the list.  ``xics``: only XICS has it."""

    name: str
    span: Span = ALWAYS
    xics: bool = False


SERVICES: tuple[Service, ...] = (
    Service("display-character"),
    Service("get-time-of-day"),
    Service("set-time-of-day"),
    Service("power-off"),
    Service("system-reboot"),
    Service("query-cpu-stopped-state"),
    Service("start-cpu"),
    Service("stop-self"),
    Service("ibm,get-system-parameter"),
    Service("ibm,set-system-parameter"),
    Service("ibm,set-xive", xics=True),
    Service("ibm,get-xive", xics=True),
    Service("ibm,int-off", xics=True),
    Service("ibm,int-on", xics=True),
    Service("check-exception"),
    Service("event-scan"),
    Service("ibm,set-tce-bypass"),
    Service("quiesce"),
    Service("nvram-fetch"),
    Service("nvram-store"),
    Service("read-pci-config"),
    Service("write-pci-config"),
    Service("ibm,read-pci-config"),
    Service("ibm,write-pci-config"),
    Service("ibm,query-interrupt-source-number"),
    Service("ibm,change-msi"),
    Service("set-indicator"),
    Service("set-power-level"),
    Service("get-power-level"),
    Service("get-sensor-state"),
    Service("ibm,configure-connector"),
    Service("ibm,os-term"),
    Service("ibm,set-eeh-option"),
    Service("ibm,get-config-addr-info2"),
    Service("ibm,read-slot-reset-state2"),
    Service("ibm,set-slot-reset"),
    Service("ibm,configure-pe"),
    Service("ibm,slot-error-detail"),
    Service("ibm,query-pe-dma-window"),
    Service("ibm,create-pe-dma-window"),
    Service("ibm,remove-pe-dma-window"),
    Service("ibm,reset-pe-dma-window"),
    Service("ibm,suspend-me", Span("4.2")),
    Service("ibm,nmi-register", Span("5.0")),
    Service("ibm,nmi-interlock", Span("5.0")),
    Service("ibm,configure-kernel-dump", Span(_KERNEL_DUMP)),
)


@dataclass(frozen=True, slots=True)
class Hypercalls:
    """A group of hypercalls by the name that a guest looks for; ``needs``: the feature that must be on."""

    name: str
    span: Span = ALWAYS
    needs: str | None = None


HYPERCALLS: tuple[Hypercalls, ...] = (
    Hypercalls("hcall-pft"),
    Hypercalls("hcall-term"),
    Hypercalls("hcall-dabr"),
    Hypercalls("hcall-interrupt"),
    Hypercalls("hcall-tce"),
    Hypercalls("hcall-vio"),
    Hypercalls("hcall-splpar"),
    Hypercalls("hcall-join", Span("4.2")),
    Hypercalls("hcall-bulk"),
    Hypercalls("hcall-set-mode"),
    Hypercalls("hcall-sprg0"),
    Hypercalls("hcall-copy"),
    Hypercalls("hcall-debug"),
    Hypercalls("hcall-vphn"),
    Hypercalls("hcall-rpt-invalidate", Span("6.1"), "rpt-invalidate"),
    Hypercalls("hcall-multi-tce"),
    Hypercalls("hcall-hpt-resize", needs="resize-hpt"),
    Hypercalls("hcall-watchdog", Span("7.1")),
)


def write_rtas(root: Node, inputs: TreeInputs) -> Node:
    """Add the node: hypercalls, services, and how much memory may be plugged."""
    release, cores = inputs.release, inputs.cores
    node = root.add("rtas")
    node.set("ibm,hypertas-functions", _hypercalls(inputs))
    node.text("qemu,hypertas-functions", "hcall-memop1")
    _associativity(node, inputs)
    if reached(_SIZE_SINCE, release):
        node.cells("rtas-size", _MIN_SIZE.at(release) + ERROR_LOG_MAX + cores.max_cpus * 16 + 8)
    node.cells("rtas-error-log-max", ERROR_LOG_MAX)
    node.cells("rtas-event-scan-rate", EVENT_SCAN_RATE)
    node.set("ibm,change-msix-capable")
    node.set("ibm,extended-os-term")
    end = _memory_end(inputs)
    slots = cores.max_cpus // cores.threads
    node.cells("ibm,lrdr-capacity", end >> 32, end & 0xFFFFFFFF, 0, LMB_SIZE, slots)
    if reached(_KERNEL_DUMP, release):
        _kernel_dump(node, slots)
    for number, service in enumerate(SERVICES):
        if service.span.covers(release) and (inputs.has_xics or not service.xics):
            node.cells(service.name, TOKEN_BASE + number)
    return node


def _hypercalls(inputs: TreeInputs) -> bytes:
    on = {None: True, "rpt-invalidate": inputs.level("rpt-invalidate"), "resize-hpt": inputs.resize_hpt}
    names = (one.name for one in HYPERCALLS if one.span.covers(inputs.release) and on[one.needs])
    return "".join(f"{name}\0" for name in names).encode()


def _associativity(node: Node, inputs: TreeInputs) -> None:
    """Add the distances of a machine without NUMA nodes (spapr_numa_FORM1_write_rtas_dt)."""
    points = (4, 4) if _two_points(inputs.release, inputs.flags.pre_5_1_assoc_refpoints) else (4, 4, 2)
    node.cells("ibm,associativity-reference-points", *points)
    node.cells("ibm,max-associativity-domains", 4, 0, 0, 0, 1)


def _two_points(release: Release, old_type: bool) -> bool:
    return old_type or not reached("5.1", release)


def _memory_end(inputs: TreeInputs) -> int:
    end = hotplug_end(inputs)
    return end or (inputs.ram_size if reached(_MEMORY_END_ALWAYS, inputs.release) else 0)


def _kernel_dump(node: Node, slots: int) -> None:
    """Add firmware-assisted dumps; versions are in the host's byte order (spapr_dt_rtas_fadump)."""
    node.set("ibm,configure-kernel-dump-version", _DUMP_VERSION.to_bytes(2, "little") * 2)
    size = _DUMP_HEADER + slots * _DUMP_REGISTERS * _DUMP_REGISTER_SIZE
    regions = (_DUMP_CPU_STATE, size >> 32, size & 0xFFFFFFFF, _DUMP_HASH_TABLE, 0, 0)
    node.cells("ibm,configure-kernel-dump-sizes", *regions)


RTAS_IMAGE_SIZE = 20
_RTAS_ROOM = 0x10000
_REAL_MODE_LIMIT = 1 << 31
#: Before, QEMU itself loaded RTAS into memory (spapr_load_rtas); since then it is part of the firmware.
LOADED_UNTIL = "4.2"


def rtas_address(real_mode_size: int) -> int:
    """Return the address at which a QEMU that loads RTAS puts it."""
    return min(real_mode_size, _REAL_MODE_LIMIT) - _RTAS_ROOM
