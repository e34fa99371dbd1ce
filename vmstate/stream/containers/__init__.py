"""What a stream comes wrapped in: compression, libvirt's save image, one within another.

    with open_input("guest.save") as opened:
        opened.data      # the QEMU stream
        opened.layers    # what was around it
        save("copy.save", opened.rewrap(changed_stream))

A container damaged or cut short is no error: what could be taken out is there, and ``findings`` tells.
"""

from __future__ import annotations

from vmstate.stream.containers.opening import MAX_LAYERS, Opened, Source, open_input, rewrap
from vmstate.stream.containers.pipes import Pipe
from vmstate.stream.containers.protocol import Buffer, Container, Layer, pieces
from vmstate.stream.containers.registry import CONTAINERS, container, layer, recognise
from vmstate.stream.containers.saving import save

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
