"""Sections that are registered and can be loaded, but send nothing from a machine at rest.

They matter because each takes a section id, and because a stream may name them.
"""

from __future__ import annotations

from vmstate.describe import Bool, Cursor, VMStateDescription
from vmstate.describe.diagnostics import EINVAL, LoadFailure
from vmstate.pseries.board.device import Device, LiveDevice
from vmstate.pseries.machine import Machine

BLOCK_UNTIL = "9.1"  # migration/block.c, block migration
DIRTY_BITMAP_SINCE = "2.12"
COLO_UNTIL = "3.1"  # migration/colo-comm.c


class QuietLiveDevice(LiveDevice):
    """A live section that is not active; if a stream has data for it, that is not modelled."""

    what: str

    def active(self) -> bool:
        return False

    def load_state(self, cur: Cursor, version_id: int) -> None:
        raise cur.unknown(f"{self.what} is not modelled")


class BlockMigration(QuietLiveDevice):
    """``block``: disk contents in the stream (migration/block.c), only with the capability ``block``."""

    idstr = "block"
    what = "what a disk of the destination makes of block migration"


class DirtyBitmaps(QuietLiveDevice):
    """``dirty-bitmap``: persistent bitmaps of disks (migration/block-dirty-bitmap.c)."""

    idstr = "dirty-bitmap"
    what = "what a disk of the destination makes of dirty bitmaps"

    def load_state(self, cur: Cursor, version_id: int) -> None:
        if version_id != self.version_id:
            raise LoadFailure(-EINVAL, "version of dirty-bitmap", offset=cur.pos, found=version_id)
        super().load_state(cur, version_id)


def colo_wanted(state: ColoState) -> bool:
    """The migration capability ``x-colo`` is on, which is not modelled."""
    return False


COLO_STATE = VMStateDescription(
    "COLOState",
    version_id=1,
    minimum_version_id=1,
    needed=colo_wanted,
    fields=[Bool("colo_requested")],
)


class ColoState(Device):
    """``COLOState``: the source's request for a fault-tolerant pair (up to 3.0)."""

    description = COLO_STATE

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.colo_requested = False
