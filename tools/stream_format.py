"""Keep the octet tables of docs/stream-format.md in step with the declarations.

tools/stream_format.py          write them between their marks
tools/stream_format.py --check  only check that they are current
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import construct as c

from vmstate.stream import framing
from vmstate.stream.constants import COMMAND_LENGTHS, Command, SectionType

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "stream-format.md"
_BLOCK = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)
_SIZES = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


def wire_type(field: Any) -> str:
    """Describe the wire format of a construct."""
    if isinstance(field, c.Const):
        return f"{wire_type(field.subcon)} = {field.value:#04x}"
    if isinstance(field, c.FormatField):
        return _SIZES[field.length].replace("u", "i") if field.fmtstr[-1].islower() else _SIZES[field.length]
    if isinstance(field, c.Prefixed):
        return f"{wire_type(field.lengthfield)} n, n bytes"
    if isinstance(field, (c.Padded, c.FixedSized)):
        return f"{field.length} bytes"
    if isinstance(field, c.Bytes):
        return f"{field.length} bytes" if isinstance(field.length, int) else "bytes"
    if isinstance(field, (c.GreedyRange, c.Array)):
        return "any number" if isinstance(field, c.GreedyRange) else f"that many ({wire_type(field.subcon)})"
    if hasattr(field, "thensubcon"):
        return "bytes"
    return wire_type(field.subcon)


def struct_table(declaration: Any) -> str:
    """Return a struct's fields as a Markdown table, without those that are not on the wire (end checks)."""
    lines = ["| field | on the wire | |", "|---|---|---|"]
    for field in declaration.subcons:
        if field.subcon is c.Terminated:
            continue
        lines.append(f"| {field.name} | {wire_type(field.subcon)} | {field.docs or ''} |")
    return "\n".join(lines)


def marks_table() -> str:
    """Return the table of the marks that begin items."""
    lines = ["| byte | begins |", "|---|---|"]
    return "\n".join([*lines, *(f"| {int(mark):#04x} | {mark.name} |" for mark in SectionType)])


def commands_table() -> str:
    """Return the table of commands and their data."""
    lines = ["| number | command | data |", "|---|---|---|"]
    for command in Command:
        if command == Command.INVALID:
            continue
        declared = framing.COMMAND_DATA[command]
        declared = getattr(declared, "subcon", declared) if not hasattr(declared, "subcons") else declared
        declared = declared.subcons[0] if isinstance(declared, c.Select) else declared
        fields = [f"{wire_type(f.subcon)} {f.name}" for f in declared.subcons if f.subcon is not c.Terminated]
        lengths = sorted(COMMAND_LENGTHS.get(command, ()))
        size = " or ".join(map(str, lengths)) + " bytes" if lengths else "any length"
        lines.append(
            f"| {int(command)} | {command.name} | {size}{': ' + ', '.join(fields) if fields else ''} |"
        )
    return "\n".join(lines)


def table(name: str) -> str:
    """Return the table between the marks of this name."""
    if name == "MARKS":
        return marks_table()
    if name == "COMMANDS":
        return commands_table()
    return struct_table(getattr(framing, name))


def current(text: str) -> str:
    """Return the document with all tables current."""
    return _BLOCK.sub(lambda match: f"<!-- {match[1]} -->\n{table(match[1])}\n<!-- end -->", text)


def main() -> int:
    """Write or check the tables."""
    text = DOCUMENT.read_text()
    if "--check" in sys.argv[1:]:
        return int(text != current(text))
    DOCUMENT.write_text(current(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
