"""The whole tree, in the order in which spapr_build_fdt builds it: the order decides where names lie."""

from __future__ import annotations

from functools import lru_cache

from vmstate.describe.history import History, Release, reached
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.device_tree.chosen import SEED_SIZE, write_chosen
from vmstate.pseries.device_tree.connectors import listed, write_connectors
from vmstate.pseries.device_tree.cpus import write_cpu_connectors, write_cpus
from vmstate.pseries.device_tree.fdt import Node, Tree
from vmstate.pseries.device_tree.inputs import Facts, facts_of
from vmstate.pseries.device_tree.interrupts import write_controller, write_events
from vmstate.pseries.device_tree.memory import rma_size, write_memory
from vmstate.pseries.device_tree.pci import write_bridges
from vmstate.pseries.device_tree.rtas import LOADED_UNTIL, RTAS_IMAGE_SIZE, rtas_address, write_rtas
from vmstate.pseries.device_tree.vdevice import write_vdevices

NO_UUID = "00000000-0000-0000-0000-000000000000"

_NVDIMM = "5.0"
_NVDIMM_NODE = History("persistent-memory", ("6.1", "ibm,persistent-memory"))
_ONE_LIST = "6.0"  # before, the list of bridges took the place of that of memory
#: Of the libfdt that comes with QEMU; a QEMU linked with another writes what that one does (16 from 1.6.1).
_LAST_COMPATIBLE = History(2, ("6.2", 16))


def device_tree(board: Board) -> memoryview:
    """The tree of a machine with everything on its board, with a seed of zeros."""
    return build(facts_of(board))


@lru_cache(maxsize=128)
def build(facts: Facts, seed: bytes = bytes(SEED_SIZE)) -> memoryview:
    """The tree as bytes; ``seed``: what /chosen has as its random seed."""
    tree = Tree()
    root = tree.root
    _identity(root)
    write_controller(root, facts)
    write_memory(root, facts)
    write_vdevices(root, facts)
    if facts.random:
        _random(root)
    write_bridges(root, facts)
    cpus = write_cpus(root, facts)
    _root_connectors(root, facts)
    write_cpu_connectors(cpus, facts)
    write_events(root, facts)
    rtas = write_rtas(root, facts)
    write_chosen(root, facts, seed)
    if facts.kvm:
        root.add("hypervisor").text("compatible", "linux,kvm")
    _bridges_instead(root, facts)
    if reached(_NVDIMM, facts.release) and facts.flags.nvdimm_supported:
        _nvdimm(root, facts.release)
    if not reached(LOADED_UNTIL, facts.release):
        _loaded_rtas(tree, rtas, rtas_address(rma_size(facts)))
    return memoryview(tree.pack(_LAST_COMPATIBLE.at(facts.release)))


def _identity(root: Node) -> None:
    root.text("device_type", "chrp")
    root.text("model", "IBM pSeries (emulated by qemu)")
    root.text("compatible", "qemu,pseries")
    root.text("vm,uuid", NO_UUID)
    root.cells("#address-cells", 2)
    root.cells("#size-cells", 2)


def _random(root: Node) -> None:
    """A source of random numbers, told as a facility of the platform (spapr_dt_rng)."""
    facilities = root.add("ibm,platform-facilities")
    facilities.text("device_type", "ibm,platform-facilities")
    facilities.cells("#address-cells", 1)
    facilities.cells("#size-cells", 0)
    facilities.add("ibm,random-v1").text("compatible", "ibm,random")


def _root_connectors(root: Node, facts: Facts) -> None:
    """Of memory, bridges and non-volatile memory, in one list (formerly of memory alone)."""
    flags, together = facts.flags, reached(_ONE_LIST, facts.release)
    kinds = (
        (DrcType.LMB, flags.dr_lmb_enabled),
        (DrcType.PHB, together and flags.dr_phb_enabled),
        (DrcType.PMEM, together and flags.nvdimm_supported),
    )
    wanted = [kind for kind, there in kinds if there]
    if wanted:
        write_connectors(root, listed(facts.connectors, wanted))


def _bridges_instead(root: Node, facts: Facts) -> None:
    """QEMU used to put the list of bridges in the place of that of memory."""
    if facts.flags.dr_phb_enabled and not reached(_ONE_LIST, facts.release):
        write_connectors(root, listed(facts.connectors, (DrcType.PHB,)))


def _nvdimm(root: Node, release: Release) -> None:
    node = root.add(_NVDIMM_NODE.at(release))
    node.cells("#address-cells", 1)
    node.cells("#size-cells", 0)
    node.text("device_type", "ibm,persistent-memory")


def _loaded_rtas(tree: Tree, rtas: Node, address: int) -> None:
    tree.reserve(address, RTAS_IMAGE_SIZE)
    rtas.cells("linux,rtas-base", address)
    rtas.cells("linux,rtas-entry", address)
    rtas.cells("rtas-size", RTAS_IMAGE_SIZE)
