"""The device tree that a pseries machine hands to its firmware, as ``spapr_dtb`` carries it.

It is built as hw/ppc/spapr.c spapr_build_fdt builds it at reset, before the guest has negotiated anything.
"""
