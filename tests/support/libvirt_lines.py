"""Command lines as libvirt shapes them, in ``tests/pseries/libvirt``: bare ones, and logs."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "pseries" / "libvirt"

#: The device that each of these has, which is not simulated.
NOT_SIMULATED = {"passthrough": "vfio-pci"}
#: They name files that exist on libvirt's host only.
NEEDS_FILES = {"kernel"}


def command_lines() -> dict[str, str]:
    """Return the bare command lines by name."""
    return {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.args"))}


def log(name: str) -> Path:
    """Return the path of a log."""
    return FOLDER / f"{name}.log"
