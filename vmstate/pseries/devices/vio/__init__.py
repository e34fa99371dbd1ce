"""Devices on the virtual I/O bus."""
