"""``spapr-rng``: random numbers by hypercall (hw/ppc/spapr_rng.c).  It sends nothing."""

from __future__ import annotations

from vmstate.errors import NotModelled
from vmstate.pseries.board.driver import Driver, plug_nothing
from vmstate.pseries.board.properties import Effect, Property
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

NAME = "spapr-rng"
USE_KVM = Property(NAME, "use-kvm", "off", "bool")
PROPERTIES = (
    USE_KVM,
    Property(NAME, "rng", "", "link<rng-backend>", Effect.HARMLESS, "where the numbers come from"),
)


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a device without a source of random numbers (``spapr_rng_realize``)."""
    use_kvm = USE_KVM.flag(machine, option)
    if use_kvm and machine.accelerator.name != "tcg":
        raise NotModelled(f"{option.text}: use-kvm=on is not modelled with KVM")
    if option.get("rng") is None:
        if use_kvm:
            raise Refused(f"{option.text}: Could not initialize in-kernel H_RANDOM call!")
        raise Refused(f"{option.text}: spapr-rng needs an RNG backend!")


DRIVERS = (Driver(NAME, plug_nothing, bus="", check=check, properties=PROPERTIES, hotpluggable=False),)
