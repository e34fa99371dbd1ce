"""The registers of a PCI device that its destination compares (``get_pci_config_device`` of hw/pci/pci.c)."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.problem import Problem, PseriesProblem
from vmstate.errors import Unsupported
from vmstate.pseries.devices.pci.config_space import ConfigSpace
from vmstate.pseries.devices.pci.pci_device import PciState
from vmstate.stream.edit import Bytes, Edit
from vmstate.tree.contents import Contents

DIFFERS = "configuration space differs"
_REGISTERS = (
    (0x00, 0x04, "the vendor and device id"),
    (0x06, 0x08, "the status"),
    (0x08, 0x09, "the revision"),
    (0x09, 0x0C, "the class"),
    (0x0E, 0x0F, "the header type"),
    (0x10, 0x28, "the sizes and kinds of its windows"),
    (0x2C, 0x30, "the subsystem id"),
    (0x30, 0x34, "the size of its ROM"),
    (0x34, 0x35, "the list of capabilities"),
    (0x3D, 0x3E, "the interrupt pin"),
)
_REST = "its capabilities"
_VERSION = b"\0\0\0\2"


def field(problem: PseriesProblem) -> Iterator[Change]:
    """Give every register that the destination compares the destination's value."""
    if problem.check.message != DIFFERS or problem.check.offset is None:
        raise Unsupported(f"the field {problem.check.path} cannot be loaded: {problem.check.message}")
    space = _space(problem)
    start = None if space is None else _start(problem, space, problem.check.offset)
    if space is None or start is None:
        raise Unsupported("the configuration space is not found")
    old = problem.contents.stream.data[start : start + len(space.data)]
    new = space.fitted(old)
    changed = [i for i in range(len(old)) if old[i] != new[i]]
    names = list(dict.fromkeys(map(_register, changed)))
    what = f"the configuration space of {problem.label} becomes the destination's: {', '.join(names)}"
    lost = "these registers as the driver has found them: it may use what is no longer there"
    yield Change(
        problem.rule,
        what,
        lost,
        Notice.DEVICE,
        _edits(problem, start, new),
        lambda contents: _rewritten(contents, start, new),
        problem.label,
    )


def _start(problem: Problem, space: ConfigSpace, offset: int) -> int | None:
    """Return the offset of the configuration space whose first difference is at ``offset``.

    It follows the version of PCIDevice, which is 2; a virtio device sends both as a part of its own bytes.
    """
    data = problem.contents.stream.data
    for i in range(len(space.data)):
        start = offset - i
        if bytes(data[start - 4 : start]) != _VERSION:
            continue
        if space.difference(data[start : start + len(space.data)]) == i:
            return start
    return None


def _edits(problem: Problem, start: int, new: bytes) -> tuple[str, ...]:
    places = (one for one in problem.places() if one.node.start == start)
    place = next((one for one in places if one.node.end == start + len(new)), None)
    return () if place is None else (f"{place.path}=hex:{new.hex()}",)


def _rewritten(contents: Contents, start: int, new: bytes) -> Iterator[Bytes]:
    edit = Edit(contents.stream)
    edit.replace(start, start + len(new), new)
    return edit.chunks()


def _space(problem: PseriesProblem) -> ConfigSpace | None:
    device = problem.instance.device(str(problem.check.section), problem.check.instance or 0)
    states = (one for one in vars(device).values() if isinstance(one, PciState)) if device else ()
    return next((one.space for one in states), None)


def _register(i: int) -> str:
    return next((name for start, end, name in _REGISTERS if start <= i < end), _REST)
