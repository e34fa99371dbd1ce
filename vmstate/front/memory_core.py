"""Guest memory of a pseries machine as an ELF core for gdb, with the registers of its processors.

Memory is there twice without taking room twice: at its physical addresses, and where Linux on POWER maps it.
The core has the byte order in which the guest's first processor works.  The layout of the registers is that
of QEMU's target/ppc/arch_dump.c, Linux' struct elf_prstatus.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from vmstate.containers import Buffer
from vmstate.dataclass import dataclass
from vmstate.front.memory_image import GuestMemory
from vmstate.front.stream_file import StreamFile
from vmstate.holes import zeros
from vmstate.tree.paths import PathError

LINEAR_MAP = 0xC << 60
"""Where Linux on POWER has physical memory in its own address space."""

_CORE, _PPC64, _LOAD, _NOTE, _PRSTATUS = 4, 21, 1, 4, 1
_ALIGNED = 1 << 16
_HEADER, _PROGRAM_HEADER = 64, 56
_REGISTERS_AT, _REGISTERS, _STATUS_SIZE, _PID_AT = 112, 48, 504, 32
_MSR_LE = 1
_SPR_XER, _SPR_LR, _SPR_CTR, _SPR_DSISR, _SPR_DAR = 1, 8, 9, 18, 19
_NO_TRAP = 0

Order = Literal["<", ">"]


@dataclass(frozen=True)
class _Processor:
    registers: tuple[int, ...]
    msr: int


def elf_core(opened: StreamFile, memory: GuestMemory) -> Iterator[Buffer]:
    """Yield an ELF core.  Raises ConfigurationError for a machine whose memory map is not known."""
    space = memory.space()
    processors = list(_processors(opened))
    order: Order = "<" if not processors or processors[0].msr & _MSR_LE else ">"
    notes = b"".join(_note(one, number, order) for number, one in enumerate(processors, 1))
    count = 1 + 2 * len(space)
    start = -(-(_HEADER + count * _PROGRAM_HEADER + len(notes)) // _ALIGNED) * _ALIGNED
    head = _elf_header(count, order)
    head += _segment(_NOTE, _HEADER + count * _PROGRAM_HEADER, 0, 0, len(notes), order)
    for base in (0, LINEAR_MAP):
        for address, block in space:
            head += _segment(_LOAD, start + address, base | address, address, block.length, order)
    yield head + notes
    yield from zeros(start - len(head) - len(notes))
    yield from memory.image()


def _elf_header(count: int, order: Order) -> bytes:
    ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1, 0]) + bytes(8)
    rest = (_CORE, _PPC64, 1, 0, _HEADER, 0, 2, _HEADER, _PROGRAM_HEADER, count, 0, 0, 0)
    return ident + struct.pack(f"{order}HHIQQQIHHHHHH", *rest)


def _segment(kind: int, offset: int, virtual: int, physical: int, size: int, order: Order) -> bytes:
    flags = 7 if kind == _LOAD else 0
    align = _ALIGNED if kind == _LOAD else 4
    return struct.pack(f"{order}IIQQQQQQ", kind, flags, offset, virtual, physical, size, size, align)


def _note(processor: _Processor, number: int, order: Order) -> bytes:
    status = bytearray(_STATUS_SIZE)
    struct.pack_into(f"{order}I", status, _PID_AT, number)
    struct.pack_into(f"{order}{_REGISTERS}Q", status, _REGISTERS_AT, *processor.registers)
    return struct.pack(f"{order}III", 5, len(status), _PRSTATUS) + b"CORE\0\0\0\0" + bytes(status)


def _processors(opened: StreamFile) -> Iterator[_Processor]:
    numbers = [one.instance_id for one in opened.stream.sections if one.idstr == "cpu"]
    for number in numbers:
        try:
            yield _processor(opened, f"cpu[{number}].env")
        except (PathError, TypeError, IndexError):
            return  # of another architecture, or damaged: memory is there all the same


def _processor(opened: StreamFile, env: str) -> _Processor:
    gprs, sprs, fields = (_numbers(opened, f"{env}.{name}") for name in ("gpr", "spr", "crf"))
    nip, msr = _number(opened, f"{env}.nip"), _number(opened, f"{env}.msr")
    cr = sum(field << 28 - 4 * place for place, field in enumerate(fields))
    named = (nip, msr, gprs[3], sprs[_SPR_CTR], sprs[_SPR_LR], sprs[_SPR_XER], cr, 0, _NO_TRAP)
    registers = (*gprs[:32], *named, sprs[_SPR_DAR], sprs[_SPR_DSISR], 0)
    return _Processor(registers + (0,) * (_REGISTERS - len(registers)), msr)


def _numbers(opened: StreamFile, path: str) -> list[int]:
    value = opened[path]
    if not isinstance(value, list):
        raise TypeError(path)
    return [one if isinstance(one, int) else 0 for one in value]


def _number(opened: StreamFile, path: str) -> int:
    value = opened[path]
    if not isinstance(value, int):
        raise TypeError(path)
    return value
