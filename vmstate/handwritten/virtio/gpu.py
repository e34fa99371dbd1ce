"""A graphics card's pictures and screens (hw/display/virtio-gpu.c ``virtio_gpu_save``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vmstate.describe import (
    Buffer,
    Field,
    Int32,
    Node,
    Record,
    Since,
    Struct,
    UInt32,
    UInt32Equal,
    UInt64,
    Until,
    Unused,
    VMStateDescription,
)
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.virtio.names import FORMATS
from vmstate.handwritten.virtio.part import Listed, exactly
from vmstate.handwritten.virtio.state import NEWEST

TYPE = "virtio-gpu"
_MOST = 1 << 28  # bytes: pictures are large
POINT = 4  # bytes, in all formats that QEMU has

# ---- screens

_OUTPUT = (
    *(UInt32(name) for name in ("resource_id", "width", "height")),
    *(Int32(name) for name in ("x", "y")),
    UInt32("cursor.resource_id", attr="cursor_resource_id"),
    *(UInt32(f"cursor.{name}") for name in ("hot_x", "hot_y")),
    *(UInt32(f"cursor.pos.{name}", attr=f"cursor_{name}") for name in ("x", "y")),
)
_FRAME = ("format", "bytes_pp", "width", "height", "stride", "offset")
_FRAME_FIELDS = {name: UInt32(f"fb.{name}", attr=f"fb_{name}") for name in _FRAME}
#: One number was removed, and its place stays.
BYTES_REMOVED = "11.1"
OUTPUT = VMStateDescription("virtio-gpu-one-scanout", 1, fields=list(_OUTPUT))
OUTPUT_WITH_FRAME = VMStateDescription(
    "virtio-gpu-one-scanout",
    1,
    fields=[
        *_OUTPUT,
        _FRAME_FIELDS["format"],
        Until(BYTES_REMOVED, _FRAME_FIELDS["bytes_pp"]),
        Since(BYTES_REMOVED, Unused(4)),
        *(_FRAME_FIELDS[name] for name in ("width", "height", "stride", "offset")),
    ],
)


def plain(gpu: Any, version_id: int) -> bool:
    """The screens are sent without their frame buffers."""
    return not gpu.with_frames


def with_frames(gpu: Any, version_id: int) -> bool:
    """The property ``x-scanout-vmstate-version`` is at least 2 (1 for machine types up to 8.2)."""
    return bool(gpu.with_frames)


def _renamed(make: Callable[[str], Field]) -> tuple[Field, Field]:
    """Return a field before and after it went to a common part of the device."""
    return Until("5.0", make("")), Since("5.0", make("parent_obj."))


def _screens(described: VMStateDescription, exists: Callable[[Any, int], bool]) -> Callable[[str], Field]:
    def make(prefix: str) -> Field:
        return Struct(f"{prefix}scanout", described, attr="outputs", exists=exists)["max_outputs"]

    return make


OUTPUTS = VMStateDescription(
    "virtio-gpu-scanouts",
    1,
    fields=[
        *_renamed(lambda prefix: Int32(f"{prefix}enable", attr="enable")),
        *_renamed(lambda prefix: UInt32Equal(f"{prefix}conf.max_outputs", attr="max_outputs")),
        *_renamed(_screens(OUTPUT, plain)),
        *_renamed(_screens(OUTPUT_WITH_FRAME, with_frames)),
    ],
)

# ---- pictures

SEGMENT = VMStateDescription("iovec", fields=[UInt64("addr"), UInt32("iov_len")])
_SEGMENTS = (UInt32("iov_cnt"), Struct("iov", SEGMENT)["iov_cnt"])
PICTURE = VMStateDescription(
    "virtio_gpu_simple_resource",
    fields=[
        *(UInt32(name) for name in ("resource_id", "width", "height")),
        UInt32("format", words=FORMATS),
        *_SEGMENTS,
        Buffer("image", "image_size"),
    ],
)
SHARED_PICTURE = VMStateDescription(
    "virtio_gpu_simple_resource", fields=[UInt32("resource_id"), UInt32("blob_size"), *_SEGMENTS]
)


class Picture(Record):
    """A picture's values."""

    width: int
    height: int

    @property
    def image_size(self) -> int:
        """The bytes of its points."""
        return self.width * self.height * POINT


def _pictures(picture: VMStateDescription) -> Field:
    """Return pictures, each of which begins with its number; a number 0 at the end."""
    return Field("resources", Listed("resources", picture, 4, Picture), attr="pictures")


CARD = VMStateDescription(TYPE, fields=[_pictures(PICTURE), Struct("scanouts", OUTPUTS, attr=".")])
BLOBS = VMStateDescription("blob", fields=[_pictures(SHARED_PICTURE)])


def _card(data: memoryview, start: int, end: int) -> list[Node]:
    described = CARD.at(NEWEST)
    for frames in (False, True):
        found = exactly(described, Record(with_frames=frames), data, start, end)
        if found is not None:
            return found.nodes
    raise StreamError("neither form of the screens fits", offset=start)


def _blobs(data: memoryview, start: int, end: int) -> list[Node]:
    found = exactly(BLOBS, Record(), data, start, end)
    if found is None:
        raise StreamError("not a list of pictures", offset=start)
    return found.nodes


GPU, GPU_BLOBS = Content(TYPE, _card, _MOST), Content("blob", _blobs, _MOST)
