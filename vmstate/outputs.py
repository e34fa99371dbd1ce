"""Output files, each written whole or not at all, even over the file that is being read.

A new file grows beside the old one under a hidden name, reaches the disk, and takes the old one's place in
one step: a reader, or a map of the old file, never sees half a file, and a process that is killed, or a full
disk, leaves the old one as it was.  A hidden file that a killed process left is removed when the same output
is written again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

from vmstate.errors import ConfigurationError, OutputError, OutputWarning
from vmstate.holes import Sparse

_SUFFIX = ".vmstate-new"

Buffer = bytes | bytearray | memoryview


class _Written(Protocol):
    def write(self, data: Buffer, /) -> object: ...


def save(path: str | os.PathLike[str], chunks: Iterable[Buffer]) -> int:
    """Write the pieces to ``path`` ("-" is standard output).  Return the number of bytes written.

    Blocks of zeros become holes.  Raises OutputError if the file cannot be written; exceptions of the pieces'
    iterator pass through.  In both cases the old file is untouched.
    """
    with _opened(path) as file:
        if path == "-" or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return _copy(chunks, file)
        sparse = Sparse(file)
        size = _copy(chunks, sparse)
        sparse.finish()
    return size


def save_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text in UTF-8, as ``save`` does.  Raises OutputError."""
    with _opened(path) as file:
        file.write(text.encode())


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdout.buffer
        return
    with replaced(path) as new, _failures(path), new.open("wb") as file:
        yield file


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file to write, which replaces ``path`` when the block ends without an exception.

    The mode and the owner of a file that was there are kept; what cannot be kept is an OutputWarning.  What
    is no regular file (a pipe, /dev/stdout) is given itself.  Raises OutputError, before the block if the
    folder or the file is not to be written.
    """
    with _failures(path):
        target, old = _target(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        yield target
        return
    with _failures(path):
        _remove_leftovers(target)
        descriptor, new = _hidden_file(target)
    try:
        yield new
        with _failures(path):
            _keep(old, descriptor, path)
            os.fsync(descriptor)
            new.replace(target)
            _sync(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder to fill, which is at ``path`` when the block ends without an exception.

    Raises ConfigurationError if something is there already, unless it is an empty folder; OutputError.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(f"{target}: channels are written to a new folder, but this exists")
    made = target.with_name(f".{target.name[:64]}.{os.urandom(6).hex()}")
    with _failures(path):
        made.mkdir()
    try:
        yield made
        with _failures(path):
            made.replace(target.resolve())
    except BaseException:
        from shutil import rmtree  # imports bz2 and lzma, which a command that fails may

        rmtree(made)
        raise


@contextlib.contextmanager
def _failures(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)}: {error.strerror or error}") from error


def _copy(chunks: Iterable[Buffer], file: _Written) -> int:
    size = 0
    for chunk in chunks:
        file.write(chunk)
        size += len(chunk)
    return size


def _target(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """Follow symbolic links to the file that is to be replaced; return it with its status, if it exists."""
    try:
        old = Path(path).stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path)), None
    if stat.S_ISDIR(old.st_mode):
        raise OutputError(f"cannot write {os.fspath(path)}: it is a folder")
    if not stat.S_ISREG(old.st_mode):
        return Path(path), old
    if not old.st_mode & 0o222:
        raise OutputError(
            f"cannot write {os.fspath(path)}: it is read-only; make it writable first (chmod u+w)"
        )
    return Path(os.path.realpath(path)), old


def _hidden_file(target: Path) -> tuple[int, Path]:
    """Make the file that is to replace ``target``, and lock it for as long as this process lives."""
    while True:
        new = target.with_name(f"{_prefix(target)}{os.urandom(6).hex()}{_SUFFIX}")
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: leftovers stay there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # else another process took it for a leftover
            if os.path.samestat(new.stat(), os.fstat(descriptor)):
                return descriptor, new
        os.close(descriptor)


def _prefix(target: Path) -> str:
    return f".{os.fsdecode(os.fsencode(target.name)[:64])}."


def _remove_leftovers(target: Path) -> None:
    """Remove the hidden files of processes that were killed while they wrote this output."""
    prefix = _prefix(target)
    for one in os.scandir(target.parent):
        if not (one.name.startswith(prefix) and one.name.endswith(_SUFFIX)):
            continue
        with contextlib.suppress(OSError):  # locked: its process is at work
            descriptor = os.open(one.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                Path(one.path).unlink()
            finally:
                os.close(descriptor)


def _keep(old: os.stat_result | None, descriptor: int, path: str | os.PathLike[str]) -> None:
    """Give the new file the owner and the mode of the old one; say what is not kept."""
    if old is None:
        os.fchmod(descriptor, 0o666 & ~_umask())
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            _warn(f"{os.fspath(path)}: its owner {old.st_uid}:{old.st_gid} could not be kept")
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    if old.st_nlink > 1:
        _warn(f"{os.fspath(path)}: its other names (hard links: {old.st_nlink - 1}) keep the old contents")


def _warn(text: str) -> None:
    warnings.warn(text, OutputWarning, stacklevel=2)


def _sync(folder: Path) -> None:
    """Bring the folder's entry of the new file to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
