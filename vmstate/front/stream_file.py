"""A stream that was opened: fields read and set by path, and all of it saved in the containers it came in."""

from __future__ import annotations

import io
import operator
import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import IO, Self, TypeAlias

from vmstate.containers import Buffer, Layer, Opened
from vmstate.errors import EncodeError, Finding, StreamError
from vmstate.front.field_values import Value, differing, value_of
from vmstate.front.known import KnownDeclarations, known_meanings
from vmstate.front.stream_section import StreamSection, section_of
from vmstate.outputs import save
from vmstate.stream import Stream
from vmstate.stream.strip import strip
from vmstate.tree import Contents
from vmstate.tree.as_json import Json, to_json
from vmstate.tree.changes import Changes
from vmstate.tree.nodes import is_open
from vmstate.tree.paths import PathError, Place, find, find_one, walk
from vmstate.tree.rebuilt import rebuilt
from vmstate.tree.values import bytes_of_value

Target: TypeAlias = "str | os.PathLike[str] | IO[bytes]"
"""A path ("-" is the standard output) or a binary file."""


class StreamFile:
    """An open stream.  Get one with :func:`vmstate.open`, and close it, or use it in a ``with`` block.

    Fields are items by path: ``stream["cpu[0]/compat.compat_pvr"]`` reads one, assignment sets it, ``del``
    removes a section, subsection or footer.  A path that leads nowhere raises PathError, which is a KeyError;
    a value that does not fit raises EncodeError.  Bytes that no change concerns stay as they are.  A closed
    stream raises ValueError.
    """

    def __init__(self, opened: Opened, stream: Stream, name: str = "", path: str | None = None) -> None:
        self.name = name
        self.opened = opened
        self._path = path
        self._declarations = KnownDeclarations()
        self._contents: Contents | None = Contents(stream, self._declarations)
        self._changes: Changes | None = None
        self._changed: list[tuple[int, int]] = []

    # ---- reading

    @property
    def contents(self) -> Contents:
        """The tree of the stream, with all changes so far in it."""
        self._apply()
        return self._unchanged

    @property
    def stream(self) -> Stream:
        """The stream as the sequence of its items, with all changes so far in it."""
        return self.contents.stream

    @property
    def data(self) -> memoryview:
        """All bytes of the stream, with all changes so far in them and without any container."""
        return self.stream.data

    @property
    def machine(self) -> str | None:
        """The name of the machine type, None if the stream has no configuration section."""
        configuration = self.stream.configuration
        return None if configuration is None else configuration.machine

    @property
    def sections(self) -> tuple[StreamSection, ...]:
        """All sections in stream order."""
        contents = self.contents
        return tuple(section_of(contents, item) for item in contents.stream.sections)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The containers that the stream came in, outermost first."""
        return self.opened.layers

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The problems that were found in the container and in the structure of the stream."""
        return (*self.opened.findings, *self.stream.findings)

    def __getitem__(self, path: str) -> Value:
        place = find_one(self.contents, _text(path))
        return value_of(self.data, place.node)

    def get(self, path: str, default: Value = None) -> Value:
        """Return the value at a path, or ``default`` if nothing is there; PathError if several things are."""
        if path not in self:
            return default
        return self[path]  # not self.get: several things there are an error

    def __contains__(self, path: object) -> bool:
        try:
            return isinstance(path, str) and bool(find(self.contents, path))
        except PathError:
            return False

    def __iter__(self) -> Iterator[str]:
        """Yield the paths of the sections and of everything else at the top of the tree."""
        contents = self.contents
        labels = list(contents.labels.values())
        others = (node.name for node in contents.nodes if node.kind != "section")
        names = Counter(others)
        yield from (node.name for node in contents.nodes if node.kind == "section" or names[node.name] == 1)
        top = {node.name for node in contents.nodes}
        yield from (label for label in labels if label not in top)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def paths(self) -> Iterator[str]:
        """Yield the path of every node of the tree, in stream order."""
        return (place.path for place in walk(self.contents))

    def find(self, path: str) -> tuple[Place, ...]:
        """Return every place that a path may mean, each with its node; PathError if there is none."""
        return tuple(find(self.contents, _text(path)))

    def show(self, path: str | None = None, *, full: bool = False, depth: int | None = None) -> str:
        """Return the text that ``vmstate show`` prints, of the whole stream or of what a path leads to."""
        from vmstate.front.tree_text import tree_lines

        return "\n".join(tree_lines(self, () if path is None else (path,), full=full, depth=depth))

    def to_json(self, *, ram: bool = False, lazily: bool = False) -> Json:
        """Return the stream as a JSON document, from which :func:`vmstate.from_json` makes it again.

        ``ram``: with guest memory in it; otherwise the document refers to the stream for it.  ``lazily``: its
        items are an iterator.
        """
        document = {"file": self.name, **to_json(self.contents, ram=ram, lazily=lazily)}
        document["layers"] = [layer.as_json() for layer in self.layers]
        return document

    # ---- changing

    def __setitem__(self, path: str, value: Value) -> None:
        place = find_one(self._unchanged, _text(path))  # changes that wait do not move anything
        if not is_open(place.node):
            self._set_field(place, value)
            return
        place = find_one(self.contents, path)
        for inner, new in list(differing(self.data, place.node, path, value)):
            self[inner] = new

    def _set_field(self, place: Place, value: Value) -> None:
        span = (place.node.start, place.node.end)
        at = bisect_left(self._changed, span)
        near = self._changed[max(at - 1, 0) : at + 1]
        if any(start < span[1] and span[0] < end for start, end in near):
            self._apply()
        if self._changes is None:
            changes = Changes(self._unchanged, known_meanings())
        else:
            changes = self._changes
        raw = b""
        if not is_open(place.node) and place.node.kind not in ("opaque", "pages"):
            raw = bytes_of_value(place, value, changes.meanings)
            if self._unchanged.stream.data[slice(*span)] == raw:
                return  # it has that value already
        changes.set(place.path, raw, lambda *_: raw)  # PathError if it has no value
        self._changes = changes
        self._changed.insert(bisect_left(self._changed, span), span)
        if not self._changes.plain:
            self._apply()

    def __delitem__(self, path: str) -> None:
        changes = Changes(self.contents, known_meanings())
        changes.remove(_text(path))
        self._finish(changes)

    def add(
        self,
        path: str,
        fields: Mapping[str, Value] | None = None,
        *,
        payload: bytes | None = None,
        version_id: int = 1,
    ) -> None:
        """Add a subsection (``cpu[0]/compat``) by its declaration, or with ``payload`` by its bytes.

        ``fields``: values by name; fields that are not named are zero.  A ``payload`` may also make a new
        section (``foo[0]``).  PathError if the subsection is there already, or no declaration knows it.
        """
        changes = Changes(self.contents, known_meanings())
        if payload is not None:
            if fields:
                raise EncodeError("takes either fields or a payload").inside(path)
            if not isinstance(payload, bytes | bytearray | memoryview):
                raise EncodeError(f"the payload is bytes, not {type(payload).__name__}").inside(path)
            changes.add_bytes(_text(path), operator.index(version_id), bytes(payload))
        elif fields:
            for name, value in fields.items():
                changes.add(f"{path}.{name}", value)
        else:
            changes.add(_text(path))
        self._finish(changes)

    def strip(self) -> None:
        """Make every page of guest memory a zero page."""
        self._replace(strip(self.stream).chunks())

    # ---- writing

    def save(self, target: Target | None = None, *, bare: bool = False) -> int:
        """Write the stream in the containers it came in (``bare``: without them); return the bytes written.

        ``target``: a path, "-" for the standard output, or a binary file; by default the file that was
        opened.  A regular file is replaced once the new one is complete.  A stream without changes is written
        as the very bytes of the file it came in.  Raises StreamError if writing fails, Unsupported for a
        container that cannot be written.
        """
        if self._changes is None:
            data = self.data
            chunks: Iterator[Buffer] = iter([data]) if bare else self.opened.rewrap(data)
        else:  # they need not be applied, which may even be impossible: to a header without its magic
            changed = self._changes.chunks()
            chunks = changed if bare else self.opened.rewrap(changed)
        if target is None and self._path is None:
            raise ValueError("this stream does not come from a file: give a path to save it to")
        if target is None or isinstance(target, str | os.PathLike):
            return save(self._path if target is None else target, chunks)  # type: ignore[arg-type]
        return _write(target, chunks)

    # ---- closing

    def close(self) -> None:
        """Let go of the file.  Changes that were not saved are lost."""
        if self._contents is not None:
            self._contents = self._changes = None
            self.opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._contents is None:
            return f"<StreamFile {self.name!r}, closed>"
        return f"<StreamFile {self.name!r}: {self.machine}, {len(self.stream.sections)} sections>"

    # ---- changes that wait

    @property
    def _unchanged(self) -> Contents:
        """The tree without the changes that wait to be applied."""
        if self._contents is None:
            raise ValueError("the stream is closed")
        return self._contents

    def _apply(self) -> None:
        """Apply the changes that wait."""
        if self._changes is not None:
            self._finish(self._changes)

    def _finish(self, changes: Changes) -> None:
        self._replace(changes.chunks())

    def _replace(self, chunks: Iterator[Buffer]) -> None:
        """Go on with another stream in the place of this one."""
        self._contents = rebuilt(chunks, self._declarations, self.opened.origin or 0)
        self._changes = None
        self._changed.clear()


def _text(path: object) -> str:
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    return path


def _write(file: IO[bytes], chunks: Iterator[Buffer]) -> int:
    _check_target(file)
    size = 0
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:  # a raw file may take less than it is given
                rest = rest[file.write(rest) or len(rest) :]
            size += len(chunk)
    except OSError as error:
        name = getattr(file, "name", "the given file")
        raise StreamError(f"cannot write {name}: {error.strerror or error}") from error
    return size


def _check_target(file: object) -> None:
    if isinstance(file, io.TextIOBase) or not hasattr(file, "write"):
        kind = type(file).__name__
        raise TypeError(f"a stream is saved to a path or to a file in binary mode, not {kind}")
