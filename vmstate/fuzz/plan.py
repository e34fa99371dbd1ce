"""The plan of a campaign, which can be sent to another process or written to a folder."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import zstandard

from vmstate.containers import open_input
from vmstate.dataclass import dataclass, field
from vmstate.errors import ConfigurationError
from vmstate.fuzz.compact import compact
from vmstate.fuzz.mutations import MUTATIONS, Mutation
from vmstate.qemu.command_line import QemuCommand

_LARGEST = 1 << 30


@dataclass(frozen=True)
class Base:
    """A stream to be changed: its name, its SHA-256, and its bytes compressed by zstd."""

    name: str
    sha256: str
    packed: bytes = field(repr=False)

    @staticmethod
    def of(name: str, data: bytes) -> Base:
        """Make a base from the bytes of a stream."""
        return Base(name, hashlib.sha256(data).hexdigest(), zstandard.ZstdCompressor(level=6).compress(data))

    @staticmethod
    def read(path: str, *, whole: bool = False) -> Base:
        """Read a base from a file in any wrapping; most of guest memory is left out unless ``whole``.

        Raises the errors of opening a stream.
        """
        with open_input(path) as opened:
            data = bytes(opened.data) if whole else compact(bytes(opened.data))
        return Base.of(Path(path).name.split(".mig")[0] if path != "-" else "stream", data)

    def data(self) -> bytes:
        """Return the bytes of the stream."""
        return zstandard.ZstdDecompressor().decompress(self.packed, max_output_size=_LARGEST)


@dataclass(frozen=True)
class Plan:
    """The bases, the destinations and the mutations of a campaign.

    ``on``: the simulated destination's command line; without it streams are only read.
    ``real``: the command line of the real destination, which is compared with ``on``.
    ``device``: the path and text of a Python file with a user's own device, which is then the destination.
    ``only``: names of mutations, or of kinds of them.  ``sample``: one stream in this many is also shown and
    verified.  ``seed``: the seed of the first run; each later run's is one more.
    """

    bases: tuple[Base, ...]
    on: str | None = None
    real: tuple[str, ...] | None = None
    device: tuple[str, str] | None = None
    only: tuple[str, ...] = ()
    seed: int = 0
    timeout: float = 10.0
    sample: int = 1000

    @cached_property
    def key(self) -> str:
        """A text that identifies the plan."""
        return hashlib.sha256(repr(self.as_json()).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return the plan as a JSON object, with streams by name and hash."""
        plain = asdict(self)
        plain["bases"] = [{"name": base.name, "sha256": base.sha256} for base in self.bases]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value not in (None, ())
        }

    def mutations(self) -> tuple[Mutation, ...]:
        """Return the mutations of ``only``, or all.  Raises ConfigurationError for an unknown name."""
        if not self.only:
            return tuple(MUTATIONS.values())
        for word in self.only:
            if not any(word in (known.name, known.kind) for known in MUTATIONS.values()):
                kinds = ", ".join(sorted({known.kind for known in MUTATIONS.values()}))
                raise ConfigurationError(f"no mutation or kind of mutation: {word!r}; kinds: {kinds}")
        return tuple(m for m in MUTATIONS.values() if {m.name, m.kind} & set(self.only))

    def command(self) -> QemuCommand | None:
        """Return the real QEMU's command line, if the plan has one."""
        return None if self.real is None else QemuCommand.parse(self.real)
