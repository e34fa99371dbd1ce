"""Descriptions of device state, read out of QEMU programs without running them (docs/describe.md)."""

from vmstate.binaries.reading import Layouts, schema_of_binary

__all__ = ["Layouts", "schema_of_binary"]
