"""Schemas that were read out of real programs (fixtures/schemas), and what is compared of schemas."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path

import zstandard

from vmstate.schema import Description, Schema, schema_from_json

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "schemas"
RELEASES = ("5.2", "7.2", "10.0", "11.1")


@cache
def real_schema(release: str) -> Schema:
    """The descriptions in Debian's qemu-system-ppc64 of a release."""
    packed = (FOLDER / f"qemu-system-ppc64-{release}.json.zst").read_bytes()
    return schema_from_json(zstandard.decompress(packed))


def without_symbols(value):
    """Return a schema or a part of it without the names that a stripped program has not."""
    if isinstance(value, tuple):
        return tuple(map(without_symbols, value))
    if not is_dataclass(value):
        return value
    changes = {f.name: without_symbols(getattr(value, f.name)) for f in fields(value)}
    for name in ("exists", "info", "symbol"):
        if name in changes:
            changes[name] = None
    if "struct_size" in changes:
        changes["hooks"] = ()
    return replace(value, **changes)


def plain(schema: Schema) -> dict[str, Description]:
    """Return the descriptions by label, without symbols."""
    return {label: without_symbols(one) for label, one in schema.descriptions.items()}
