"""Bytes that s390x machines write by hand: channel subsystem images, the TOD clock, an empty list of keys."""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.describe.infos import NULL_MARKER
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, be64, u8

_NULL = Layout("nullptr", u8("marker"))
_PATH = Layout("s390_chp_info", u8("in_use"), u8("type"), u8("is_virtual"))
_PATHS, _IMAGES = 256, 256
_CLOCK = Layout("tod clock", u8("present"), u8("high"), be64("low"))
_NO_CLOCK = Layout("tod clock", u8("present"))
_END_OF_KEYS = Layout("storage keys", be64("flags"))


def _images(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the channel subsystem images: most are null pointers, the others have 256 channel paths.

    The vmdesc before 10.0 describes the first alone (hw/s390x/css.c vmstate_css).
    """
    found: list[Node] = []
    at = start
    while at < end:
        if len(found) == _IMAGES:
            raise StreamError("more images than there can be", offset=at)
        name = f"[{len(found)}]"
        if data[at] == NULL_MARKER:
            found.append(_NULL.node(name, data, at, end, "element"))
        else:
            found.append(_image(name, data, at, end))
        at = found[-1].end
    return found


def _image(name: str, data: memoryview, at: int, end: int) -> Node:
    size = _PATHS * _PATH.size
    if at + size > end:
        raise StreamError("an image is cut off", offset=at)
    paths = [
        _PATH.node(f"[{number}]", data, at + number * _PATH.size, end, "element") for number in range(_PATHS)
    ]
    array = Node("chpids", "array", _PATH.type, at, at + size, nodes=paths)
    return Node(name, "element", "s390_css_img", at, at + size, nodes=[array])


def _clock(data: memoryview, start: int, end: int) -> list[Node]:
    """Return a flag, and the clock's value if the flag says so (hw/s390x/tod.c s390_tod_save)."""
    layout = _CLOCK if data[start] else _NO_CLOCK
    return layout.nodes(data, start, end)


CSS_IMAGES = Content("nullptr", _images)
TOD_CLOCK = Content("buffer", _clock)
#: A guest without storage keys sends the end of a list alone (hw/s390x/s390-skeys.c).
NO_STORAGE_KEYS = Content("buffer", _END_OF_KEYS.nodes)
