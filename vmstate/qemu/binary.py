"""Find the QEMU system emulators on this machine, and their releases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.qemu.failures import QemuNotFound

PROGRAM = "qemu-system-ppc64"
VARIABLE = "VMSTATE_QEMU"  # further programs, or directories with programs, separated as in PATH

_VERSION = re.compile(r"QEMU emulator version (\d+(?:\.\d+){1,3})(?:\S*)?(?: \((.*?)\))?")
_NAME = re.compile(r"qemu(-system-\w+)?(-[\w.]+)?")
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Binary:
    """A program: its path, the release that it reports, and the packager's own version (or "")."""

    path: str
    release: Release
    package: str = ""


def parse_version(text: str) -> tuple[Release, str] | None:
    """Parse the output of ``--version``: release and packager's version; None if it is not QEMU's."""
    found = _VERSION.search(text)
    return None if found is None else (Release.parse(found[1]), found[2] or "")


def identify(program: str | os.PathLike[str]) -> Binary:
    """Return the program (a path, or a name in PATH) with its release.

    Raises QemuNotFound if it does not exist, cannot be run, or does not answer ``--version`` as QEMU does.
    """
    name = os.fspath(program)
    path = shutil.which(name)
    if path is None:
        raise QemuNotFound(f"no program {name!r}; install QEMU, or give its path")
    status = Path(path).stat()
    return _identify(path, status.st_mtime_ns, status.st_size)


@cache
def _identify(path: str, _changed: int, _size: int) -> Binary:
    command = [path, "--version"]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise QemuNotFound(f"cannot ask {path} for its version: {error}") from error
    version = parse_version(answer.stdout.decode("utf-8", "replace"))
    if version is None:
        raise QemuNotFound(f"{path} is not a QEMU emulator by its --version", _lines(answer.stderr))
    return Binary(path, *version)


def _lines(output: bytes) -> list[str]:
    return output.decode("utf-8", "replace").splitlines()


def _candidates(program: str) -> Iterator[Path]:
    """Yield ``program`` in PATH, then the programs in the variable, and those in its directories."""
    in_path = shutil.which(program)
    if in_path is not None:
        yield Path(in_path)
    for word in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        place = Path(word)
        if place.is_dir():
            yield from sorted(entry for entry in place.iterdir() if _NAME.fullmatch(entry.name))
        else:
            yield place


def find_all(program: str = PROGRAM) -> list[Binary]:
    """Return every QEMU in PATH and the variable VMSTATE_QEMU, one of each release and package."""
    found: dict[tuple[Release, str], Binary] = {}
    for path in _candidates(program):
        try:
            binary = identify(path)
        except (QemuNotFound, OSError):
            continue
        found.setdefault((binary.release, binary.package), binary)
    return list(found.values())


def find(release: str | Release | None = None, program: str = PROGRAM) -> Binary:
    """Return the QEMU of ``release`` ("7.2": any 7.2.x, "7.2.22": only that one); by default, that in PATH.

    Raises QemuNotFound, listing those found.
    """
    known = find_all(program)
    for binary in known:
        if release is None or _matches(binary.release, release):
            return binary
    there = ", ".join(str(binary.release) for binary in known) or "none"
    wanted = program if release is None else f"{program} of release {release}"
    raise QemuNotFound(f"no {wanted}; found: {there}")


def _matches(there: Release, wanted: str | Release) -> bool:
    whole_line = isinstance(wanted, str) and wanted.count(".") == 1
    exact = Release.parse(wanted)
    return there.line == exact.line if whole_line else there == exact
