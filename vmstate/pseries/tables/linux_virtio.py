"""The features that Linux's virtio drivers take, by version.

Read from the feature tables in Debian's kernels for ppc64el (the symbols ``features`` and ``features_legacy``
of the modules), and checked against booted guests: 6.1.176, 6.12.107, 7.2.13 and 7.3-rc7.  Older versions are
not declared; a change between two of these versions is not dated.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import Release

#: The oldest version whose drivers are declared.
OLDEST = Release.parse("6.1")

INDIRECT_DESC, BAD_FEATURE, VERSION_1, ACCESS_PLATFORM = 28, 30, 32, 33
#: Features of the transport, which virtio_ring and virtio_pci take or not for all drivers.
TRANSPORT = range(28, 42)


@dataclass(frozen=True)
class Taken:
    """Features, as bits, that a driver takes: in versions from ``since`` on, and not in ``lacking``.

    In versions between the two it is not known.  Without ``lacking``, all declared versions take them.
    """

    bits: tuple[int, ...]
    since: str = str(OLDEST)
    lacking: str = ""

    def at(self, linux: Release) -> bool | None:
        """Return True if that version takes them, False if not, None if it is not known."""
        if linux >= Release.parse(self.since):
            return True
        return False if linux <= Release.parse(self.lacking) else None


@dataclass(frozen=True)
class LinuxDriver:
    """A driver: what it takes, also of a legacy device alone; what it gives back before it starts.

    ``needs``: features that it refuses to have without another one, by that one.  ``untried``: features that
    it takes, and of which no booted guest was seen.
    """

    takes: tuple[Taken, ...] = ()
    of_legacy: tuple[int, ...] = ()
    returns: tuple[Taken, ...] = ()
    needs: Mapping[int, frozenset[int]] = field(default_factory=dict)
    untried: tuple[int, ...] = ()


#: INDIRECT_DESC, EVENT_IDX, VERSION_1, ACCESS_PLATFORM, RING_PACKED, ORDER_PLATFORM, RING_RESET; IN_ORDER.
TRANSPORT_TAKEN = (Taken((28, 29, 32, 33, 34, 36, 40)), Taken((35,), "7.2", lacking="6.12"))

_CTRL_VQ = 17

NET = LinuxDriver(
    takes=(
        Taken((0, 1, 2, 3, 5, *range(7, 20), 21, 22, 23, 53, 57, 60, 62, 63)),
        Taken((50, 52, 54, 55, 56, 59), "6.12", lacking="6.1"),
        Taken((65, 66, 67, 68), "7.2", lacking="6.12"),
    ),
    of_legacy=(6, 27),
    needs={_CTRL_VQ: frozenset((18, 19, 21, 22, 23, 53, 57, 60))},
    untried=(57, 60, 62),
)
BLK = LinuxDriver(
    takes=(
        Taken((1, 2, 4, 5, 6, *range(9, 15), 16)),
        Taken((17,), "6.12", lacking="6.1"),
    )
)
CONSOLE = LinuxDriver(takes=(Taken((0, 1)),))
RNG = LinuxDriver()
BALLOON = LinuxDriver(
    takes=(Taken((0, 1, 2, 3, 4, 5)),),
    returns=(Taken((4, ACCESS_PLATFORM)), Taken((INDIRECT_DESC,), "7.2", lacking="6.12")),
    untried=(3,),
)
SCSI = LinuxDriver(takes=(Taken((1, 2, 3)),))
GPU = LinuxDriver(takes=(Taken((0, 1, 2, 3, 4)), Taken((5,), "7.2", lacking="6.12")), untried=(0, 2, 3, 4, 5))
INPUT = LinuxDriver()

#: By the number of the kind of device.
LINUX_DRIVERS = {1: NET, 2: BLK, 3: CONSOLE, 4: RNG, 5: BALLOON, 8: SCSI, 16: GPU, 18: INPUT}
