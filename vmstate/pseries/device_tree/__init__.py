"""The device tree that a pseries machine hands to its firmware, as ``spapr_dtb`` carries it.

Built from what the machine has, as hw/ppc/spapr.c spapr_build_fdt does at reset, before the guest has
negotiated anything.
"""
