"""A stream as JSON, and back: the bytes can be rebuilt from the document alone.

Each node is ``{"name", "type", "offset", "size"}`` with either ``fields`` (the nodes inside, in wire order)
or a ``value``; rows of uniform structs are ``columns``, ``widths`` and ``rows``.  Where a value does not
determine the bytes (a bool of 2, a buffer), ``base64`` has them.  Guest memory, and large amounts of bytes
that nothing describes, are given by their offset and size (``elsewhere``), unless they are asked for; such a
document needs the stream it came from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.describe.infos import LITTLE
from vmstate.errors import EncodeError, VmstateError, quantity
from vmstate.stream.wire import bytes_of
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import is_open, marker

Json = dict[str, Any]
_TEXT_LIMIT = 1 << 24
_LONGEST_NUMBER, _LONGEST_BITMAP = 64, 64 << 10  # bytes; a document may claim any size
_MOST_OPAQUE = 1 << 20


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
    found = _head(node)
    if node.kind in ("section", "subsection"):
        found["kind"] = node.kind
        if node.version_id is not None:
            found["version_id"] = node.version_id
    if isinstance(node.value, WireRecords):
        return {**found, **_rows(node.value)}
    if is_open(node):
        inner = [node_json(contents, child, ram=ram) for child in _filled(node)]
        return {**found, "fields": inner}
    if node.kind in ("pages", "opaque") and ram:
        return {**found, **_leaf(node, contents.stream.data[node.start : node.end])}
    return {**found, **_alone(contents, node)}


def summary_json(contents: Contents, node: Node) -> Json:
    """Return one node alone, without what is inside it; an array of structs has its ``count`` only."""
    found = {**_head(node), "kind": node.kind}
    if node.version_id is not None:
        found["version_id"] = node.version_id
    if isinstance(node.value, WireRecords):
        return {**found, "count": len(node.value)}
    return found if is_open(node) else {**found, **_alone(contents, node)}


def _head(node: Node) -> Json:
    size = node.end - node.start
    return {"name": node.name, "type": node.type, "offset": node.start, "size": size}


def _alone(contents: Contents, node: Node) -> Json:
    size = node.end - node.start
    if node.kind == "pages":
        return {"value": str(node.value), "elsewhere": True}
    if node.kind == "opaque" and size > _MOST_OPAQUE:
        return {"value": quantity(size, "byte"), "elsewhere": True}
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
    if "?" in records.item.format and b"".join(records.item.pack(*row) for row in rows) != records.raw:
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
        whole = _number(value, size, _LONGEST_BITMAP)
        raw = b"".join(whole[at : at + 8] for at in range(size - 8, -1, -8))
    elif kind in LITTLE:
        raw = _number(value, size)[::-1]
    else:
        raw = _number(value, size)
    if len(raw) != size:
        raise EncodeError(f"{value!r} takes {quantity(len(raw), 'byte')}, its field has {size}")
    return raw


def _number(value: int, size: int, most: int = _LONGEST_NUMBER) -> bytes:
    if not isinstance(value, int):
        raise EncodeError(f"{value!r:.60} is not an integer")
    if size > most:
        raise EncodeError(f"a number has at most {most} bytes, its field {size}: give base64")
    try:
        return int(value).to_bytes(size, "big", signed=value < 0)
    except OverflowError:
        raise EncodeError(f"{value!r} does not fit {quantity(size, 'byte')}") from None


def from_json(document: Json, source: memoryview | bytes | None = None) -> bytes:
    """Return the bytes of the stream that a document describes.

    ``source``: the stream that the document was made from, if it refers to guest memory.  Raises JsonError if
    the document is not that of a stream, EncodeError if a value does not fit; the message has the path.
    """
    return b"".join(pieces_from_json(document, source))


def pieces_from_json(
    document: Json, source: memoryview | bytes | None = None
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the stream that a document describes, in order; see :func:`from_json`."""
    stream = document.get("stream")
    if not isinstance(stream, dict) or not isinstance(stream.get("items"), list):
        raise JsonError("the document has no stream.items")
    for index, item in enumerate(stream["items"]):
        yield from _bytes_of_node(item, source, "", f"stream.items[{index}]")


def references(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield the nodes of a document that refer to the stream it was made from, each with its path."""
    stream = document.get("stream")
    for item in stream.get("items", ()) if isinstance(stream, dict) else ():
        yield from _references(item, "")


def _references(node: Any, around: str) -> Iterator[tuple[str, Json]]:
    if not isinstance(node, dict):
        return
    path = _joined(around, node)
    if node.get("elsewhere"):
        yield path, node
    inner = node.get("fields")
    for child in inner if isinstance(inner, list) else ():
        yield from _references(child, path)


def _joined(around: str, node: Json) -> str:
    name = str(node.get("name", "?"))
    if not around:
        return name
    if node.get("kind") == "subsection":
        return f"{around}/{name.rpartition('/')[2]}"
    return f"{around}{name}" if name.startswith("[") else f"{around}.{name}"


def _bytes_of_node(
    node: Any, source: memoryview | bytes | None, around: str, place: str
) -> Iterator[bytes | memoryview]:
    """Yield the bytes of one node; ``place`` is where it is in the document, if it has no name."""
    if not isinstance(node, dict):
        raise JsonError(f"{around or place}: not a node: {node!r:.60}")
    path = _joined(around, node) if "name" in node else around or place
    try:
        size = 0
        for piece in _pieces(node, source, path):
            size += len(piece)
            yield piece
        if size != node["size"]:
            raise JsonError(
                f"{path}: what is in it has {quantity(size, 'byte')}, its size is {node['size']!r}"
            )
    except EncodeError as error:
        raise error if error.path else error.inside(path) from None
    except KeyError as missing:
        raise JsonError(f"{path}: has no {missing}") from None
    except (TypeError, ValueError) as error:
        raise JsonError(f"{path}: {error}") from None


def _pieces(node: Json, source: memoryview | bytes | None, path: str) -> Iterator[bytes | memoryview]:
    if "fields" in node:
        if not isinstance(node["fields"], list):
            raise JsonError(f"{path}: fields is not a list")
        for index, inner in enumerate(node["fields"]):
            yield from _bytes_of_node(inner, source, path, f"{path}.fields[{index}]")
    elif "base64" in node:
        yield base64.b64decode(node["base64"], validate=True)
    elif "rows" in node:
        for index, row in enumerate(node["rows"]):
            try:
                yield _row(row, node["widths"])
            except (EncodeError, ValueError, TypeError) as error:
                raise JsonError(f"{path}[{index}]: {error}") from None
    elif node.get("elsewhere"):
        yield _elsewhere(node, source, path)
    elif node["size"]:
        yield leaf_bytes(node["type"], node["size"], node["value"])


def _elsewhere(node: Json, source: memoryview | bytes | None, path: str) -> bytes | memoryview:
    if source is None:
        message = "guest memory is not in the document: give the stream it came from"
        raise JsonError(f"{path}: {message}")
    found = source[node["offset"] : node["offset"] + node["size"]]
    if len(found) != node["size"]:
        raise JsonError(f"{path}: the given stream does not have these bytes")
    return found
