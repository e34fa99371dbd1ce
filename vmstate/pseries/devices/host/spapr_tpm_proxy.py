"""``spapr-tpm-proxy``: a TPM of the host by hypercall (hw/ppc/spapr_tpm_proxy.c).  It sends nothing."""

from __future__ import annotations

from vmstate.describe.history import Span
from vmstate.pseries.board.driver import Driver, plug_nothing
from vmstate.pseries.board.properties import Effect, Property

HOST_PATH = Property("spapr-tpm-proxy", "host-path", "", effect=Effect.HARMLESS, why="a file of the host")

DRIVERS = (Driver("spapr-tpm-proxy", plug_nothing, Span("4.2"), bus="", properties=(HOST_PATH,)),)
