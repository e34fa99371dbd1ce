"""The registry of containers and their magic numbers.  A container's module is imported on first use."""

from __future__ import annotations

from importlib import import_module

from vmstate.containers.protocol import Container, Layer
from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported


@dataclass(frozen=True)
class Entry:
    """A container's magic numbers, all at its beginning, and the module that defines its ``CONTAINER``.

    ``made``: one can be made around a bare stream; otherwise only another stream put into one.
    """

    magics: tuple[bytes, ...]
    module: str
    made: bool = True


_HERE = "vmstate.containers"

CONTAINERS: dict[str, Entry] = {
    "libvirt": Entry((b"LibvirtQemudSave", b"LibvirtQemudPart"), f"{_HERE}.libvirt"),
    "qcow2": Entry((b"QFI\xfb",), f"{_HERE}.qcow2", made=False),
    "xen": Entry((b"Xen saved domain, xl format\n", b"LibxlFmt"), f"{_HERE}.xen", made=False),
    "offset": Entry((), f"{_HERE}.nested", made=False),  # not recognised by its beginning, but found
    "gzip": Entry((b"\x1f\x8b",), f"{_HERE}.gzip"),
    "bzip2": Entry((b"BZh",), f"{_HERE}.bzip2"),
    "xz": Entry((b"\xfd7zXZ\0",), f"{_HERE}.xz"),
    "zstd": Entry(
        # A frame, or a skippable frame; the low half of the latter's first magic byte is arbitrary.
        (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + i,)) + b"\x2a\x4d\x18" for i in range(16))),
        f"{_HERE}.zstd",
    ),
    "lz4": Entry((b"\x04\x22\x4d\x18",), f"{_HERE}.lz4"),
    "lzop": Entry((b"\x89LZO\0\r\n\x1a\n",), f"{_HERE}.lzop"),
}


def recognise(head: bytes) -> str | None:
    """Return the container whose magic a file begins with; None for a plain stream or unknown data."""
    for name, entry in CONTAINERS.items():
        if head.startswith(entry.magics):
            return name
    return None


def container(name: str) -> Container:
    """Return the container of that name.  Raises Unsupported if it does not exist."""
    if name not in CONTAINERS:
        raise Unsupported(f"unknown container {name!r}", expected=", ".join(CONTAINERS), found=name)
    found: Container = import_module(CONTAINERS[name].module).CONTAINER
    return found


def layer(name: str) -> Layer:
    """Return a new layer of that kind, all at its defaults.  Raises Unsupported if it does not exist."""
    return Layer(name, container(name).plain_metadata())
