"""Mutations that insert commands where a destination does not expect them, or with wrong lengths."""

from __future__ import annotations

from functools import lru_cache

from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.mutations.domains import among
from vmstate.fuzz.mutations.edge_values import u16, u32, u64
from vmstate.fuzz.mutations.places import ANY_SECTION
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream.constants import Command, SectionType

_DEEPEST = 1 << 14
_DATA: dict[int, bytes] = {
    Command.PING: u32(1),
    Command.POSTCOPY_ADVISE: u64(0x1000) * 2,
    Command.POSTCOPY_RAM_DISCARD: b"\0\x0dppc_spapr.ram\0" + u64(0) + u64(0x1000),
    Command.PACKAGED: u32(0),
    Command.RECV_BITMAP: b"\x0dppc_spapr.ram",
}
NUMBERS = among(*(int(command) for command in Command), 12, 13, 0xFF, 0x100, 0xFFFF)
_LENGTHS = among("right", "0", "+1", "-1", "4", "16", "0x7fff", "0xffff")


def command(number: int, data: bytes, length: int | None = None) -> bytes:
    """Return a command; ``length`` may be wrong."""
    return bytes([SectionType.COMMAND]) + u16(number) + u16(len(data) if length is None else length) + data


def _stated_length(text: str, length: int) -> int:
    if text == "right":
        return length
    return length + int(text) if text[0] in "+-" else int(text, 0)


@mutation("commands", number=NUMBERS, before=ANY_SECTION)
def command_inserted(base: Anatomy, number: int, before: str) -> list[Splice]:
    """A command with well-formed data comes in a state that does not allow it, or is unknown."""
    at = base.by_path[before].start
    return [Splice(at, at, command(number, _DATA.get(number, b"")))]


@mutation("commands", number=NUMBERS, length=_LENGTHS, before=ANY_SECTION)
def command_length(base: Anatomy, number: int, length: str, before: str) -> list[Splice]:
    """A command's length is not that of its data, or not the one that the command requires."""
    at = base.by_path[before].start
    data: bytes = _DATA.get(number, b"")
    return [Splice(at, at, command(number, data, _stated_length(length, len(data))))]


@mutation(
    "commands", number=NUMBERS, size=among(0, 1, 4, 16, 0xFFFF), before=ANY_SECTION, byte=among(0, 1, 0xFF)
)
def command_data(base: Anatomy, number: int, size: int, before: str, byte: int) -> list[Splice]:
    """A command has as many bytes of data as its length says, all equal."""
    at = base.by_path[before].start
    return [Splice(at, at, command(number, bytes([byte % 256]) * min(max(size, 0), 0xFFFF)))]


@mutation("commands", first=NUMBERS, second=NUMBERS, before=ANY_SECTION)
def commands_in_turn(base: Anatomy, first: int, second: int, before: str) -> list[Splice]:
    """A return path is opened, then two commands follow: the second in the state that the first may leave."""
    at = base.by_path[before].start
    opened = command(Command.OPEN_RETURN_PATH, b"")
    both = (command(number, _DATA.get(number, b"")) for number in (first, second))
    return [Splice(at, at, opened + b"".join(both))]


_BODY_LIES = among("right", "0", "+1", "-1", "0x1000000", "0x1000001", "0x7fffffff", "0xffffffff")


def packaged(body: bytes, length: int | None = None) -> bytes:
    """Return a PACKAGED command around a stream."""
    return command(Command.PACKAGED, u32(len(body) if length is None else length)) + body


@mutation("commands", section=ANY_SECTION, length=_BODY_LIES, ended=among(True, False))
def section_packaged(base: Anatomy, section: str, length: str, ended: bool) -> list[Splice]:
    """A section is wrapped in PACKAGED, with an end mark if ``ended``; the package's length may be wrong."""
    part = base.by_path[section]
    body = base.data[part.start : part.end] + (b"\0" if ended else b"")
    return [Splice(part.start, part.end, packaged(body, _stated_length(length, len(body))))]


_DEPTHS = among(1, 2, 3, 4, 16, 64, 256, 16384)
_BODIES = among("end", "nothing", "section")


def _body(base: Anatomy, before: str, body: str) -> bytes:
    start = base.by_path[before].start
    return {"end": b"\0", "nothing": b"", "section": base.data[start : start + (1 << 12)]}[body]


@mutation("commands", before=ANY_SECTION, depth=_DEPTHS, body=_BODIES)
def packaged_nested(base: Anatomy, before: str, depth: int, body: str) -> list[Splice]:
    """Packages are nested ``depth`` levels deep; the innermost holds an end mark, nothing, or a section."""
    at, inner = base.by_path[before].start, _body(base, before, body)
    return [Splice(at, at, _heads(len(inner), min(max(depth, 0), _DEEPEST)) + inner)]


@mutation("commands", before=ANY_SECTION, depth=_DEPTHS, body=_BODIES)
def packaged_within(base: Anatomy, before: str, depth: int, body: str) -> list[Splice]:
    """Packages are nested the way a destination reads them: all lengths and contents in the outermost stream.

    migration/savevm.c loadvm_handle_cmd_packaged reads from the migration's file at every level.
    """
    at, inner = base.by_path[before].start, _body(base, before, body)
    head = command(Command.PACKAGED, b"", 4)
    one = u32(len(head) + 1) + head + b"\0"
    return [Splice(at, at, head + one * min(max(depth - 1, 0), _DEEPEST) + u32(len(inner)) + inner)]


@lru_cache(maxsize=64)
def _heads(size: int, depth: int) -> bytes:
    """Return the commands around a stream of ``size`` bytes."""
    heads = []
    for _ in range(depth):
        heads.append(command(Command.PACKAGED, u32(size)))
        size += len(heads[-1])
    return b"".join(reversed(heads))


@mutation("commands", before=ANY_SECTION, times=among(2, 3, 16, 1000), number=among(1, 2, 11, 8))
def commands_repeated(base: Anatomy, before: str, times: int, number: int) -> list[Splice]:
    """A command is repeated many times."""
    at = base.by_path[before].start
    return [Splice(at, at, command(number, _DATA.get(number, b"")) * min(max(times, 0), 10000))]
