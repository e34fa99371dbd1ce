"""Plain ``struct`` readers for the framing, at absolute offsets of a window on the stream.

They read the structures that :mod:`vmstate.stream.framing` declares, at less cost, and report missing bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from vmstate.containers.foreign import named
from vmstate.dataclass import dataclass
from vmstate.errors import StreamError, Truncated, Unsupported
from vmstate.mapped_pages import MappedPages
from vmstate.stream.constants import MAGIC, MULTIFD_MAGIC, VERSION, VERSION_COMPAT, SectionType
from vmstate.stream.items import Configuration, ConfigurationSubsection, FileHeader

Buffer: TypeAlias = memoryview

_PIECE = 1 << 20

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_HEADER = struct.Struct(">II")
_COMMAND = struct.Struct(">BHH")


class Window:
    """The visible part of a stream: ``view`` begins at absolute offset ``base``.

    ``complete``: no bytes come after the view.  Over a map the window is the whole stream.
    Of a view of a whole map, the kernel is advised which pages are needed.
    """

    __slots__ = ("ahead", "base", "behind", "complete", "end", "view")

    def __init__(self, view: memoryview, base: int = 0, complete: bool = True) -> None:
        self.view = view
        self.base = base
        self.complete = complete
        self.end = base + len(view)
        pages = MappedPages(view)
        self.ahead = pages.ahead
        self.behind = pages.behind

    def take(self, at: int, size: int) -> memoryview:
        """Return ``size`` bytes at ``at``; Truncated if they are not there (yet)."""
        if size > self.end - at:
            raise Truncated(size, max(0, self.end - at), offset=at)
        return self.view[at - self.base : at - self.base + size]

    def u8(self, at: int) -> int:
        """Return the byte at ``at``."""
        if at >= self.end:
            raise Truncated(1, 0, offset=at)
        return self.view[at - self.base]

    def u32(self, at: int) -> int:
        """Return the big-endian 32-bit number at ``at``."""
        if self.end - at < 4:
            raise Truncated(4, max(0, self.end - at), offset=at)
        return int(_U32.unpack_from(self.view, at - self.base)[0])

    def u64(self, at: int) -> int:
        """Return the big-endian 64-bit number at ``at``."""
        if self.end - at < 8:
            raise Truncated(8, max(0, self.end - at), offset=at)
        return int(_U64.unpack_from(self.view, at - self.base)[0])

    def name(self, at: int) -> tuple[str, int]:
        """Return a counted name and the offset after it; bytes that are not UTF-8 become surrogates."""
        size = self.u8(at)
        return text_of(self.take(at + 1, size)), at + 1 + size


def text_of(data: memoryview) -> str:
    """Decode the bytes of a name; lossless for any bytes."""
    return bytes(data).decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Encode a name that :func:`text_of` decoded."""
    return text.encode("utf-8", "surrogateescape")


class SectionStart(NamedTuple):
    """The header of a START or FULL section, which names the device; the payload follows it."""

    section_id: int
    idstr: str
    instance_id: int
    version_id: int
    payload_start: int


def file_header(win: Window, at: int) -> FileHeader:
    """Read the file header (qemu_loadvm_state_header).

    StreamError when it is not a migration stream, Unsupported when it is a multifd channel beside one.
    """
    if win.complete and not win.view:
        raise Truncated(8, 0, offset=at, remedy="the file is empty")
    magic, version = _HEADER.unpack(win.take(at, 8))
    if magic == MULTIFD_MAGIC:
        raise Unsupported("a multifd channel: it carries pages; the stream is on the main channel", offset=at)
    if magic != MAGIC:
        kind = named(win.view)
        what = f"{kind.name}, not a migration stream" if kind else "not a migration stream"
        remedy = kind.remedy if kind else None
        raise StreamError(what, offset=at, expected=f"{MAGIC:#x}", found=f"{magic:#x}", remedy=remedy)
    if version not in (VERSION_COMPAT, VERSION):
        raise StreamError("unsupported stream version", offset=at + 4, expected=VERSION, found=version)
    return FileHeader(at, at + 8, version)


def section_start(win: Window, at: int) -> SectionStart:
    """Read the header of a START or FULL section, from its kind byte on."""
    section_id = win.u32(at + 1)
    idstr, pos = win.name(at + 5)
    return SectionStart(section_id, idstr, win.u32(pos), win.u32(pos + 4), pos + 8)


def command_header(win: Window, at: int) -> tuple[int, int, int]:
    """Return the command number, the length of its data, and the offset of the data."""
    _, number, length = _COMMAND.unpack(win.take(at, 5))
    return number, length, at + 5


@dataclass
class _Settings:
    """The values in the configuration's subsections."""

    target_page_bits: int | None = None
    capabilities: tuple[str, ...] = ()
    uuid: bytes | None = None


def _page_bits(win: Window, at: int, settings: _Settings) -> int:
    settings.target_page_bits = win.u32(at)
    return at + 4


_MOST_CAPABILITIES = 255  # QEMU has about 25; a false count must not cost a scan of the whole stream


def _capabilities(win: Window, at: int, settings: _Settings) -> int:
    count, at = win.u32(at), at + 4
    if count > _MOST_CAPABILITIES:
        raise StreamError(
            "too many capabilities",
            offset=at - 4,
            section="configuration",
            expected=f"at most {_MOST_CAPABILITIES}",
            found=count,
        )
    names = []
    for _ in range(count):
        name, at = win.name(at)
        names.append(name)
    settings.capabilities = tuple(names)
    return at


def _uuid(win: Window, at: int, settings: _Settings) -> int:
    settings.uuid = bytes(win.take(at, 16))
    return at + 16


_SUBSECTIONS = {
    "configuration/target-page-bits": _page_bits,
    "configuration/capabilities": _capabilities,
    "configuration/uuid": _uuid,
}


def configuration(win: Window, at: int) -> Configuration:
    """Read the configuration section; StreamError at an unknown subsection, whose length is unknown too."""
    size = win.u32(at + 1)
    machine = text_of(win.take(at + 5, size))
    pos = at + 5 + size
    settings = _Settings()
    subsections = []
    for sub in _configuration_subsections(win, pos, settings):
        subsections.append(sub)
        pos = sub.end
    return Configuration(
        at, pos, machine, tuple(subsections), settings.target_page_bits, settings.capabilities, settings.uuid
    )


def _configuration_subsections(
    win: Window, pos: int, settings: _Settings
) -> Iterator[ConfigurationSubsection]:
    # A stream may end right after the machine's name; only a window that is not complete has to wait.
    while not (win.complete and pos == win.end) and win.u8(pos) == SectionType.SUBSECTION:
        name, after = win.name(pos + 1)
        version, payload = win.u32(after), after + 4
        read = _SUBSECTIONS.get(name)
        if read is None:
            raise StreamError("unknown subsection", offset=pos, section="configuration", found=name)
        end = read(win, payload, settings)
        yield ConfigurationSubsection(pos, payload, end, name, version)
        pos = end


def is_zero(raw: memoryview) -> bool:
    """Return True if all bytes are zero; they are looked at in pieces, up to the first that is not."""
    pieces = (raw[at : at + _PIECE] for at in range(0, len(raw), _PIECE))
    return all(bytes(piece) == bytes(len(piece)) for piece in pieces)
