"""Streams with bytes that QEMU writes by hand, and their fields written again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import corpus
from vmstate import open as open_file
from vmstate.describe import Node, WireArray
from vmstate.stream import open_stream
from vmstate.tree import Contents
from vmstate.tree.as_json import leaf_bytes

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
Facts = dict[str, Any]


def recordings(folder: str) -> list[str]:
    """Return the names of the answers of real QEMUs in a folder of fixtures."""
    return sorted(path.stem for path in (FIXTURES / folder).glob("*.json"))


@cache
def recorded(folder: str, name: str) -> Facts:
    found: Facts = json.loads((FIXTURES / folder / f"{name}.json").read_text())
    return found


@cache
def captured(folder: str, name: str) -> bytes:
    """Return the stream beside the answers."""
    return bytes(open_file(FIXTURES / folder / f"{name}.mig.zst").data)


@cache
def guest(name: str) -> Contents:
    """Return the stream of one of ``fixtures/guests``."""
    return Contents(open_stream(captured("guests", name)))


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
