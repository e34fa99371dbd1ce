"""A record on disk: ``record.json``, ``schema.json.zst``, and for each machine type three files.

``machines/TYPE.json`` has what QMP tells, ``TYPE.qtree`` the properties of its devices, ``TYPE.mig.zst`` the
stream of a machine that never ran, without guest memory.  The same program gives the same contents.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import zstandard

from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError, quantity
from vmstate.outputs import save
from vmstate.schema import Schema, schema_from_json, schema_to_json

MEMBER, FORMAT = "vmstate-record", 1
HEAD, SCHEMA, MACHINES = "record.json", "schema.json.zst", "machines"
_PACKED, _STREAM, _TREE = ".zst", ".mig.zst", ".qtree"
_LEVEL = 19
_MACHINE = frozenset({"-machine", "-M", "--machine"})
_LARGEST = 1 << 28
_SHOWN = 5


@dataclass(frozen=True)
class MachineRecord:
    """One machine type: ``about`` is its JSON object; ``stream`` is None if QEMU refused to start or to save.

    ``tree``: the text of ``info qtree``.
    """

    name: str
    about: Mapping[str, Any]
    stream: bytes | None = field(default=None, repr=False)
    tree: str = field(default="", repr=False)

    @property
    def refused(self) -> list[str]:
        """QEMU's lines if it did not start or save."""
        return list(self.about.get("refused", ()))


@dataclass(frozen=True)
class Record:
    """A record: ``head`` is ``record.json``; ``machines`` by name."""

    head: Mapping[str, Any]
    machines: Mapping[str, MachineRecord]
    schema_text: bytes | None = field(default=None, repr=False)

    @property
    def release(self) -> str:
        """The release of QEMU."""
        return str(self.head.get("qemu", "0.0"))

    @cached_property
    def schema(self) -> Schema | None:
        """The descriptions in the program; None if it could not be read."""
        return None if self.schema_text is None else schema_from_json(self.schema_text)

    def machine(self, name: str) -> MachineRecord:
        """Return a machine type.  Raises ConfigurationError if the record has no stream of it."""
        found = self.machines.get(name)
        if found is None:
            known = ", ".join(self.machines) or "none"
            raise ConfigurationError(f"the record has no machine type {name!r}; it has {known}")
        if found.stream is None:
            lines = "; ".join(found.refused)
            raise ConfigurationError(f"the record has no stream of {name}: QEMU {self.release} said: {lines}")
        return found

    def command_line(self, machine: str) -> list[str]:
        """Return the arguments with which QEMU was started for a machine type."""
        arguments = [str(word) for word in self.head.get("arguments", ())]
        return arguments if chosen_machine(arguments) is not None else [*arguments, "-machine", machine]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the record's files: paths in its folder, and contents that are not yet compressed."""
        names = {"machines": sorted(self.machines)}
        yield HEAD, _json({MEMBER: FORMAT, **self.head, **names})
        if self.schema_text is not None:
            yield SCHEMA, self.schema_text
        for name, one in sorted(self.machines.items()):
            yield f"{MACHINES}/{name}.json", _json(one.about)
            if one.tree:
                yield f"{MACHINES}/{name}{_TREE}", one.tree.encode()
            if one.stream is not None:
                yield f"{MACHINES}/{name}{_STREAM}", one.stream


def chosen_machine(arguments: Sequence[str]) -> str | None:
    """Return the machine type that a command line names; None if it names none."""
    for word, value in pairwise(arguments):
        if word in _MACHINE:
            parts = value.split(",")
            named = [part.removeprefix("type=") for part in parts if part.startswith("type=")]
            return named[-1] if named else parts[0]
    return None


def schema_bytes(schema: Schema) -> bytes:
    """Return a schema as a record keeps it."""
    return schema_to_json(schema).encode()


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def is_record(folder: str | os.PathLike[str]) -> bool:
    """Return True if a folder looks like a record."""
    return (Path(folder) / HEAD).is_file()


def read_record(folder: str | os.PathLike[str]) -> Record:
    """Read a record.  Raises ConfigurationError for any other folder, OSError."""
    root = Path(folder)
    if not is_record(root):
        raise ConfigurationError(f"{root} is not a record: it has no {HEAD}")
    head = _document(root / HEAD)
    if head.pop(MEMBER, None) != FORMAT:
        raise ConfigurationError(f"{root / HEAD} is not a record of format {FORMAT}")
    names = head.pop("machines", [])
    if not isinstance(names, list) or not all(isinstance(n, str) and _is_plain(n) for n in names):
        raise ConfigurationError(f"{root / HEAD}: 'machines' is not a list of names")
    schema = root / SCHEMA
    machines = {name: _machine(root / MACHINES, name) for name in names}
    return Record(head, machines, _contents(schema) if schema.is_file() else None)


