"""A stream built from its JSON document, checked against the stream that the document refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vmstate.front.stream_file import StreamFile
from vmstate.tree.as_json import Json, JsonError, pieces_from_json, references
from vmstate.tree.nodes import is_open
from vmstate.tree.paths import walk


def document_of(answer: object) -> Json:
    """Return the document in what ``show --json`` printed, or as :meth:`StreamFile.to_json` has it."""
    if not isinstance(answer, Mapping):
        raise JsonError("the document is not a JSON object")
    inner = answer.get("result", answer)
    if not isinstance(inner, Mapping) or "stream" not in inner:
        message = "there is no stream in the document: it is made by vmstate show STREAM --json, without PATH"
        raise JsonError(message)
    return dict(inner)


def source_of(document: Json) -> str | None:
    """Return the name of the file that the document was made from; None if it came from a pipe."""
    file = document.get("file")
    return file if isinstance(file, str) and file not in ("", "-") else None


def refers(document: Json) -> bool:
    """Return True if the document needs the stream that it was made from."""
    return next(references(document), None) is not None


def built(document: Json, source: StreamFile | None) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the stream that a document describes.

    Raises JsonError if the document is not that of a stream, or refers to what ``source`` does not have where
    the document says; EncodeError for a value that does not fit.  Both name the place.
    """
    if source is not None:
        _check_references(document, source)
    yield from pieces_from_json(document, None if source is None else source.data)


def _check_references(document: Json, source: StreamFile) -> None:
    wanted = list(references(document))
    if not wanted:
        return
    there: dict[tuple[Any, Any], str | None] = {}
    for place in walk(source.contents):
        node = place.node
        if not is_open(node) and node.kind in ("pages", "opaque"):
            there[node.start, node.end - node.start] = str(node.value) if node.kind == "pages" else None
    for path, one in wanted:
        span, value = (one.get("offset"), one.get("size")), one.get("value")
        if span not in there or there[span] not in (None, value):
            found = f"{there[span]!r}" if span in there else "something else"
            message = f"the document has {value!r} at offset {span[0]}, {source.name} has {found}"
            raise JsonError(f"{path}: {message}: it is not the stream that the document was made from")
