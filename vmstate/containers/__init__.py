"""What a stream comes wrapped in: compression, libvirt's save image, one within another.

    with open_input("guest.save") as opened:
        opened.data      # the QEMU stream
        opened.layers    # what was around it
        save("copy.save", opened.rewrap(changed_stream))

A container damaged or cut short is no error: what could be taken out is there, and ``findings`` tells.
"""

from __future__ import annotations

from vmstate.containers.opening import MAX_LAYERS, Opened, Source, open_input, rewrap
from vmstate.containers.pipes import Pipe
from vmstate.containers.protocol import Buffer, Container, Layer, pieces
from vmstate.containers.registry import CONTAINERS, container, layer, recognise
from vmstate.containers.saving import save

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
    "save",
]
