"""The containers that this machine can test."""

from __future__ import annotations

import shutil

import pytest

from vmstate.containers import Layer, layer
from vmstate.containers.libvirt import save_image

HAS_LZOP = shutil.which("lzop") is not None
COMPRESSIONS = ["gzip", "bzip2", "xz", "zstd", *(["lzop"] if HAS_LZOP else [])]
needs_lzop = pytest.mark.skipif(not HAS_LZOP, reason="the lzop program is not installed")

XML = b"<domain type='kvm'><name>guest</name></domain>"


def nested(*names: str) -> list[Layer]:
    """Return nested layers of these kinds, outermost first; each save image names its content."""
    return [_layer(name, inner) for name, inner in zip(names, (*names[1:], "raw"), strict=False)]


def _layer(name: str, inner: str) -> Layer:
    if name != "libvirt":
        return layer(name)
    image = save_image(XML, format_name=inner, data_len=100)
    return Layer("libvirt", image)