def _machine(folder: Path, name: str) -> MachineRecord:
    stream, tree = folder / f"{name}{_STREAM}", folder / f"{name}{_TREE}"
    return MachineRecord(
        name,
        _document(folder / f"{name}.json"),
        _contents(stream) if stream.is_file() else None,
        tree.read_text() if tree.is_file() else "",
    )


def _is_plain(name: str) -> bool:
    return bool(name) and "/" not in name and "\0" not in name and not name.startswith(".")


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as why:
        raise ConfigurationError(f"{path}: not JSON: {why}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: not a JSON object")
    return document


def _contents(path: Path) -> bytes:
    """Return a file's contents, decompressed if its name says so."""
    raw = path.read_bytes()
    if path.suffix != _PACKED:
        return raw
    try:
        return zstandard.ZstdDecompressor().decompress(raw, max_output_size=_LARGEST)
    except zstandard.ZstdError as why:
        raise ConfigurationError(f"{path}: cannot be decompressed: {why}") from None


def write_record(record: Record, folder: str | os.PathLike[str]) -> list[str]:
    """Write a record, and remove the files of machine types that it lacks; return the files that changed.

    A file whose contents are the same keeps its bytes, whatever library compressed it.
    """
    root = Path(folder)
    (root / MACHINES).mkdir(parents=True, exist_ok=True)
    wanted = dict(record.files())
    changed = [name for name in _owned(root) if name not in wanted]
    for name in changed:
        (root / name).unlink()
    for name, contents in wanted.items():
        path = root / name
        if path.is_file() and _contents(path) == contents:
            continue
        changed.append(name)
        packed = path.suffix == _PACKED
        save(path, [zstandard.ZstdCompressor(level=_LEVEL).compress(contents) if packed else contents])
    return sorted(changed)


def _owned(root: Path) -> list[str]:
    found = [name for name in (HEAD, SCHEMA) if (root / name).is_file()]
    inner = (path for path in sorted((root / MACHINES).glob("*")) if path.is_file())
    return found + [
        f"{MACHINES}/{path.name}" for path in inner if path.name.endswith((".json", _TREE, _STREAM))
    ]


# ---- what changed


def changes(old: Record, new: Record) -> Iterator[tuple[str, str]]:
    """Yield what differs between two records of a QEMU: the machine type or file, and what there.

    Only machine types that the new record has are compared, if it is not of all.
    """
    yield from _members("record", old.head, new.head)
    for name in sorted(old.machines.keys() | new.machines.keys()):
        one, other = old.machines.get(name), new.machines.get(name)
        if one is None or other is None:
            yield name, "is new" if one is None else "is gone"
            continue
        yield from ((name, what) for _, what in _members(name, one.about, other.about))
        if one.tree != other.tree:
            yield name, _lines(one.tree, other.tree)
        if one.stream != other.stream and one.stream is not None and other.stream is not None:
            yield name, "another stream is sent (vmstate diff shows what differs)"
    if old.schema_text != new.schema_text:
        yield "schema", _descriptions(old.schema, new.schema)


def _members(name: str, one: Any, other: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the members of two JSON values that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            inner = f"{path}.{key}" if path else str(key)
            if key not in one or key not in other:
                side = other if key in other else one
                yield name, f"{inner} is {'new' if key in other else 'gone'}: {side[key]!r:.80}"
            else:
                yield from _members(name, one[key], other[key], inner)
    elif one != other:
        yield name, f"{path}: {one!r:.80} before, now {other!r:.80}"


def _lines(old: str, new: str) -> str:
    ours, theirs = old.splitlines(), new.splitlines()
    gone = [line.strip() for line in ours if line not in theirs]
    added = [line.strip() for line in theirs if line not in ours]
    shown = [*(f"-{line}" for line in gone[:_SHOWN]), *(f"+{line}" for line in added[:_SHOWN])]
    return f"properties of devices differ in {quantity(len(gone) + len(added), 'line')}: {'; '.join(shown)}"


def _descriptions(old: Schema | None, new: Schema | None) -> str:
    ours, theirs = (one.descriptions if one is not None else {} for one in (old, new))
    named = {
        "new": [name for name in theirs if name not in ours],
        "gone": [name for name in ours if name not in theirs],
        "changed": [name for name in ours if name in theirs and ours[name] != theirs[name]],
    }
    parts = [f"{what}: {', '.join(names)}" for what, names in named.items() if names]
    return (
        f"descriptions differ ({'; '.join(parts) or 'only what surrounds them'}); vmstate compare judges it"
    )
