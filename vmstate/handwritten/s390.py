"""Bytes that s390x machines write by hand: channel images, interrupts, the clock, a list of keys."""

from __future__ import annotations

from vmstate.describe import Node
from vmstate.describe.infos import NULL_MARKER
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, be64, raw, u8

_NULL = Layout("nullptr", u8("marker"))
_PATH = Layout("s390_chp_info", u8("in_use"), u8("type"), u8("is_virtual"))
_PATHS, _IMAGES = 256, 256
_CLOCK = Layout("tod clock", u8("present"), u8("high"), be64("low"))
_NO_CLOCK = Layout("tod clock", u8("present"))
_END_OF_KEYS = Layout("storage keys", be64("flags"))
_COUNT = Layout("count", be64("count"))
_INTERRUPT = Layout("kvm_s390_irq", be64("type"), raw("parameters", 64))
_FAILED = (1 << 64) - 1  # FLIC_FAILED: the source could not read them, and the destination refuses


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


def _interrupts(data: memoryview, start: int, end: int) -> list[Node]:
    """Return the number of pending floating interrupts, and each of them (kvm_flic_save)."""
    nodes = _COUNT.nodes(data, start, end)
    count, at = nodes[0].value, nodes[0].end
    if count == _FAILED:
        return nodes
    if count != (end - at) // _INTERRUPT.size:
        raise StreamError("another number of interrupts than the count says", offset=start)
    elements = [
        _INTERRUPT.node(f"[{number}]", data, at + number * _INTERRUPT.size, end, "element")
        for number in range(count)
    ]
    size = count * _INTERRUPT.size
    array = [Node("irqs", "array", _INTERRUPT.type, at, at + size, nodes=elements)] if count else []
    return [*nodes, *array]


#: The interrupt controller of KVM (hw/intc/s390_flic_kvm.c); no capture has one, as it takes a mainframe.
INTERRUPTS = Content("irqs", _interrupts)
CSS_IMAGES = Content("nullptr", _images)
TOD_CLOCK = Content("buffer", _clock)
#: A guest without storage keys sends the end of a list alone (hw/s390x/s390-skeys.c).
NO_STORAGE_KEYS = Content("buffer", _END_OF_KEYS.nodes)
