"""Differences between the streams of one machine without and with a proposal, by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vmstate.stream import Stream, open_stream


def differing(before: bytes | memoryview, after: bytes | memoryview) -> tuple[str, ...]:
    """Return the subsections that are new (+) or gone (-), and the sections whose other bytes differ."""
    streams = open_stream(before), open_stream(after)
    old, new = (dict(_payloads(stream)) for stream in streams)
    old_parts, new_parts = (set(_subsections(stream)) for stream in streams)
    found = [f"+ {part}" for part in sorted(new_parts - old_parts)]
    found += [f"- {part}" for part in sorted(old_parts - new_parts)]
    explained = {part.partition(" in ")[2] for part in new_parts ^ old_parts}
    changed = {name for (name, _), payload in new.items() if old.get((name, _)) != payload}
    changed |= {name for name, _ in old.keys() - new.keys()}
    return (*found, *(f"other bytes in {name}" for name in sorted(changed - explained)))


def _payloads(stream: Stream) -> Iterator[tuple[tuple[str, int], bytes]]:
    for section in stream.devices:
        payload = bytes(stream.data[section.payload_start : section.payload_end])
        yield (section.idstr, section.instance_id), payload


def _subsections(stream: Stream) -> Iterator[str]:
    described: Any = stream.vmdesc.json if stream.vmdesc is not None else {}
    for device in described.get("devices", ()):
        yield from (f"{name} in {device['name']}" for name in _names(device))


def _names(described: Any) -> Iterator[str]:
    for part in described.get("subsections", ()):
        yield part["vmsd_name"]
        yield from _names(part)
    for member in described.get("fields", ()):
        if isinstance(member.get("struct"), dict):
            yield from _names(member["struct"])
