"""RAM blocks of another size or name than the destination's."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.conversion.change import Change, Notice, Rewrite
from vmstate.conversion.problem import Problem
from vmstate.conversion.ram_blocks import Pages, pages_beyond, ram_of, with_block
from vmstate.dataclass import replace
from vmstate.errors import Unsupported, memory_size
from vmstate.stream.reader import Stream
from vmstate.stream.sections.ram_setup import RamBlock

MAIN = "ppc_spapr.ram"
_ROM = ".rom"


def block(problem: Problem) -> Iterator[Change]:
    """Change the size or name of a block, or leave it out."""
    stream = problem.contents.stream
    at = problem.check.local
    if isinstance(problem.check.incoming, str):
        yield from _unknown(problem, stream, problem.check.incoming)
    elif isinstance(at, int) and isinstance(problem.check.incoming, int):
        yield from _other_size(problem, stream, at)
    else:
        raise Unsupported(f"guest memory: {problem.check.message}")


def _other_size(problem: Problem, stream: Stream, length: int) -> Iterator[Change]:
    for one in ram_of(stream).blocks:
        if problem.blocks.get(one.name) != length or one.length != problem.check.incoming:
            continue
        what = f"the RAM block {one.name} of {memory_size(one.length)} gets {memory_size(length)}"
        if length > one.length:
            more = memory_size(length - one.length)
            lost = (
                f"nothing: the guest does not know of the new {more}, which are as the destination has them"
            )
            notice = Notice.LATER
        else:
            gone = pages_beyond(stream, one.name, length)
            lost = f"{_pages(gone)} from {length:#x} on"
            notice = Notice.DEVICE if not gone.content else Notice.GUEST
            if one.name == MAIN:
                lost, notice = f"{lost}, of the guest's own memory", Notice.GUEST
        new = replace(one, length=length)
        yield Change(problem.rule, what, lost, notice, rewrite=_rewrite(one.name, new))
        return
    raise Unsupported("the RAM block is not found in the stream")


def _unknown(problem: Problem, stream: Stream, name: str) -> Iterator[Change]:
    """Give a block the name of one that the destination expects and does not get, or leave it out."""
    blocks = ram_of(stream).blocks
    one = next((one for one in blocks if one.name == name), None)
    if one is None:
        raise Unsupported(f"there is no RAM block {name}")
    sent = {other.name for other in blocks}
    free = {there: length for there, length in problem.blocks.items() if there not in sent}
    alike = [there for there in free if _tail(there) == _tail(name)]
    largest = one is max(blocks, key=lambda other: other.length)
    if largest and not alike:
        alike = [there for there, length in free.items() if length == one.length]
    for there in alike:
        what = f"the RAM block {name} is called {there}"
        lost = "nothing: its pages stay, and no guest sees the name"
        yield Change(
            problem.rule, what, lost, Notice.NOTHING, rewrite=_rewrite(name, replace(one, name=there))
        )
    if largest and not alike:
        raise Unsupported(f"the RAM block {name} is the guest's memory, which may not be left out")
    gone = pages_beyond(stream, name, 0)
    what = f"leave out the RAM block {name} of {memory_size(one.length)}"
    yield Change(
        problem.rule, what, f"{_pages(gone)} of the device", Notice.DEVICE, rewrite=_rewrite(name, None)
    )


def _rewrite(name: str, new: RamBlock | None) -> Rewrite:
    return lambda contents: with_block(contents.stream, name, new)


def _tail(name: str) -> str:
    return name.rpartition("/")[2]


def _pages(gone: Pages) -> str:
    return f"{gone.count} pages, {gone.content} of them not zero,"
