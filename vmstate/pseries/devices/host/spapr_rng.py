"""``spapr-rng``: random numbers by hypercall (hw/ppc/spapr_rng.c).  It sends nothing."""

from __future__ import annotations

from vmstate.pseries.board.driver import Driver, plug_nothing
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

NAME = "spapr-rng"


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a device without a source of random numbers (``spapr_rng_realize``)."""
    del machine
    if option.get("rng") is None:
        raise Refused(f"{option.text}: spapr-rng needs an RNG backend!")


DRIVERS = (Driver(NAME, plug_nothing, bus="", check=check),)
