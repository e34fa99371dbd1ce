"""When QEMU tells KVM of a compatibility mode (target/ppc/compat.c ``ppc_set_compat``)."""

from __future__ import annotations

from typing import Any

from vmstate.describe.history import History

#: What goes into the register when the mode changes: at first the old mode, by mistake.
_WRITES_OLD = History(False, ("2.10", True), (("2.10.2", "2.11"), False))


def arch_compat(machine: Any, old: int, new: int) -> int | None:
    """The value that is written to ``KVM_REG_PPC_ARCH_COMPAT`` as the mode goes from ``old`` to ``new``.

    None where there is no ioctl: modes are logical PVRs, 0 for none.
    """
    if old == new:
        return None
    return old if _WRITES_OLD.at(machine.release) else new
