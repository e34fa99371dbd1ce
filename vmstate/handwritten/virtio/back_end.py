"""The state of a vhost-user back end, which QEMU passes on (hw/virtio/vhost.c ``vhost_save_backend_state``).

It comes in chunks, each after its size, and a size of 0 at the end.
"""

from __future__ import annotations

from typing import Any

from vmstate.describe import Buffer, Cursor, Field, Node, Record, UInt32, VMStateDescription
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.virtio.part import Listed, exactly

_CHUNK = VMStateDescription("chunk", fields=[UInt32("size"), Buffer("data", "size")])
_SIZE = 4


class _BackEnd(Listed):
    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> list[Any]:
        if cur.judge:
            raise cur.unknown("the state of a vhost-user back end is not modelled")
        return super().get(cur, field, state, size, old)


def _back_end(name: str, kind: str) -> Field:
    return Field(name, _BackEnd(kind, _CHUNK, _SIZE))


def _needed(card: Any) -> bool:
    """Return False: no device that is modelled has such a back end."""
    return False


#: Of a network card whose back end can send its state (VHOST_USER_PROTOCOL_F_DEVICE_STATE).
NET_BACK_END = VMStateDescription(
    "virtio-net-device/backend",
    0,
    needed=_needed,
    fields=[_back_end("backend", "virtio-net vhost-user backend state")],
)
_FS = "virtio-fs back-end state"
_FS_BACK_END = VMStateDescription("back-end", fields=[_back_end("chunks", "chunks")])


def _read(data: memoryview, start: int, end: int) -> list[Node]:
    found = exactly(_FS_BACK_END, Record(), data, start, end)
    if found is None:
        raise StreamError("not chunks until one of size 0", offset=start)
    return found.nodes


FS_BACK_END = Content(_FS, _read)
