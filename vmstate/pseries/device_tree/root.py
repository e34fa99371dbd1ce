"""The whole tree, built in the order of spapr_build_fdt, which decides the offsets of names."""

from __future__ import annotations

from functools import lru_cache

from vmstate.describe.history import History, Release, reached
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.device_tree.chosen import SEED_SIZE, write_chosen
from vmstate.pseries.device_tree.connectors import listed, write_connectors
from vmstate.pseries.device_tree.cpus import write_cpu_connectors, write_cpus
from vmstate.pseries.device_tree.fdt import Measured, Node, Tree
from vmstate.pseries.device_tree.inputs import TreeInputs, tree_inputs
from vmstate.pseries.device_tree.interrupts import write_controller, write_events
from vmstate.pseries.device_tree.memory import rma_size, write_memory
from vmstate.pseries.device_tree.pci import write_bridges
from vmstate.pseries.device_tree.rtas import LOADED_UNTIL, RTAS_IMAGE_SIZE, rtas_address, write_rtas
from vmstate.pseries.device_tree.vdevice import write_vdevices

NO_UUID = "00000000-0000-0000-0000-000000000000"

_NVDIMM = "5.0"
_NVDIMM_NODE = History("persistent-memory", ("6.1", "ibm,persistent-memory"))
_ONE_LIST = "6.0"  # before, the list of bridges replaced that of memory
#: As in QEMU's bundled libfdt; a QEMU that is linked with another writes the version of that (16 from 1.6.1).
_LAST_COMPATIBLE = History(2, ("6.2", 16))


def device_tree(board: Board) -> memoryview:
    """Return the tree of a machine with everything on its board, with a seed of zeros."""
    return build(tree_inputs(board))


def device_tree_size(board: Board) -> int:
    """Return the size of that tree in bytes."""
    return _size(tree_inputs(board))


@lru_cache(maxsize=128)
def build(inputs: TreeInputs, seed: bytes = bytes(SEED_SIZE)) -> memoryview:
    """Build the tree as bytes; ``seed``: the random seed in /chosen."""
    tree = Tree()
    _write(tree, inputs, seed)
    return memoryview(tree.pack(_LAST_COMPATIBLE.at(inputs.release)))


@lru_cache(maxsize=128)
def _size(inputs: TreeInputs) -> int:
    tree = Measured()
    _write(tree, inputs, bytes(SEED_SIZE))
    return tree.size


def _write(tree: Tree, inputs: TreeInputs, seed: bytes) -> None:
    root = tree.root
    _identity(root, inputs)
    write_controller(root, inputs)
    write_memory(root, inputs)
    write_vdevices(root, inputs)
    if inputs.random:
        _random(root)
    write_bridges(root, inputs)
    cpus = write_cpus(root, inputs)
    _root_connectors(root, inputs)
    write_cpu_connectors(cpus, inputs)
    write_events(root, inputs)
    rtas = write_rtas(root, inputs)
    write_chosen(root, inputs, seed)
    if inputs.kvm:
        root.add("hypervisor").text("compatible", "linux,kvm")
    _bridges_instead(root, inputs)
    if reached(_NVDIMM, inputs.release) and inputs.flags.nvdimm_supported:
        _nvdimm(root, inputs.release)
    if not reached(LOADED_UNTIL, inputs.release):
        _loaded_rtas(tree, rtas, rtas_address(rma_size(inputs)))


def _identity(root: Node, inputs: TreeInputs) -> None:
    root.text("device_type", "chrp")
    root.text("model", "IBM pSeries (emulated by qemu)")
    root.text("compatible", "qemu,pseries")
    root.text("vm,uuid", inputs.uuid or NO_UUID)
    if inputs.uuid is not None:
        root.text("system-id", inputs.uuid)
    if inputs.guest_name is not None:
        root.text("ibm,partition-name", inputs.guest_name)
    root.cells("#address-cells", 2)
    root.cells("#size-cells", 2)


def _random(root: Node) -> None:
    """Add a source of random numbers as a platform facility (spapr_dt_rng)."""
    facilities = root.add("ibm,platform-facilities")
    facilities.text("device_type", "ibm,platform-facilities")
    facilities.cells("#address-cells", 1)
    facilities.cells("#size-cells", 0)
    facilities.add("ibm,random-v1").text("compatible", "ibm,random")


def _root_connectors(root: Node, inputs: TreeInputs) -> None:
    """Add the connectors of memory, bridges and non-volatile memory in one list (before, only memory's)."""
    flags, together = inputs.flags, reached(_ONE_LIST, inputs.release)
    kinds = (
        (DrcType.LMB, flags.dr_lmb_enabled),
        (DrcType.PHB, together and flags.dr_phb_enabled),
        (DrcType.PMEM, together and flags.nvdimm_supported),
    )
    wanted = [kind for kind, enabled in kinds if enabled]
    if wanted:
        write_connectors(root, listed(inputs.connectors, wanted))


def _bridges_instead(root: Node, inputs: TreeInputs) -> None:
    """Replace the list of memory connectors by that of bridges, as older releases do."""
    if inputs.flags.dr_phb_enabled and not reached(_ONE_LIST, inputs.release):
        write_connectors(root, listed(inputs.connectors, (DrcType.PHB,)))


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
