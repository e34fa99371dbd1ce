"""Iterative sections (``SaveVMHandlers``): each handler reads one section's own grammar."""
