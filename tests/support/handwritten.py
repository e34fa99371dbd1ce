"""Streams with bytes that QEMU writes by hand, and their fields written again."""

from __future__ import annotations

from functools import cache

from tests.support import corpus
from vmstate.describe import Node, WireArray
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.as_json import leaf_bytes


@cache
def contents_of(name: str) -> Contents:
    return Contents(open_stream(corpus.load(name)))


def encoded(node: Node) -> bytes:
    """Write a leaf again from its value."""
    if isinstance(node.value, bytes | memoryview):
        return bytes(node.value)
    if isinstance(node.value, WireArray):
        return bytes(node.value.raw)
    return leaf_bytes(node.type, node.end - node.start, node.value)
