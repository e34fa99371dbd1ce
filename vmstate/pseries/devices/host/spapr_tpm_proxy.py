"""``spapr-tpm-proxy``: a TPM of the host by hypercall (hw/ppc/spapr_tpm_proxy.c).  It sends nothing."""

from __future__ import annotations

from vmstate.describe.history import Span
from vmstate.pseries.board.driver import Driver, plug_nothing

DRIVERS = (Driver("spapr-tpm-proxy", plug_nothing, Span("4.2"), bus=""),)
