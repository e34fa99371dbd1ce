"""The field ``virtio`` of every virtio device, and what some devices add, written by hand in QEMU."""
