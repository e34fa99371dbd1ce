"""The node ``/chosen``, with the choices handed to firmware (hw/ppc/spapr.c spapr_dt_chosen)."""

from __future__ import annotations

from vmstate.describe.history import reached
from vmstate.pseries.device_tree.fdt import Node
from vmstate.pseries.device_tree.inputs import TreeInputs
from vmstate.pseries.device_tree.vdevice import first_terminal

GRAPHICS = (("qemu,graphic-width", 800), ("qemu,graphic-height", 600), ("qemu,graphic-depth", 32))
SEED_SIZE = 32

_BOOT_ARGUMENTS_UNTIL = "4.2"  # empty ones are left out since then
_SEED_SINCE = "7.1"
_PCI_PROBE_SINCE = "4.2"
_XIVE_BYTE, _MMU_BYTE, _HASH_BYTE, _RADIX_BYTE = 23, 24, 25, 26
_XICS, _XIVE, _EITHER = 0x00, 0x40, 0x80
_HASH, _RADIX, _ANY_MMU_KVM, _ANY_MMU_TCG = 0x00, 0x40, 0x80, 0xC0
_RADIX_GTSE = 0x40


def write_chosen(root: Node, inputs: TreeInputs, seed: bytes) -> Node:
    """Add boot arguments, the console, the choices of option vector 5, and a random seed."""
    node = root.add("chosen")
    if not reached(_BOOT_ARGUMENTS_UNTIL, inputs.release):
        node.text("bootargs", "")
        node.cells("linux,initrd-start", 0)
        node.cells("linux,initrd-end", 0)
    for name, value in GRAPHICS:
        node.cells(name, value)
    terminal = first_terminal(inputs)
    if terminal is not None and not inputs.graphics:
        node.text("linux,stdout-path", terminal)
        node.text("stdout-path", terminal)
    if inputs.flags.linux_pci_probe and reached(_PCI_PROBE_SINCE, inputs.release):
        node.cells("linux,pci-probe-only", 0)
    node.set("ibm,arch-vec-5-platform-support", _platform_support(inputs))
    if reached(_SEED_SINCE, inputs.release):
        node.set("rng-seed", seed)
    node.set("ibm,architecture-vec-5", bytes(2))
    return node


def _platform_support(inputs: TreeInputs) -> bytes:
    """Return bytes of option vector 5 with their supported values (spapr_dt_ov5_platform_support)."""
    if 300 not in inputs.modes:
        controller, mmu = _XICS, _HASH
    else:
        controller = (_EITHER if inputs.has_xics else _XIVE) if inputs.has_xive else _XICS
        if not inputs.kvm:
            mmu = _ANY_MMU_TCG
        elif inputs.kvm_radix:
            mmu = _ANY_MMU_KVM if inputs.kvm_hash else _RADIX
        else:
            mmu = _HASH
    gtse = _RADIX_GTSE if inputs.tells_gtse else 0
    pairs = (_XIVE_BYTE, controller, _MMU_BYTE, mmu, _HASH_BYTE, 0, _RADIX_BYTE, gtse)
    return bytes(pairs)
