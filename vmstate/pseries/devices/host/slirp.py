"""``slirp``: the user-mode network stack as a device; its layout is in ``vmstate.handwritten.slirp``."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Record
from vmstate.describe.arrays import zeros
from vmstate.handwritten.slirp import AF_INET, BOOTP_CLIENTS, NO_GUESTFWD, SLIRP
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

__all__ = ["AF_INET", "BOOTP_CLIENTS", "NO_GUESTFWD", "SLIRP", "Slirp"]


class Slirp(Device):
    """A stack without forwarded connections or leased addresses."""

    description = SLIRP
    old_style = True  # registered with functions, not with a description

    def __init__(self, machine: Machine, instance_id: int = 0) -> None:
        super().__init__(machine, instance_id=instance_id)
        self.sockets: list[Any] = []
        self.ip_id = 0
        self.bootp_clients = [Record(allocated=0, macaddr=zeros(6)) for _ in range(BOOTP_CLIENTS)]
