"""Processors: the sections ``cpu_common``, ``cpu`` and ``spapr_cpu``."""
