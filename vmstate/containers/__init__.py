"""Containers of a stream: compression, libvirt's save image, also nested.

    with open_input("guest.save") as opened:
        opened.data      # the QEMU stream
        opened.layers    # the containers around it
        save("copy.save", opened.rewrap(changed_stream))

A damaged or truncated container is not an error: the readable part is returned, and ``findings`` report the
damage.
"""

from __future__ import annotations

from vmstate.containers.opening import MAX_LAYERS, Opened, Source, open_input, rewrap
from vmstate.containers.pipes import Pipe
from vmstate.containers.protocol import Buffer, Container, Layer, pieces
from vmstate.containers.registry import CONTAINERS, container, layer, recognise

__all__ = [
    "CONTAINERS",
    "MAX_LAYERS",
    "Buffer",
    "Container",
    "Layer",
    "Opened",
    "Pipe",
    "Source",
    "container",
    "layer",
    "open_input",
    "pieces",
    "recognise",
    "rewrap",
]
