"""Guests by name: ``linux-6.1 disable_radix``, a file of ``fixtures/kernels``, or any TOML file.

The first word is the kernel, the others are its command line.
"""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

from vmstate.dataclass import fields
from vmstate.errors import ConfigurationError
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.cas.client_architecture import PvrEntry
from vmstate.pseries.cas.guest_kernels import Guest, GuestKernel
from vmstate.pseries.cas.linux import LINUX_SHOWN, linux
from vmstate.shipped import shipped
from vmstate.similar_names import did_you_mean

_LINUX = "linux-"
_FIELDS = {f.name for f in fields(GuestKernel)} - {"name", "linux"}
_FOLDER = shipped("kernels")


def shipped_kernels() -> tuple[str, ...]:
    """Return the names of the kernels that come as files."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def read_kernel(path: str | Path) -> GuestKernel:
    """Read a kernel from a TOML file: ``pvrs`` as pairs of mask and PVR, ``vectors`` as hexadecimal text.

    ``answers`` are names of connectors: ``["CPU", "LMB"]``.
    Raises ConfigurationError for an invalid file, naming the key.
    """
    file = Path(path)
    try:
        declared = tomllib.loads(file.read_text("utf-8"))
        return _kernel(file.stem, declared)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"kernel {file}: {error}") from None


def _kernel(name: str, declared: dict[str, Any]) -> GuestKernel:
    unknown = sorted(set(declared) - _FIELDS)
    missing = sorted({"pvrs", "vectors"} - set(declared))
    if unknown or missing:
        wrong = f"no such key: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ConfigurationError(f"kernel {name}: {wrong}")
    try:
        pvrs = tuple(PvrEntry(int(mask), int(value)) for mask, value in declared.pop("pvrs"))
        vectors = tuple(bytes.fromhex(text) for text in declared.pop("vectors"))
        switches = tuple(str(word) for word in declared.pop("switches", ()))
        answers = _connectors(declared.pop("answers", None))
        flags: dict[str, Any] = {key: bool(value) for key, value in declared.items()}
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"kernel {name}: {error}") from None
    if not pvrs or not pvrs[-1].ends or any(entry.ends for entry in pvrs[:-1]):
        raise ConfigurationError(f"kernel {name}: the last of pvrs, and only that, must exceed its mask")
    if not all(1 <= len(vector) <= 256 for vector in vectors) or len(vectors) < 5:
        raise ConfigurationError(f"kernel {name}: at least five vectors are needed, of 1 to 256 bytes")
    return GuestKernel(name, pvrs, vectors, switches=switches, answers=answers, **flags)


def _connectors(names: list[str] | None) -> frozenset[DrcType] | None:
    try:
        return None if names is None else frozenset(DrcType[name] for name in names)
    except KeyError as unknown:
        raise ValueError(f"answers: no such connectors: {unknown.args[0]}") from None


def kernel(name: str) -> GuestKernel:
    """Return the kernel of that name.  Raises ConfigurationError, naming the known ones."""
    if name.endswith(".toml"):
        return read_kernel(name)
    if name in shipped_kernels():
        return read_kernel(_FOLDER / f"{name}.toml")
    if name.startswith(_LINUX):
        return linux(name.removeprefix(_LINUX))
    known = [*(_LINUX + version for version in LINUX_SHOWN), *shipped_kernels()]
    hint = did_you_mean(name, known) or ";"
    raise ConfigurationError(
        f"no such kernel: {name!r}{hint} kernels: {', '.join(known)}, or the path of a .toml file"
    )


def guest(text: str) -> Guest:
    """Return a guest as typed: ``linux-6.1 disable_radix``.  Raises ConfigurationError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigurationError(f"guest {text!r}: {error}") from None
    if not words:
        raise ConfigurationError("a guest begins with its kernel, such as linux-6.1")
    return Guest(kernel(words[0]), tuple(words[1:]))
