"""Names for the numbers that lines carry, as ``names.toml`` has them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypedDict


class _Tables(TypedDict):
    pci_registers: dict[str, str]
    ram_flags: dict[str, str]
    virtio: dict[str, dict[str, list[str]]]
    msrs: dict[str, str]
    pvrs: dict[str, str]
    sections: dict[str, str]


@cache
def _tables() -> _Tables:
    text = files("vmstate.explain").joinpath("names.toml").read_text("utf-8")
    return tomllib.loads(text)  # type: ignore[return-value]


@cache
def numbered(table: str) -> Mapping[int, str]:
    """Return one table of names by number."""
    rows: dict[str, str] = _tables()[table]  # type: ignore[literal-required]
    return {int(number, 0): name for number, name in rows.items()}


def pci_register(offset: int) -> str:
    """Return what lies at an offset of PCI configuration space."""
    if offset >= 0x100:
        return "extended configuration space: a PCI Express capability (AER, ACS, serial number, …)"
    if offset >= 0x40:
        return (
            "a capability (MSI, MSI-X, power management, PCI Express, vendor's) or a register of the device"
        )
    registers = numbered("pci_registers")
    first = max(at for at in registers if at <= offset)
    byte = f", byte {offset - first}" if offset > first else ""
    return registers[first] + byte


@cache
def virtio_bits(device: str) -> Mapping[int, tuple[str, str]]:
    """Return the feature bits of a kind of virtio device: name, and the property that switches it off."""
    rows = _tables()["virtio"].get(device, {})
    return {int(bit): (name, switch) for bit, (name, switch) in rows.items()}


def virtio_devices() -> list[str]:
    """Return the kinds of virtio devices whose bits have names."""
    return [device for device in _tables()["virtio"] if device != "any"]


def section(idstr: str) -> str | None:
    """Return what a section belongs to, None if its name is not known; its bus may be before it."""
    known = _tables()["sections"]
    if idstr in known:
        return known[idstr]
    return known.get(idstr.rpartition("/")[2])
