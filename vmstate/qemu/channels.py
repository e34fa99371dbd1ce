"""Receive a migration of several channels, and keep each of them in a file of a folder; send it again.

A source connects once for the main channel and once for each multifd channel.  What came through a connection
shows which it was: a stream begins with its own magic, a multifd channel with another one and its number.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vmstate.containers import open_input
from vmstate.qemu.failures import QmpRefused
from vmstate.stream.constants import MAGIC_BYTES, MULTIFD_MAGIC_BYTES
from vmstate.stream.multifd.folder import CHANNEL, MAIN, files_of
from vmstate.stream.multifd.packets import NUMBER_AT

_CHUNK = 1 << 20
_GREETING = 64  # bytes; by its first ones QEMU knows which channel a connection is (7.2 and later)
_PATIENCE = 10.0  # seconds for what QEMU has sent to arrive, once it has ended


class Receiver:
    """Accepts connections on a socket ``path`` and writes each to a file of its own in ``folder``."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._folder = folder
        self._files: list[Path] = []
        self._copying: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(256)
        self._accepting = threading.Thread(target=self._accept, name="vmstate-channels", daemon=True)
        self._accepting.start()

    def finish(self) -> list[Path]:
        """Wait for the ends of the channels, and name their files.  Raises QmpRefused if one is missing."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(_PATIENCE)
        self._listener.close()
        for thread in self._copying:
            thread.join(_PATIENCE)
        if any(thread.is_alive() for thread in self._copying):
            raise QmpRefused("migrate", "a channel did not end")
        return sorted(path.replace(path.with_name(_name(path))) for path in self._files)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # finish closed the listener
            path = self._folder / f"connection-{len(self._files)}"
            thread = threading.Thread(target=_copy, args=(connection, path), daemon=True)
            self._files.append(path)
            self._copying.append(thread)
            thread.start()


class Sender:
    """The channels in a folder, for a destination that waits at a socket."""

    def __init__(self, folder: Path) -> None:
        self._files = files_of(folder)

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the migration that a destination must be given alike."""
        found: dict[str, object] = {"multifd-channels": self._files.channels}
        for kind in self._files.compressions:
            found["multifd-compression"] = kind
        return found

    @contextmanager
    def sending(self, path: Path) -> Iterator[None]:
        """Send all channels, the main one first; the connections stay open during the block."""
        connections = []
        sending = []
        try:
            for file in (self._files.main, *self._files.others):
                connection = socket.socket(socket.AF_UNIX)
                connections.append(connection)
                connection.connect(str(path))
                content = open_input(file).data
                connection.sendall(content[:_GREETING])  # QEMU takes the first connection for the main one
                rest = content[_GREETING:]
                sending.append(threading.Thread(target=_send, args=(connection, rest), daemon=True))
                sending[-1].start()
            yield
        finally:
            for connection in connections:
                connection.close()
            for thread in sending:
                thread.join(_PATIENCE)


def _send(connection: socket.socket, content: memoryview) -> None:
    with suppress(OSError):  # QEMU may have refused the stream
        connection.sendall(content)


def _copy(connection: socket.socket, path: Path) -> None:
    with connection, path.open("wb") as file:
        while chunk := connection.recv(_CHUNK):
            file.write(chunk)


def _name(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(NUMBER_AT + 1)
    if head[:4] == MAGIC_BYTES:
        return MAIN
    if head[:4] == MULTIFD_MAGIC_BYTES and len(head) > NUMBER_AT:
        return f"{CHANNEL}{head[NUMBER_AT]:03}"
    return path.name
