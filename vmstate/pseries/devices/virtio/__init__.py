"""Virtio devices on PCI."""
