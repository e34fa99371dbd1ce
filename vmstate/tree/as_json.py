"""A stream as JSON, and back: the bytes can be rebuilt from the document alone.

Each node is ``{"name", "type", "offset", "size"}`` with either ``fields`` (the nodes inside, in wire order)
or a ``value``; rows of uniform structs are ``columns``, ``widths`` and ``rows``.  Where a value does not
determine the bytes (a bool of 2, a buffer), ``base64`` has them.  Guest memory is given by its offset and
size only, unless it is asked for; such a document needs the stream it came from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.errors import EncodeError, VmstateError
from vmstate.stream.wire import bytes_of
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import counted, is_open, marker

Json = dict[str, Any]
_TEXT_LIMIT = 1 << 24


class JsonError(VmstateError):
    """A document is not the JSON of a stream; the message names the node."""


def to_json(contents: Contents, *, ram: bool = False, lazily: bool = False) -> Json:
    """Return the whole stream as a document; ``ram``: with guest memory in it.

    ``lazily``: the items are an iterator, which makes each when it is asked for.
    """
    nodes = (node_json(contents, node, ram=ram) for node in contents.nodes)
    return {"stream": {"size": len(contents.stream.data), "items": nodes if lazily else list(nodes)}}


def node_json(contents: Contents, node: Node, *, ram: bool = False) -> Json:
    """Return one node and everything inside it."""
    size = node.end - node.start
    found: Json = {"name": node.name, "type": node.type, "offset": node.start, "size": size}
    if node.kind in ("section", "subsection"):
        found["kind"] = node.kind
        if node.version_id is not None:
            found["version_id"] = node.version_id
    if isinstance(node.value, WireRecords):
        return {**found, **_rows(node.value)}
    if is_open(node):
        inner = [node_json(contents, child, ram=ram) for child in _filled(node)]
        return {**found, "fields": inner}
    if node.kind == "pages" and ram:
        return {**found, **_leaf(node, contents.stream.data[node.start : node.end])}
    return {**found, **_alone(contents, node)}


def summary_json(contents: Contents, node: Node) -> Json:
    """Return one node alone, without what is inside it; an array of structs has its ``count`` only."""
    found: Json = {
        "name": node.name,
        "type": node.type,
        "offset": node.start,
        "size": node.end - node.start,
        "kind": node.kind,
    }
    if node.version_id is not None:
        found["version_id"] = node.version_id
    if isinstance(node.value, WireRecords):
        return {**found, "count": len(node.value)}
    return found if is_open(node) else {**found, **_alone(contents, node)}


def _alone(contents: Contents, node: Node) -> Json:
    if node.kind == "pages":
        return {"value": str(node.value), "elsewhere": True}
    return _leaf(node, contents.stream.data[node.start : node.end])


def _filled(node: Node) -> Iterator[Node]:
    at = node.start
    for child in node.children:
        if child.start > at:
            yield marker(at, child.start)
        yield child
        at = max(at, child.end)
    if node.end > at:
        yield marker(at, node.end)


def _rows(records: WireRecords) -> Json:
    widths = [WireArray(code, b"").width for code in records.item.format.lstrip(">")]
    rows = [list(row) for row in records.item.iter_unpack(records.raw)]
    found: Json = {"columns": list(records.names), "widths": widths, "rows": rows}
    if "?" in records.item.format and b"".join(_row(row, widths) for row in rows) != records.raw:
        found["base64"] = base64.b64encode(records.raw).decode()
    return found


def _row(row: list[Any], widths: list[int]) -> bytes:
    return b"".join(_number(value, width) for value, width in zip(row, widths, strict=True))


def _leaf(node: Node, raw: memoryview) -> Json:
    value = _value(node)
    if isinstance(node.value, WireArray) and node.value.code != "?" and node.value.raw == raw:
        return {"value": value}  # numbers that were read from these very bytes
    try:
        if value is not None and leaf_bytes(node.type, len(raw), value) == raw:
            return {"value": value}
    except EncodeError:
        pass
    found: Json = {"base64": base64.b64encode(raw).decode()}
    if value is not None:
        found["value"] = value
    return found


def _value(node: Node) -> Any:
    value = node.value
    if isinstance(value, WireArray):
        return list(value)
    if isinstance(value, tuple) and all(isinstance(part, int) for part in value):
        return list(value)
    if node.type == "json" and node.end - node.start > _TEXT_LIMIT:
        return None
    return value if isinstance(value, bool | int | str) else None


def leaf_bytes(kind: str, size: int, value: Any) -> bytes:
    """Return the ``size`` bytes of a value of a wire type; EncodeError if it does not fit."""
    if isinstance(value, str):
        raw = bytes_of(value)
        if kind in ("counted text", "capability"):
            raw = bytes([min(len(raw), 255)]) + raw
    elif isinstance(value, list):
        width = size // len(value) if value else 0
        raw = b"".join(_number(part, width) for part in value)
    elif kind == "bitmap":
        whole = _number(value, size)
        raw = b"".join(whole[at : at + 8] for at in range(size - 8, -1, -8))
    else:
        raw = _number(value, size)
    if len(raw) != size:
        raise EncodeError(f"{value!r} takes {counted(len(raw), 'byte')}, its field has {size}")
    return raw


def _number(value: int, size: int) -> bytes:
    try:
        return int(value).to_bytes(size, "big", signed=value < 0)
    except (OverflowError, TypeError, ValueError):
        raise EncodeError(f"{value!r} does not fit {counted(size, 'byte')}") from None


def from_json(document: Json, source: memoryview | bytes | None = None) -> bytes:
    """Return the bytes of the stream that a document describes.

    ``source``: the stream that the document was made from, if it refers to guest memory.  Raises JsonError if
    the document is not that of a stream, EncodeError if a value does not fit.
    """
    stream = document.get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("items"), list):
        raise JsonError("the document has no stream.items")
    parts: list[bytes] = []
    for item in stream["items"]:
        parts += _bytes_of_node(item, source)
    return b"".join(parts)


def _bytes_of_node(node: Any, source: memoryview | bytes | None) -> Iterator[bytes]:
    if not isinstance(node, dict):
        raise JsonError(f"not a node: {node!r:.60}")
    try:
        if "fields" in node:
            for inner in node["fields"]:
                yield from _bytes_of_node(inner, source)
        elif "base64" in node:
            yield base64.b64decode(node["base64"], validate=True)
        elif "rows" in node:
            for row in node["rows"]:
                yield _row(row, node["widths"])
        elif node.get("elsewhere"):
            yield _elsewhere(node, source)
        elif node["size"]:
            yield leaf_bytes(node["type"], node["size"], node["value"])
    except (KeyError, TypeError, ValueError) as error:
        raise JsonError(f"{node.get('name')}: {error}") from None


def _elsewhere(node: Json, source: memoryview | bytes | None) -> bytes:
    if source is None:
        message = "guest memory is not in the document: give the stream it came from"
        raise JsonError(f"{node['name']}: {message}")
    found = bytes(source[node["offset"] : node["offset"] + node["size"]])
    if len(found) != node["size"]:
        raise JsonError(f"{node['name']}: the given stream does not have these bytes")
    return found
