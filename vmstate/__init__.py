"""QEMU migration streams: declare device state once; read, write, check and judge it everywhere."""

from __future__ import annotations

__version__ = "0.1.0"
