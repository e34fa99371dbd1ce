"""The device tree that ``spapr_dtb`` carries: a flattened tree of the right structure, without the content.

QEMU builds it at reset from everything that the machine has (hw/ppc/spapr.c spapr_build_fdt); a loader
takes it as it comes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

_MAGIC = 0xD00DFEED
_VERSION, _COMPATIBLE_VERSION = 17, 16
_BEGIN_NODE, _END_NODE, _PROPERTY, _END = 1, 2, 3, 9
_HEADER = struct.Struct(">10I")


def device_tree(machine: Any) -> memoryview:
    """The blob that a machine of this type hands to its firmware: its root node, with names and sizes."""
    return _root_only(machine.name, machine.ram_size)


@lru_cache(maxsize=128)
def _root_only(name: str, ram_size: int) -> memoryview:
    strings = bytearray()
    root = struct.pack(">I4x", _BEGIN_NODE)
    for key, value in (
        ("device_type", b"chrp\0"),
        ("model", b"IBM pSeries (emulated by qemu)\0"),
        ("compatible", f"qemu,{name}\0".encode()),
        ("#address-cells", struct.pack(">I", 2)),
        ("#size-cells", struct.pack(">I", 2)),
    ):
        root += _property(key, value, strings)
    root += struct.pack(">I", _BEGIN_NODE) + _padded(b"memory@0\0")
    root += _property("device_type", b"memory\0", strings)
    root += _property("reg", struct.pack(">QQ", 0, ram_size), strings)
    root += struct.pack(">III", _END_NODE, _END_NODE, _END)
    reservations = bytes(16)
    structure = _HEADER.size + len(reservations)
    header = _HEADER.pack(
        _MAGIC,
        structure + len(root) + len(strings),
        structure,
        structure + len(root),
        _HEADER.size,
        _VERSION,
        _COMPATIBLE_VERSION,
        0,
        len(strings),
        len(root),
    )
    return memoryview(header + reservations + root + bytes(strings))


def _property(name: str, value: bytes, strings: bytearray) -> bytes:
    key = name.encode() + b"\0"
    at = strings.find(key)
    if at < 0:
        at = len(strings)
        strings += key
    return struct.pack(">III", _PROPERTY, len(value), at) + _padded(value)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)
