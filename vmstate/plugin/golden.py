"""Golden streams: what a machine sent when the stream was recorded."""

from __future__ import annotations

from pathlib import Path

import zstandard

from vmstate.dataclass import dataclass
from vmstate.front.checks import diff
from vmstate.outputs import save

_SHOWN = 20
#: The clock of the host differs in each run; memory has the firmware, which is not QEMU's state.
_NOT_COMPARED = ("spapr.tb", "timer", "ram")


@dataclass(frozen=True)
class Golden:
    """A golden stream in a file, compressed."""

    path: Path

    def record(self, stream: bytes) -> None:
        """Write the file, whole or not at all: other processes of the same run may read it."""
        if self.path.exists() and not self.differences(stream):
            return  # unchanged but for clock and memory
        write(self.path, zstandard.ZstdCompressor(level=19).compress(stream))

    def differences(self, stream: bytes) -> list[str]:
        """Return how a stream differs from the golden one, or that there is none."""
        if not self.path.exists():
            return ["there is none: record it with --update-golden"]
        found = [str(one) for one in diff(str(self.path), stream, _NOT_COMPARED)]
        shown = [f"  {one}" for one in found[:_SHOWN]]
        if len(found) > _SHOWN:
            shown.append(f"  … and {len(found) - _SHOWN} more")
        return ["golden | sent:", *shown, "if that is right, --update-golden"] if found else []


def write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, [data])
