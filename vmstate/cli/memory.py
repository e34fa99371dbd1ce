"""``vmstate memory``: guest memory as a file, as bytes at an address, or searched."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError
from vmstate.front.memory_core import LINEAR_MAP, elf_core
from vmstate.front.memory_image import GuestMemory
from vmstate.front.opening import open_stream_file
from vmstate.outputs import save

EXAMPLES = (
    ("list the blocks of memory", "vmstate memory guest.mig"),
    ("write memory by guest-physical address", "vmstate memory guest.mig -o ram.raw"),
    ("write a core for gdb", "vmstate memory guest.mig --elf -o guest.core"),
    ("where a text is", "vmstate memory guest.mig --find 'Linux version'"),
    ("show bytes at an address", "vmstate memory guest.mig --at 0x100 --length 64"),
)

_ROW, _FOUND, _LENGTH = 16, 20, 256


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "-o",
        "--output",
        metavar="IMAGE",
        help="write memory to this file by guest-physical address, with holes",
    )
    parser.add_argument("--elf", action="store_true", help="write an ELF core, which gdb opens")
    parser.add_argument("--block", metavar="NAME", help="this block alone, from its beginning")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--at", metavar="ADDR", help="show the bytes at this address (0xc… is Linux' linear map)"
    )
    how.add_argument("--find", metavar="TEXT", help="show where this text is; hex:… is bytes in hexadecimal")
    parser.add_argument("--length", metavar="N", default=str(_LENGTH), help="with --at: the number of bytes")
    parser.add_argument("--all", action="store_true", help=f"with --find: all places, not the first {_FOUND}")
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Do what was asked; list the blocks if nothing was."""
    if options.elf and (options.output is None or options.block is not None):
        raise ConfigurationError("--elf writes the whole memory to a file: give -o, and no --block")
    with open_stream_file(options.stream, limit=options.limit) as opened:
        memory = GuestMemory(opened)
        if options.output is not None:
            chunks = elf_core(opened, memory) if options.elf else memory.image(options.block)
            size = save(options.output, chunks)
            missing = [] if options.block else [one.name for one in memory.blocks if one.address is None]
            lines = [f"{size} bytes written", *(f"not in it: {name} (--block {name})" for name in missing)]
            result: dict[str, object] = {"bytes": size, "missing": missing}
        elif options.at is not None:
            address = _number(options.at) & ~LINEAR_MAP
            data = memory.read(address, _number(options.length), options.block)
            lines, result = list(_rows(address, data)), {"address": address, "hex": data.hex()}
        elif options.find is not None:
            found = list(islice(memory.find(_wanted(options.find), options.block), _limit(options)))
            lines, result = [f"{at:#x}" for at in found], {"found": found}
        else:
            lines = list(_blocks(memory))
            result = {"blocks": [one.as_json() for one in memory.blocks], "page_size": memory.page_size}
        return Report(lines, result, opened.findings, output_taken=options.output == "-")


def _limit(options: argparse.Namespace) -> int | None:
    return None if options.all else _FOUND


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ConfigurationError(
            f"{text!r} is not a number; addresses in hexadecimal begin with 0x"
        ) from None


def _wanted(text: str) -> bytes:
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text.removeprefix("hex:"))
    except ValueError:
        raise ConfigurationError(f"{text!r}: an even number of hexadecimal digits follows hex:") from None


def _rows(address: int, data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _ROW):
        row = data[start : start + _ROW]
        text = "".join(chr(sign) if 32 <= sign < 127 else "." for sign in row)
        yield f"{address + start:#012x}  {row.hex(' '):<{3 * _ROW - 1}}  {text}".rstrip()
    if not data:
        yield f"no memory at {address:#x}"


def _blocks(memory: GuestMemory) -> Iterator[str]:
    for one in memory.blocks:
        where = "its address is not known" if one.address is None else f"at {one.address:#x}"
        yield f"{one.name}  {one.length} bytes, {where}, {memory.used(one)} pages with content"
