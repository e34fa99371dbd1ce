"""Which module has the drivers of which names, so that one is found without importing all.

Generated from the drivers by `python -m tests.support.driver_index`.  Nothing depends on it: a name that
is not here, or not where it is said to be, is looked for in all modules.
"""

from __future__ import annotations

#: A module, and names of its drivers; one with many has several lines.
LINES = """
host.pc_dimm pc-dimm
host.spapr_rng spapr-rng
host.spapr_tpm_proxy spapr-tpm-proxy
pci.e1000 e1000
pci.i6300esb i6300esb
pci.pci_bridge pci-bridge pci-bridge-seat
pci.spapr_pci spapr-pci-host-bridge
pci.vga VGA
scsi.scsi_disk scsi-hd scsi-cd
scsi.scsi_generic scsi-generic scsi-block
usb.ehci usb-ehci ich9-usb-ehci1 ich9-usb-ehci2
usb.hid usb-kbd usb-mouse usb-tablet
usb.ohci pci-ohci
usb.uhci piix3-usb-uhci piix4-usb-uhci ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 ich9-usb-uhci4
usb.uhci ich9-usb-uhci5 ich9-usb-uhci6
usb.xhci nec-usb-xhci qemu-xhci
vio.spapr_llan spapr-vlan
vio.spapr_nvram spapr-nvram
vio.spapr_vscsi spapr-vscsi
vio.spapr_vty spapr-vty
virtio.vhost vhost-scsi-pci vhost-scsi-pci-transitional vhost-scsi-pci-non-transitional
virtio.vhost vhost-user-blk-pci vhost-user-blk-pci-transitional vhost-user-blk-pci-non-transitional
virtio.vhost vhost-user-scsi-pci vhost-user-scsi-pci-transitional
virtio.vhost vhost-user-scsi-pci-non-transitional vhost-user-fs-pci vhost-user-gpio-pci
virtio.vhost vhost-user-i2c-pci vhost-user-rng-pci vhost-user-snd-pci vhost-user-input-pci
virtio.vhost vhost-vdpa-device-pci vhost-vdpa-device-pci-transitional
virtio.vhost vhost-vdpa-device-pci-non-transitional vhost-user-vsock-pci
virtio.vhost vhost-user-vsock-pci-non-transitional vhost-vsock-pci vhost-vsock-pci-non-transitional
virtio.vhost virtio-9p-pci virtio-9p-pci-transitional virtio-9p-pci-non-transitional
virtio.virtio_balloon virtio-balloon-pci virtio-balloon-pci-transitional
virtio.virtio_balloon virtio-balloon-pci-non-transitional
virtio.virtio_blk virtio-blk-pci virtio-blk-pci-transitional virtio-blk-pci-non-transitional
virtio.virtio_crypto virtio-crypto-pci
virtio.virtio_gpu virtio-gpu-pci
virtio.virtio_input virtio-keyboard-pci virtio-mouse-pci virtio-tablet-pci virtio-multitouch-pci
virtio.virtio_input virtio-input-host-pci
virtio.virtio_iommu virtio-iommu-pci virtio-iommu-pci-transitional virtio-iommu-pci-non-transitional
virtio.virtio_net virtio-net-pci virtio-net-pci-transitional virtio-net-pci-non-transitional
virtio.virtio_rng virtio-rng-pci virtio-rng-pci-transitional virtio-rng-pci-non-transitional
virtio.virtio_scsi virtio-scsi-pci virtio-scsi-pci-transitional virtio-scsi-pci-non-transitional
virtio.virtio_serial virtio-serial-pci virtio-serial-pci-transitional
virtio.virtio_serial virtio-serial-pci-non-transitional virtserialport virtconsole
virtio.virtio_vga virtio-vga
"""
