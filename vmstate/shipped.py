"""The files that come with the package: hosts, guest kernels, proposals, scenarios, findings, streams."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def shipped(kind: str) -> Path:
    """Return the folder of one kind of files: ``fixtures/KIND``, in a checkout or as installed."""
    installed = _HERE / "fixtures" / kind
    return installed if installed.is_dir() else _HERE.parent / "fixtures" / kind


def shipped_streams() -> Path:
    """Return the folder of captured streams: ``streams``, in a checkout or as installed."""
    installed = shipped("streams")
    return installed if installed.is_dir() else _HERE.parent / "streams"
