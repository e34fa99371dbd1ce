"""The initramfs of a host: QEMU, Python, BusyBox with their libraries, kernel modules, and ``init``.

It is written as a cpio archive without root's help: the archive says what is a device.
"""

from __future__ import annotations

import compileall
import lzma
import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kvm_lab.packages import MissingTool

_HERE = Path(__file__).resolve().parent
QEMU = "usr/bin/qemu-system-ppc64"
_LIBRARIES = (
    "usr/lib/powerpc64le-linux-gnu",
    "lib/powerpc64le-linux-gnu",
    "usr/lib",
    "lib",
    "lib64",
    "usr/lib64",
)
_OWN_FOLDERS = ("pulseaudio", "ceph", "systemd")
_APPLETS = (
    "sh",
    "mount",
    "insmod",
    "cat",
    "ls",
    "dmesg",
    "sync",
    "poweroff",
    "reboot",
    "cp",
    "mkdir",
    "sleep",
)
#: Modules of the host's kernel; what they need comes before them.
_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "kvm-hv", "kvm-pr")
#: Parts of Python's library that nothing here imports.
_LEFT_OUT = {"test", "idlelib", "tkinter", "lib2to3", "distutils", "ensurepip", "pydoc_data", "__pycache__"}
_FIRMWARE = ("slof.bin", "vof.bin")


