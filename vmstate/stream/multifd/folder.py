"""A folder with the channels of one migration, each in a file: the main one, and those of multifd.

The files are known by their first bytes; their names do not matter.  Each may be compressed.
"""

from __future__ import annotations

import os
from pathlib import Path

from vmstate.containers import Opened, open_input
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass
from vmstate.errors import Finding, Place, Severity, StreamError, quantity
from vmstate.stream.constants import MAGIC_BYTES
from vmstate.stream.multifd.joining import Joining, postcopy_records
from vmstate.stream.multifd.packets import PACKET_SIZE, Channel, announced_pages, is_channel, read_channel
from vmstate.stream.reader import Stream, open_stream
from vmstate.stream.resolve import Resolver

MAIN, CHANNEL = "main", "channel-"
"""The names that `vmstate capture` gives the files."""

_MOST_FILES = 1 + 255 + 1
_TLS = b"\x16\x03"


def open_folder(
    path: str | os.PathLike[str], resolver: Resolver | None = None, *, limit: int | None = None
) -> Opened:
    """Open the channels in a folder as one plain stream; a finding says that it was made of them.

    Raises StreamError if a file cannot be read, or there is not one main channel; Unsupported for pages
    compressed in a way that is not read here; TooLarge beyond the limit.
    """
    main_file, opened = _opened(path, limit)
    main = open_stream(opened[main_file].data, resolver)
    others = {file: one.data for file, one in opened.items() if file != main_file}
    findings = [finding for one in opened.values() for finding in one.findings]
    channels = _channels(main, others, limit)
    rest = {file: data for file, data in others.items() if not is_channel(data)}
    preempt = {file: postcopy_records(data, main) for file, data in rest.items()}
    joining = Joining(main, channels, [records for records in preempt.values() if records is not None])
    findings += (finding for channel in channels for finding in channel.findings)
    findings += joining.findings
    findings += (_odd(file, rest[file]) for file, records in preempt.items() if records is None)
    spool = Spool(limit)
    for chunk in joining.chunks():
        spool.write(chunk)
    data = spool.finish()
    return Opened(data, (), (_made_of(channels, len(preempt)), *findings), None, data)


@dataclass(frozen=True)
class Files:
    """The files of one migration; ``compressions``: those of the channels' pages."""

    main: Path
    others: tuple[Path, ...]
    channels: int
    compressions: frozenset[str]


def files_of(path: str | os.PathLike[str], *, limit: int | None = None) -> Files:
    """Return which file in a folder is which.  Raises the errors of :func:`open_folder`."""
    main, opened = _opened(path, limit)
    others = {file: one.data for file, one in opened.items() if file != main}
    channels = _channels(open_stream(opened[main].data), others, limit)
    kinds = frozenset(one.compression for one in channels if one.compression)
    return Files(main, tuple(others), len(channels), kinds)


def _opened(path: str | os.PathLike[str], limit: int | None) -> tuple[Path, dict[Path, Opened]]:
    """Open all files; return which has the main channel, and them all."""
    opened = {file: open_input(file, limit=limit) for file in _files(Path(path))}
    mains = [file for file, one in opened.items() if bytes(one.data[:4]) == MAGIC_BYTES]
    if len(mains) != 1:
        names = ", ".join(file.name for file in mains) or "none"
        raise StreamError(
            f"{path} is a folder, but not of one migration",
            expected="one main channel, which begins with QEVM, and those of multifd",
            found=names,
        )
    return mains[0], opened


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise StreamError(f"cannot read {folder}: {error.strerror or error}") from error
    if len(found) > _MOST_FILES:
        raise StreamError(f"{folder} has {len(found)} files: more than a migration has channels")
    return [one for one in found if one.is_file()]


def _channels(main: Stream, others: dict[Path, memoryview], limit: int | None) -> list[Channel]:
    data = [one for one in others.values() if is_channel(one)]
    size = _page_size(main, data)
    if main.ram is not None:
        main.ram.assume_page_size(size)
        size = main.ram.page_size
    return sorted((read_channel(one, size, limit) for one in data), key=lambda one: one.number)


def _page_size(main: Stream, channels: list[memoryview]) -> int:
    """Return the size of a page: as the description says, or as a packet has room for pages."""
    if main.vmdesc is not None and main.vmdesc.page_size is not None:
        return main.vmdesc.page_size
    places = next(filter(None, map(announced_pages, channels)), None)
    if places is not None and PACKET_SIZE % places == 0 and 256 <= PACKET_SIZE // places <= 1 << 16:
        return PACKET_SIZE // places
    return 4096 if main.ram is None else main.ram.page_size


def _made_of(channels: list[Channel], others: int) -> Finding:
    kinds = ", ".join(sorted({one.compression for one in channels if one.compression})) or "none"
    beside = quantity(len(channels), "multifd channel") + (" and another" if others else "")
    text = f"one plain stream, made of a main channel and {beside} (compression: {kinds})"
    return Finding("multifd.joined", Severity.INFO, text, Place())


def _odd(file: Path, data: memoryview) -> Finding:
    if bytes(data[:2]) == _TLS:
        text = f"{file.name}: a channel encrypted with TLS cannot be read"
        return Finding("multifd.tls", Severity.ERROR, text, Place())
    return Finding("multifd.file", Severity.WARNING, f"{file.name}: not a channel of this migration", Place())
