"""Record machine types by asking a real QEMU: streams of machines that never ran, and what QMP tells.

Each machine is started twice: what differs between two starts (clocks, random numbers) says nothing about the
machine type, and becomes zero.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass, field
from vmstate.describe import Node
from vmstate.errors import ConfigurationError
from vmstate.qemu.binary import identify
from vmstate.qemu.capture import save_stream
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuRefused, QemuStalled, QmpRefused
from vmstate.qemu.session import Session
from vmstate.records.record import MachineRecord, Record, chosen_machine, schema_bytes
from vmstate.schema import Schema
from vmstate.stream.constants import SectionType
from vmstate.stream.edit import Edit
from vmstate.stream.reader import Stream, open_stream
from vmstate.stream.sections.ram import Ram
from vmstate.stream.strip import strip
from vmstate.tree import Contents

#: Clocks and random numbers that do not follow the host, where this QEMU has the options.
STEADY = ("-rtc", "base=2000-01-01T00:00:00,clock=vm", "-seed", "1")
_SCALARS = re.compile(r"bool|string|str|u?int(8|16|32|64)?|size|OnOffAuto|[A-Z]\w+")
_END_RECORD = 8  # bytes: the record that ends a section of memory
_LEAF = 64  # bytes: a larger value is not replaced as a whole


@dataclass
class _Start:
    """The results of one start of a machine."""

    lines: tuple[str, ...] = ()
    properties: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    tree: str = ""
    stream: bytes = b""


class MachineRecorder:
    """Records the machine types of one QEMU, started with a user's options."""

    def __init__(self, command: QemuCommand, *, timeout: float = 60.0) -> None:
        self.command = command
        self.timeout = timeout
        self.binary = identify(command.program)
        self.chosen = chosen_machine(command.arguments)
        self._known: dict[str, dict[str, Any]] = {}
        self._head: dict[str, Any] = {}
        self._steady: tuple[str, ...] = STEADY

    def head(self) -> dict[str, Any]:
        """Return what QMP tells of the program: release, target, capabilities of migration."""
        if not self._head:
            with self._session(("-machine", "none")) as qemu:
                version = qemu.execute("query-version")
                self._head = {
                    "qemu": ".".join(str(version["qemu"][part]) for part in ("major", "minor", "micro")),
                    "package": version["package"].strip(),
                    "target": qemu.execute("query-target")["arch"],
                    "arguments": list(self.command.arguments),
                    "capabilities": {
                        one["capability"]: one["state"] for one in qemu.execute("query-migrate-capabilities")
                    },
                }
                self._known = {one["name"]: one for one in _machines(qemu)}
                qemu.finish()
        return self._head

    def names(self, patterns: Sequence[str]) -> list[str]:
        """Return the machine types that match, by name.  Raises ConfigurationError if there are none."""
        self.head()
        if self.chosen is not None:
            return [self.chosen]
        found = [
            name
            for name, about in sorted(self._known.items())
            if name != "none" and (_matches(name, patterns) or _matches(about.get("alias", name), patterns))
        ]
        if not found:
            raise ConfigurationError(f"QEMU has no machine type {' or '.join(patterns)}")
        return found

    def record(self, names: Iterable[str], schema: Schema | None) -> Record:
        """Record these machine types."""
        machines = {name: self.machine(name) for name in names}
        return Record(self.head(), machines, None if schema is None else schema_bytes(schema))

    def machine(self, name: str) -> MachineRecord:
        """Record one machine type."""
        about: dict[str, Any] = {"type": dict(self._known.get(name, {}))}
        try:
            one, other = self._start(name), self._start(name)
        except (QemuRefused, QmpRefused, QemuStalled) as refused:
            lines = [*getattr(refused, "messages", ())] or [str(refused)]
            return MachineRecord(name, {**about, "refused": lines})
        stream, unsteady = steady(one.stream, other.stream)
        about["lines"] = list(one.lines)
        about["properties"] = one.properties
        about["values"] = {k: v for k, v in one.values.items() if other.values.get(k) == v}
        about |= contents_of(stream)
        about["unsteady"] = unsteady
        tree = one.tree if one.tree == other.tree else ""
        return MachineRecord(name, about, stream, tree)

    def _session(self, machine: Sequence[str], *more: str) -> Session:
        own = [*self.command.arguments, *machine, *more]
        if machine == ("-machine", "none"):
            own = ["-nodefaults", *machine]
        return Session(QemuCommand(self.command.program, tuple(own)), timeout=self.timeout)

    def _start(self, name: str) -> _Start:
        machine = () if self.chosen is not None else ("-machine", name)
        more = [
            word for pair in _pairs(self._steady) for word in pair if pair[0] not in self.command.arguments
        ]
        try:
            return self._started(name, machine, more)
        except QemuRefused:
            if not more:
                raise
            found = self._started(name, machine, [])  # it was our own options: an older QEMU
            self._steady = ()
            return found

    def _started(self, name: str, machine: Sequence[str], more: Sequence[str]) -> _Start:
        found = _Start()
        with tempfile.TemporaryDirectory(prefix="vmstate-") as folder, self._session(machine, *more) as qemu:
            kind = str(self._known.get(name, {}).get("qom-type", f"{name}-machine"))
            found.properties = sorted(_properties(qemu, kind), key=lambda one: str(one["name"]))
            found.values = dict(_values(qemu, found.properties))
            found.tree = _tree(qemu)
            path = Path(folder) / "stream"
            save_stream(qemu, path)
            found.lines = qemu.finish().messages
            found.stream = without_memory(open_stream(path))
        return found


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(words[::2], words[1::2], strict=True)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _machines(qemu: Session) -> list[dict[str, Any]]:
    """Return all machine types, with their compat properties where QEMU tells them (from 9.1 on)."""
    with suppress(QmpRefused):
        return list(qemu.execute("query-machines", **{"compat-props": True}))
    return list(qemu.execute("query-machines"))


