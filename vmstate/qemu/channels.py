"""Receive a migration of several channels, and keep each of them in a file of a folder.

A source connects once for the main channel and once for each multifd channel.  What came through a connection
shows which it was: a stream begins with its own magic, a multifd channel with another one and its number.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from vmstate.qemu.failures import QmpRefused
from vmstate.stream.constants import MAGIC_BYTES, MULTIFD_MAGIC_BYTES
from vmstate.stream.multifd.folder import CHANNEL, MAIN
from vmstate.stream.multifd.packets import NUMBER_AT

_CHUNK = 1 << 20
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
