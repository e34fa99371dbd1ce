"""Guest memory as a stream holds it, for devices that look into it while they are loaded."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vmstate.errors import StreamError

if TYPE_CHECKING:
    from vmstate.stream.sections.ram_pages import RamPages


class GuestMemory:
    """The memory in ``stream``, which is only read once something is asked.

    The block as large as guest memory, ``ram_size`` bytes, begins at address 0.
    """

    def __init__(self, stream: memoryview, ram_size: int) -> None:
        self._stream, self._ram_size = stream, ram_size

    def read(self, address: int, size: int) -> bytes | None:
        """Return bytes of one page by their physical address; None where the stream does not tell."""
        if self._pages is None:
            return None
        start, page_size = address % self._pages.page_size, self._pages.page_size
        for index, block in enumerate(self._pages.ram.blocks):
            if (
                block.length == self._ram_size
                and address + size <= block.length
                and start + size <= page_size
            ):
                try:
                    return bytes(self._pages.page(index, address - start)[start : start + size])
                except StreamError:
                    return None
        return None

    @property
    def was_read(self) -> bool:
        """True once anything has been asked."""
        return "_pages" in vars(self)

    @cached_property
    def _pages(self) -> RamPages | None:
        from vmstate.stream.reader import open_stream
        from vmstate.stream.sections.ram_pages import RamPages

        try:
            stream = open_stream(self._stream)
        except StreamError:
            return None
        return None if stream.ram is None else RamPages(stream.ram, stream.data)
