"""Streams opened from files, pipes and bytes, or made from a JSON document."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from typing import IO, Any, TypeAlias

from vmstate.containers import Buffer, open_input
from vmstate.errors import naming
from vmstate.front.known import KnownDeclarations
from vmstate.front.stream_file import StreamFile
from vmstate.stream import open_stream
from vmstate.stream.opening import open_wrapped
from vmstate.tree.as_json import JsonError
from vmstate.tree.as_json import from_json as bytes_from_json
from vmstate.tree.measuring import Measured

Source: TypeAlias = "str | os.PathLike[str] | Buffer | IO[bytes]"
"""A path ("-" is the standard input), bytes, or a binary file, which need not be seekable."""


def open_stream_file(source: Source, *, limit: int | None = None, whole: bool = True) -> StreamFile:
    """Open a stream: a path ("-" is the standard input), bytes, or a binary file, in any containers.

    ``limit``: the most bytes to read from a pipe or to decompress.  With ``whole`` False, guest memory of
    a bare stream that comes through a pipe is not kept, which saves room; such a stream cannot be saved.
    Raises StreamError if it cannot be read or is not a migration stream, TooLarge beyond the limit,
    Unsupported for a container that cannot be decompressed here.
    """
    _check_source(source)
    with naming(source):
        return _open_stream_file(source, limit, whole=whole)


def open_without_pages(source: str, *, limit: int | None = None) -> StreamFile:
    """Open a stream of which no page is looked at: of a large compressed one only their places are kept.

    Of a bare stream that comes through a pipe, not even those.  It raises what :func:`open_stream_file` does.
    """
    with naming(source):
        return _open_stream_file(source, limit, whole=False, contents=False)


def _open_stream_file(source: Source, limit: int | None, *, whole: bool, contents: bool = True) -> StreamFile:
    resolver = Measured(KnownDeclarations())
    if isinstance(source, str | os.PathLike):
        opened, stream = open_wrapped(source, resolver, limit=limit, whole=whole, contents=contents)
        path = None if source == "-" else os.fspath(source)
        return StreamFile(opened, stream, os.fspath(source), path)
    opened = open_input(source, limit=limit)
    name = "bytes" if isinstance(source, Buffer) else str(getattr(source, "name", "a file"))
    return StreamFile(opened, open_stream(opened.data, resolver, opened.origin or 0), name)


def _check_source(source: object) -> None:
    readable = hasattr(source, "read") and not isinstance(source, io.TextIOBase)
    if not (isinstance(source, str | os.PathLike | Buffer) or readable):
        kind = type(source).__name__
        raise TypeError(f"a stream is opened from a path, bytes or a file in binary mode, not {kind}")


def from_json(
    document: Mapping[str, Any] | str | bytes, source: Source | StreamFile | None = None
) -> StreamFile:
    """Make a stream from a document of :meth:`StreamFile.to_json`, or from its text.

    ``source``: the stream that the document was made from, needed if it refers to guest memory.  Raises
    JsonError if the document is not one, EncodeError if a value does not fit.
    """
    if isinstance(document, str | bytes):
        try:
            document = json.loads(document)
        except ValueError as error:
            raise JsonError(f"not JSON: {error}") from None
    if not isinstance(document, Mapping):
        raise JsonError("the document is not a JSON object")
    if source is None or isinstance(source, StreamFile):
        data = None if source is None else source.data
        return open_stream_file(bytes_from_json(dict(document), data))
    with open_stream_file(source) as stream:
        return from_json(document, stream)