def _properties(qemu: Session, kind: str) -> list[dict[str, Any]]:
    with suppress(QmpRefused):
        return list(qemu.execute("qom-list-properties", typename=kind))
    return []


def _values(qemu: Session, properties: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the values of the machine's properties: plain ones, and none that is a path."""
    for one in properties:
        if not _SCALARS.fullmatch(str(one.get("type", ""))):
            continue
        with suppress(QmpRefused):
            value = qemu.execute("qom-get", path="/machine", property=one["name"])
            if isinstance(value, bool | int) or (isinstance(value, str) and not value.startswith("/")):
                yield str(one["name"]), value


def _tree(qemu: Session) -> str:
    with suppress(QmpRefused):
        text = qemu.execute("human-monitor-command", **{"command-line": "info qtree"})
        return "\n".join(line.rstrip() for line in str(text).splitlines()) + "\n"
    return ""


# ---- streams


def without_memory(stream: Stream) -> bytes:
    """Return a stream without any page of guest memory, and without passes, whose number is a matter of time.

    A destination takes it: what is not sent is zero, as the memory of a machine that never ran.
    """
    edit = strip(stream) if any(block.mapped is not None for block in blocks_of(stream)) else Edit(stream)
    for section in stream.sections:
        if section.kind is SectionType.PART:
            edit.remove(section)
        elif section.kind is SectionType.END and section.idstr == "ram":
            edit.replace(section.payload_start, section.payload_end - _END_RECORD, b"")
    return edit.tobytes()


def contents_of(stream: bytes) -> dict[str, Any]:
    """Return the sections and RAM blocks of a stream, for people and for git to compare."""
    opened = open_stream(stream)
    contents = Contents(opened)
    sections = []
    for section in opened.sections:
        text = contents.entries.text_of(section) if section in opened.devices else None
        sections.append([section.idstr, section.instance_id, section.version_id, _described(text)])
    return {"sections": sections, "blocks": {block.name: block.length for block in blocks_of(opened)}}


def _described(text: bytes | None) -> str | None:
    found = re.search(rb'"vmsd_name" ?: "([^"]*)"', text) if text is not None else None
    return found[1].decode("utf-8", "replace") if found is not None else None


def blocks_of(stream: Stream) -> list[Any]:
    """Return the RAM blocks of a stream."""
    return [block for _, handler in stream.handlers if isinstance(handler, Ram) for block in handler.blocks]


def steady(one: bytes, other: bytes) -> tuple[bytes, list[str]]:
    """Return a stream with zeros where another start gave other bytes, and the paths of those values."""
    if one == other or len(one) != len(other):
        return one, [] if one == other else ["the length of the stream"]
    differ = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    stream = open_stream(one)
    contents = Contents(stream)
    made, names = bytearray(one), []
    for section in stream.sections:
        inside = [at for at in differ if section.payload_start <= at < section.payload_end]
        for leaf, places in groupby(inside, partial(_leaf, contents.payload(section))):
            start, end, path = _span(leaf, list(places))
            made[start:end] = bytes(end - start)
            names.append(f"{contents.labels[section.start]}{path}")
    return bytes(made), list(dict.fromkeys(names))


def _leaf(nodes: Sequence[Node], at: int) -> tuple[Node | None, str]:
    """Return the innermost node with a byte, and its path."""
    path, found = "", None
    level = nodes
    while level:
        inner = next((node for node in level if node.start <= at < node.end), None)
        if inner is None:
            break
        found = inner
        path += f".{inner.name}"
        level = getattr(inner, "children", ())
    return found, path


def _span(leaf: tuple[Node | None, str], places: Sequence[int]) -> tuple[int, int, str]:
    node, path = leaf
    if node is None or node.end - node.start > _LEAF:
        return places[0], places[-1] + 1, path
    return node.start, node.end, path
