"""Sections of QEMU itself: memory, clocks, run state, configuration, user networks."""
