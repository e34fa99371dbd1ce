"""What a campaign does, in a form that can be sent to another process or written to a folder."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import zstandard

from vmstate.containers import open_input
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
        """A base of a stream's bytes."""
        return Base(name, hashlib.sha256(data).hexdigest(), zstandard.ZstdCompressor(level=6).compress(data))

    @staticmethod
    def read(path: str, *, whole: bool = False) -> Base:
        """A base from a file, in whatever it is wrapped in; without most of guest memory if not ``whole``.

        Raises what opening a stream raises.
        """
        with open_input(path) as opened:
            data = bytes(opened.data) if whole else compact(bytes(opened.data))
        return Base.of(Path(path).name.split(".mig")[0] if path != "-" else "stream", data)

    def data(self) -> bytes:
        """The stream."""
        return zstandard.ZstdDecompressor().decompress(self.packed, max_output_size=_LARGEST)


@dataclass(frozen=True)
class Plan:
    """``on``: the simulated destination's command line; without one, streams are only read.

    ``real``: the real destination's, which is compared with ``on``.
    ``device``: a Python file with a device of a user's own, which is then the destination, and its text.
    ``only``: names of mutations, or of kinds of them.  ``sample``: of so many streams one is also shown and
    verified.  ``seed``: that of the first run; each run's is one more.
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
        """What the plan is known by."""
        return hashlib.sha256(repr(self.as_json()).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The plan as a JSON object; streams by name and hash."""
        plain = asdict(self)
        plain["bases"] = [{"name": base.name, "sha256": base.sha256} for base in self.bases]
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value not in (None, ())
        }

    def mutations(self) -> tuple[Mutation, ...]:
        """Those of ``only``, or all.  Raises ConfigurationError for a word that names none."""
        if not self.only:
            return tuple(MUTATIONS.values())
        for word in self.only:
            if not any(word in (known.name, known.kind) for known in MUTATIONS.values()):
                kinds = ", ".join(sorted({known.kind for known in MUTATIONS.values()}))
                raise ConfigurationError(f"neither a mutation nor a kind of them: {word!r}; kinds: {kinds}")
        return tuple(m for m in MUTATIONS.values() if {m.name, m.kind} & set(self.only))

    def command(self) -> QemuCommand | None:
        """The real QEMU's command line."""
        return None if self.real is None else QemuCommand.parse(self.real)
