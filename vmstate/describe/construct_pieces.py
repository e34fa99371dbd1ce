"""Pieces that `construct` lacks: null markers, bitmaps, marked queues, trees, version windows."""

from __future__ import annotations

from typing import Any

import construct
from construct import Adapter, Construct, Container, ListContainer, Subconstruct

from vmstate.describe.description import VMStateDescription
from vmstate.describe.history import settled
from vmstate.describe.infos import NULL_MARKER, VALID_MARKER


class Scope:
    """The known part of a state: the values read so far (or to be built), then the local object."""

    __slots__ = ("_ctx",)

    def __init__(self, ctx: Container) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        ctx = self._ctx
        for known in (ctx, *reversed(ctx.get("_seen", ()))):
            if known.get(name) is not None:
                return known[name]
        return getattr(ctx.get("_local"), name)


class Window(Construct):
    """No bytes: the version must be in the description's window (vmstate_load_state)."""

    def __init__(self, vmsd: VMStateDescription, version_id: int) -> None:
        super().__init__()
        self.flagbuildnone = True
        self._vmsd, self._version_id = vmsd, version_id

    def _parse(self, stream: Any, context: Container, path: str) -> None:
        oldest, newest = settled(self._vmsd.minimum_version_id), settled(self._vmsd.version_id)
        if not oldest <= self._version_id <= newest:
            message = f"{self._vmsd.name}: version {self._version_id} is not within {oldest}..{newest}"
            raise construct.CheckError(message, path=path)

    def _build(self, obj: Any, stream: Any, context: Container, path: str) -> None:
        return None

    def _sizeof(self, context: Container, path: str) -> int:
        return 0


class Uncompiled(Subconstruct):
    """A piece that asks the context through a function: ``compile`` leaves it as it is."""

    # construct links what has no _emitparse and _emitbuild into the compiled code.


class Number(construct.FormatField):
    """A big-endian number.  Compiled, it raises construct's own errors too."""

    def _emitparse(self, code: Any) -> str:
        name = f"number_{code.allocateId()}"
        code.append(f"{name} = struct.Struct({self.fmtstr!r})")
        return f"{name}.unpack(stream_read(io, {self.length}, '(compiled)'))[0]"

    def _emitbuild(self, code: Any) -> str:
        name = f"number_{code.allocateId()}"
        code.append(f"""
            def {name}(obj, io, pack=struct.Struct({self.fmtstr!r}).pack):
                try:
                    io.write(pack(obj))
                except struct.error as why:
                    raise FormatFieldError(str(why))
                return obj
        """)
        return f"{name}(obj, io)"


class Numbers(construct.Array):
    """An array of numbers with a fixed count.  Compiled, it is built as before, which checks its length."""

    def _emitbuild(self, code: Any) -> str:
        raise NotImplementedError


class Null(Adapter):
    """The marker of a null pointer, as None."""

    def __init__(self) -> None:
        super().__init__(construct.Const(NULL_MARKER, construct.Byte))

    def _decode(self, obj: int, context: Container, path: str) -> None:
        return None

    def _encode(self, obj: None, context: Container, path: str) -> int:
        return NULL_MARKER


class Maybe(Subconstruct):
    """A marker, and an element if the marker announces one; else None (vmstate_ptr_marker_load)."""

    def _parse(self, stream: Any, context: Container, path: str) -> Any:
        marker = construct.Byte._parse(stream, context, path)  # noqa: SLF001
        if marker not in (NULL_MARKER, VALID_MARKER):
            raise construct.CheckError(f"{marker:#x} is not a pointer's marker", path=path)
        return None if marker == NULL_MARKER else self.subcon._parse(stream, context, path)  # noqa: SLF001

    def _build(self, obj: Any, stream: Any, context: Container, path: str) -> Any:
        stream.write(bytes([NULL_MARKER if obj is None else VALID_MARKER]))
        return None if obj is None else self.subcon._build(obj, stream, context, path)  # noqa: SLF001


class Words(Adapter):
    """64-bit words, lowest first, as one number: a bitmap whose bit i has the value 2**i."""

    def _decode(self, obj: list[int], context: Container, path: str) -> int:
        return sum(word << 64 * i for i, word in enumerate(obj))

    def _encode(self, obj: int, context: Container, path: str) -> list[int]:
        return [obj >> 64 * i & (1 << 64) - 1 for i in range(self.subcon.count(context))]


class Marked(Subconstruct):
    """A byte 1 before each element, a byte 0 at the end."""

    def _parse(self, stream: Any, context: Container, path: str) -> ListContainer:
        elements = ListContainer()
        while construct.Flag._parse(stream, context, path):  # noqa: SLF001
            elements.append(self.subcon._parse(stream, context, path))  # noqa: SLF001
        return elements

    def _build(self, obj: Any, stream: Any, context: Container, path: str) -> Any:
        for element in obj:
            stream.write(b"\1")
            self.subcon._build(element, stream, context, path)  # noqa: SLF001
        stream.write(b"\0")
        return obj


class Counted(Adapter):
    """A marked queue after its length, which must be right (get_gtree)."""

    def __init__(self, nodes: Construct) -> None:
        count = construct.Rebuild(construct.Int32ub, lambda ctx: len(ctx["nodes"]))
        super().__init__(construct.Struct("count" / count, "nodes" / nodes))

    def _decode(self, obj: Container, context: Container, path: str) -> list[Any]:
        if obj["count"] != len(obj["nodes"]):
            message = f"the count is {obj['count']}, but there are {len(obj['nodes'])} nodes"
            raise construct.CheckError(message, path=path)
        return list(obj["nodes"])

    def _encode(self, obj: list[Any], context: Container, path: str) -> dict[str, Any]:
        return {"nodes": obj}


class Known(Subconstruct):
    """Gives a nested description the local object that ``child`` finds for it."""

    def __init__(self, subcon: Construct, child: Any) -> None:
        super().__init__(subcon)
        self._child = child

    def _parse(self, stream: Any, context: Container, path: str) -> Any:
        context["_next"] = self._child(context)
        return self.subcon._parse(stream, context, path)  # noqa: SLF001

    def _build(self, obj: Any, stream: Any, context: Container, path: str) -> Any:
        context["_next"] = self._child(context)
        return self.subcon._build(obj, stream, context, path)  # noqa: SLF001
