"""The virtual I/O bus and its devices (hw/ppc/spapr_vio.c spapr_dt_vdevice)."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.pseries.device_tree.fdt import Node
from vmstate.pseries.device_tree.inputs import TreeInputs, VioInputs

NVRAM_SIZE = 0x10000
DEFAULT_MAC = bytes.fromhex("525400123456")

#: The device type and the model of each kind.
_KINDS = {
    "vty": ("serial", "hvterm1"),
    "nvram": ("nvram", "qemu,spapr-nvram"),
    "l-lan": ("network", "IBM,l-lan"),
    "v-scsi": ("vscsi", "IBM,v-scsi"),
}


def write_vdevices(root: Node, inputs: TreeInputs) -> None:
    """Add the bus, then its devices from the highest address down, so that they end up in order."""
    bus = root.add("vdevice")
    bus.text("device_type", "vdevice")
    bus.text("compatible", "IBM,vdevice")
    bus.cells("#address-cells", 1)
    bus.cells("#size-cells", 0)
    bus.cells("#interrupt-cells", 2)
    bus.set("interrupt-controller")
    for device in reversed(inputs.vio):
        _device(bus, device)


def _device(bus: Node, device: VioInputs) -> None:
    node = bus.add(f"{device.kind}@{device.reg:x}")
    node.cells("reg", device.reg)
    kind, model = _KINDS[device.kind]
    node.text("device_type", kind)
    node.text("compatible", model)
    node.cells("interrupts", device.irq, 0)
    if device.window:
        write_dma_window(node, "ibm,my-dma-window", device.reg, device.window)
    special = _SPECIAL.get(device.kind)
    if special is not None:
        special(node, device)


def write_dma_window(node: Node, name: str, liobn: int, size: int) -> None:
    """Add a DMA window that begins at 0 (hw/ppc/spapr_iommu.c spapr_dma_dt)."""
    node.cells("ibm,#dma-address-cells", 2)
    node.cells("ibm,#dma-size-cells", 2)
    node.cells(name, liobn, 0, 0, size >> 32, size & 0xFFFFFFFF)


def _nvram(node: Node, device: VioInputs) -> None:
    del device
    node.cells("#bytes", NVRAM_SIZE)


def _lan(node: Node, device: VioInputs) -> None:
    """Add the MAC address: old drivers accept 6 bytes only with a certain beginning (spapr_vlan_devnode)."""
    mac = device.mac or DEFAULT_MAC
    node.set("local-mac-address", mac if mac[0] & 3 == 2 else bytes(2) + mac)
    node.cells("ibm,mac-address-filters", 0)


def _scsi(node: Node, device: VioInputs) -> None:
    del device
    node.cells("#address-cells", 2)
    node.cells("#size-cells", 0)


_SPECIAL: dict[str, Callable[[Node, VioInputs], None]] = {"nvram": _nvram, "l-lan": _lan, "v-scsi": _scsi}


def first_terminal(inputs: TreeInputs) -> str | None:
    """Return the path of the terminal with the lowest address (spapr_vio_stdout_path)."""
    return next((f"/vdevice/{one.kind}@{one.reg:x}" for one in inputs.vio if one.kind == "vty"), None)
