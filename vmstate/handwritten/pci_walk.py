"""The lists of capabilities in a PCI configuration space, followed as QEMU follows them.

hw/pci/pci.c ``pci_find_capability_list``, hw/pci/pcie.c ``pcie_find_capability_list``.  QEMU looks at the
list only if the status says that there is one, takes each pointer as it is, of any value, and never ends a
list that leads back into itself: here that is an error.
"""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.errors import StreamError

CONVENTIONAL, EXPRESS = 256, 4096
_STATUS, _HAS_LIST, _LIST = 0x06, 0x10, 0x34
_LEAST, _LEAST_EXTENDED = 4, 8  # bytes of a capability


def capabilities(config: bytes | memoryview) -> Iterator[int]:
    """Yield the offset of each capability in the order of the list; StreamError if it does not end."""
    at = config[_LIST] if config[_STATUS] & _HAS_LIST else 0
    seen = set[int]()
    while at:
        if at in seen or at > CONVENTIONAL - _LEAST:
            raise StreamError("the list of capabilities leads nowhere", offset=at)
        seen.add(at)
        yield at
        at = config[at + 1]


def capability(config: bytes | memoryview, kind: int) -> int:
    """Return the offset of the first capability with an id; 0 without it, or if the list leads nowhere."""
    try:
        return next((at for at in capabilities(config) if config[at] == kind), 0)
    except StreamError:
        return 0


def extended_capabilities(config: bytes | memoryview) -> Iterator[int]:
    """Yield the offset of each extended capability; StreamError where QEMU ends with an assertion."""
    at, seen = CONVENTIONAL, set[int]()
    if not any(config[at : at + 4]):
        return
    while at:
        if at in seen or not CONVENTIONAL <= at <= EXPRESS - _LEAST_EXTENDED:
            raise StreamError("the list of extended capabilities leads nowhere", offset=at)
        seen.add(at)
        yield at
        at = int.from_bytes(config[at : at + 4], "little") >> 20 & 0xFFC
