"""``spapr-tpm-proxy``: a TPM of the host by hypercall (hw/ppc/spapr_tpm_proxy.c).  It sends nothing."""

from __future__ import annotations

from vmstate.describe.history import Span
from vmstate.pseries.board.driver import Driver, plug_nothing
from vmstate.pseries.board.properties import Effect, Property
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

HOST_PATH = Property("spapr-tpm-proxy", "host-path", "", effect=Effect.HARMLESS, why="a file of the host")


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a proxy without a file (``spapr_tpm_proxy_realize``)."""
    if not HOST_PATH.text(machine, option):
        raise Refused(f"{option.text}: must specify 'host-path' option for device")


DRIVERS = (
    Driver("spapr-tpm-proxy", plug_nothing, Span("4.2"), bus="", check=check, properties=(HOST_PATH,)),
)