@dataclass(frozen=True)
class Entry:
    """A file of the archive: ``content`` is what it holds, or a link's target."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def write_cpio(file: BinaryIO, entries: Iterator[Entry]) -> None:
    """Write entries, and the folders that hold them, in the format "newc"."""
    known: set[str] = set()
    number = 0
    for entry in entries:
        parents = [str(one) for one in reversed(PurePosixPath(entry.name).parents) if str(one) != "."]
        folders = [Entry(name, stat.S_IFDIR | 0o755) for name in parents]
        for one in (*folders, entry):
            if one.name not in known:
                known.add(one.name)
                number += 1
                _write_entry(file, one, number)
    _write_entry(file, Entry("TRAILER!!!", 0), 0)


def _write_entry(file: BinaryIO, entry: Entry, number: int) -> None:
    name = entry.name.encode() + b"\0"
    numbers = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % one for one in numbers) + name
    file.write(head + bytes(-len(head) % 4) + entry.content + bytes(-len(entry.content) % 4))


def entries(userland: Path, kernel: Path) -> Iterator[Entry]:
    """Yield the files of the initramfs of a host with the programs of ``userland`` and a kernel's modules."""
    yield Entry("init", stat.S_IFREG | 0o755, (_HERE / "init").read_bytes())
    for name in ("proc", "sys", "dev", "tmp", "x"):
        yield Entry(name, stat.S_IFDIR | 0o755)
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield _file("bin/busybox", _busybox(userland))
    for applet in _APPLETS:
        yield Entry(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")
    python = min((userland / "usr/bin").glob("python3.?*"))
    programs = [QEMU, f"usr/bin/{python.name}"]
    yield Entry("usr/bin/python3", stat.S_IFLNK | 0o777, python.name.encode())
    library = userland / "usr" / "lib" / python.name
    programs += [str(path.relative_to(userland)) for path in sorted(library.glob("lib-dynload/*.so"))]
    yield from _closure(userland, programs)
    yield from _python(userland, library)
    yield from _firmware(userland)
    yield from entries_of_modules(kernel)


def guest_entries(userland: Path) -> Iterator[Entry]:
    """Yield the files of the initramfs of a guest, which says that it has booted, and waits."""
    yield Entry("init", stat.S_IFREG | 0o755, (_HERE / "guest-init").read_bytes())
    for name in ("proc", "dev"):
        yield Entry(name, stat.S_IFDIR | 0o755)
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    yield _file("bin/busybox", _busybox(userland))
    for applet in ("sh", "mount", "cat", "sleep"):
        yield Entry(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox")


def _busybox(userland: Path) -> Path:
    return next(path for path in (userland / "bin/busybox", userland / "usr/bin/busybox") if path.exists())


def _file(name: str, path: Path) -> Entry:
    return Entry(name, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode), path.read_bytes())


def _closure(root: Path, programs: list[str]) -> Iterator[Entry]:
    """Yield programs with all shared libraries that they need.

    An extension of Python whose library is missing is left out.
    """
    if shutil.which("readelf") is None:
        raise MissingTool("the lab needs readelf, of binutils")
    done: set[str] = set()
    for program in programs:
        found: dict[str, Path] = {}
        if _needed(root, program, found):
            for name, path in found.items():
                if name not in done:
                    done.add(name)
                    yield _file(name, path)
        elif "/lib-dynload/" not in program:
            raise MissingTool(f"{program} needs a library that is not among the packages")


def _needed(root: Path, name: str, found: dict[str, Path]) -> bool:
    """Collect a file and what it needs in ``found``; return False if something is missing."""
    if name in found:
        return True
    found[name] = path = (root / name).resolve()
    run = subprocess.run(["readelf", "-dl", path], check=True, capture_output=True, text=True)
    loader = re.search(r"interpreter: /(\S+?)\]", run.stdout)
    if loader:
        found[loader[1]] = _library(root, PurePosixPath(loader[1]).name) or root / loader[1]
    complete = True
    for needed in re.findall(r"\(NEEDED\).*\[(.*)\]", run.stdout):
        library = _library(root, needed)
        complete &= library is not None and _needed(root, str(library.relative_to(root)), found)
    return complete


def _library(root: Path, name: str) -> Path | None:
    folders = [*_LIBRARIES, *(f"{_LIBRARIES[0]}/{own}" for own in _OWN_FOLDERS)]
    return next((root / folder / name for folder in folders if (root / folder / name).exists()), None)


def _python(root: Path, library: Path) -> Iterator[Entry]:
    """Yield Python's library, compiled where this Python is of the same version: emulated, that is slow."""
    if library.name == f"python{sys.version_info[0]}.{sys.version_info[1]}":
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH  # the archive keeps no times
        compileall.compile_dir(library, quiet=2, force=True, workers=2, invalidation_mode=unchecked)
        left_out = _LEFT_OUT - {"__pycache__"}
    else:
        left_out = _LEFT_OUT
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(
            name for name in folders if name not in left_out and not name.startswith("config-")
        )
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix in {".py", ".pyc"} and path.exists():
                yield _file(str(path.relative_to(root)), path.resolve())


def _firmware(root: Path) -> Iterator[Entry]:
    for name in _FIRMWARE:
        for folder in ("usr/share/qemu", "usr/share/slof"):
            path = root / folder / name
            if path.exists():
                yield _file(f"usr/share/qemu/{name}", path.resolve())
                break


def entries_of_modules(kernel: Path) -> Iterator[Entry]:
    """Yield the modules, numbered in the order in which they must be loaded."""
    files = sorted(path for path in kernel.rglob("*.ko*") if path.name.endswith((".ko", ".ko.xz")))
    paths = {path.name.partition(".")[0].replace("-", "_"): path for path in files}
    order: dict[str, bytes] = {}

    def add(name: str) -> None:
        path = paths.get(name.replace("-", "_"))
        if path is None or name in order:  # built in, or not there
            return
        content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        depends = re.search(rb"\0depends=([\w,-]*)\0", content)
        for needed in depends[1].decode().split(",") if depends else ():
            add(needed)
        order[name] = content

    for name in _MODULES:
        add(name)
    for number, (name, content) in enumerate(order.items()):
        folder = "kvm" if name.replace("-", "_") in {"kvm", "kvm_hv", "kvm_pr"} else "modules"
        yield Entry(f"lib/{folder}/{number:02}-{name}.ko", stat.S_IFREG | 0o644, content)


def build(output: Path, files: Iterator[Entry]) -> Path:
    """Write an initramfs, unless it is there."""
    if not output.exists():
        part = output.with_suffix(".part")
        with part.open("wb") as file:
            write_cpio(file, files)
        part.rename(output)
    return output
