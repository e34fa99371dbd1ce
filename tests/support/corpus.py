"""The captured streams, unpacked once."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

STREAMS = Path(__file__).resolve().parents[2] / "streams"


@cache
def manifest() -> dict[str, dict[str, Any]]:
    lines = (STREAMS / "manifest.jsonl").read_text().splitlines()
    return {row["name"]: row for row in map(json.loads, lines)}


LONG = "x86_64-q35-dirty-bitmaps"
"""A stream of a hundred thousand sections, read only by its own test."""


def names(*, described: bool | None = None) -> list[str]:
    """Return all streams but the long one, or only those with (without) a vmdescription."""
    found = sorted(set(manifest()) - {LONG})
    if described is None:
        return found
    return [name for name in found if is_described(name) == described]


def is_described(name: str) -> bool:
    return not name.endswith(("-pseries-2.1", "-no-vmdesc", "-postcopy-active"))


def path(name: str) -> Path:
    """The file of a stream, compressed."""
    return STREAMS / f"{name}.mig.zst"


@cache
def load(name: str) -> bytes:
    packed = path(name).read_bytes()
    return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


SMALL = ["x86_64-microvm", "i386-isapc", "x86_64-pc-1.4-old", "x86_64-q35-x-ignore-shared"]
VARIED = [
    "2.9.1-pseries-2.9",
    "5.2-pseries-2.1",
    "7.2-devices",
    "7.2-no-vmdesc",
    "10.0-ppc64-pseries-postcopy",
    "11.1-booted-power10",
    "x86_64-q35",
    "x86_64-pc-block-migration",
    "aarch64-virt-postcopy",
]
