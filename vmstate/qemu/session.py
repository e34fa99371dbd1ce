"""A synchronous interface to one run of a real QEMU: started paused, controlled by QMP, always ended.

``qemu.qmp`` uses asyncio; it runs in a thread of the session, so that the caller may have a loop of its own.
Nothing waits for ever: every step ends by its deadline, or the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, Any, Self, TypeVar

from vmstate.dataclass import dataclass
from vmstate.qemu.command_line import QemuCommand
from vmstate.qemu.failures import QemuNotFound, QemuRefused, QemuStalled, QmpRefused, QmpUnavailable

T = TypeVar("T")

_ENDING = 5.0  # seconds that QEMU may take to end after it is asked to quit, or a twelfth of the timeout
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a QEMU: its return code (minus the signal's number), and its lines on stderr."""

    returncode: int
    messages: tuple[str, ...]


def _qmp() -> ModuleType:
    try:
        import qemu.qmp
    except ImportError as error:
        raise QmpUnavailable(
            "a real QEMU needs the package qemu.qmp: pip install 'qemu-vmstate[qemu]'"
        ) from error
    return qemu.qmp


class Gone(Exception):
    """QEMU closed the connection: it has ended, or is about to.  Never leaves ``vmstate.qemu``."""


class Session:
    """A running, paused QEMU.

    ``with Session(command, incoming=True) as qemu:`` starts it; it never outlives the block.
    ``timeout``: seconds for everything up to :meth:`finish`.

    Entering raises QmpUnavailable, QemuNotFound, QemuRefused (it ended before it was ready) or
    QemuStalled (it was not ready in time).
    """

    def __init__(self, command: QemuCommand, *, incoming: bool = False, timeout: float = 60.0) -> None:
        self.command = command
        self._incoming = incoming
        self._timeout = timeout
        self._ending = max(_ENDING, timeout / 12)
        self._deadline = 0.0
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._messages: tuple[str, ...] | None = None

    def __enter__(self) -> Self:
        qmp = _qmp()
        self._deadline = time.monotonic() + self._timeout
        try:
            self._loop = self._stack.enter_context(_loop_in_thread())
            self._client = qmp.QMPClient()
            self._start()
        except Gone:
            raise self._refused() from None
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def execute(self, name: str, /, **arguments: object) -> Any:
        """Run a QMP command and return its value.

        Raises QmpRefused if QEMU answers with an error, QemuStalled if it does not answer in time, and
        QemuRefused if it ends instead.
        """
        try:
            return self.ask(name, **arguments)
        except Gone:
            ended = self.finish()
            raise QemuRefused(f"QEMU ended at {name}", ended.returncode, ended.messages) from None

    def ask(self, name: str, /, **arguments: object) -> Any:
        """Like :meth:`execute`, but raise :class:`Gone` if QEMU ends: for commands that may end it."""
        qmp = _qmp()
        try:
            return self._await(self._client.execute(name, arguments or None), f"an answer to {name}")
        except qmp.ExecuteError as error:
            raise QmpRefused(name, str(error)) from None
        except (qmp.ExecInterruptedError, qmp.QMPError, OSError, EOFError):
            raise Gone from None

    def enable(self, capabilities: Iterable[str]) -> None:
        """Enable migration capabilities by name.  Raises the errors of :meth:`execute`."""
        for name in capabilities:
            switch = {"capability": name, "state": True}
            self.execute("migrate-set-capabilities", capabilities=[switch])

    def polls(self, what: str) -> Iterator[None]:
        """Yield at growing intervals, to poll QEMU; raise QemuStalled, naming ``what``, at the deadline."""
        pause = _FIRST_PAUSE
        while True:
            yield
            if time.monotonic() > self._deadline:
                raise self._stalled(what)
            time.sleep(pause)
            pause = min(pause * 1.3, _LONGEST_PAUSE)

    def sleep(self, seconds: float) -> None:
        """Let the guest run for some seconds; the deadline moves by the same time."""
        self._deadline += seconds
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)

    def finish(self) -> Ended:
        """Ask QEMU to quit, if it has not ended yet, and return its status and all its output."""
        with contextlib.suppress(Gone, QmpRefused, QemuStalled):
            if self._process is not None and self._process.poll() is None:
                self.ask("quit")
        return self.ended()

    def ended(self) -> Ended:
        """Wait briefly for QEMU to end by itself, and kill it if it does not."""
        if self._process is None:
            return Ended(-signal.SIGKILL, self._messages or ())
        try:
            returncode = self._process.wait(self._ending)
        except subprocess.TimeoutExpired:
            self._process.kill()
            returncode = self._process.wait()
        return Ended(returncode, self._read_messages())

    def _start(self) -> None:
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="vmstate-")))
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        path = directory / "qmp"
        listener.bind(_short_enough(path))
        listener.listen(1)
        listener.setblocking(False)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (the stack closes it)
        self._stack.callback(self._stderr.close)
        argv = self.command.argv(qmp=str(path), incoming=self._incoming)
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._stderr
            )
        except OSError as error:
            raise QemuNotFound(f"{self.command.program} cannot be started: {error.strerror}") from error
        self._await(self._connect(listener), "QEMU to get ready")

    async def _connect(self, listener: socket.socket) -> None:
        """Accept QEMU's connection; Gone if it ends before it connects, or before it answers.

        QEMU greets early, but answers the negotiation only when its machine is built.
        """
        calling = asyncio.ensure_future(asyncio.get_running_loop().sock_accept(listener))
        while not calling.done():
            await asyncio.wait([calling], timeout=_LONGEST_PAUSE)
            if self._process is not None and self._process.poll() is not None and not calling.done():
                calling.cancel()
                raise Gone
        connection, _ = calling.result()
        try:
            await self._client.connect(connection)
        except _qmp().QMPError:
            raise Gone from None

    def _await(self, work: Coroutine[Any, Any, T], what: str) -> T:
        if self._loop is None:
            work.close()
            raise Gone
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(max(self._deadline - time.monotonic(), 0.01))
        except TimeoutError:
            future.cancel()
            raise self._stalled(what) from None

    def _stalled(self, what: str) -> QemuStalled:
        self._kill()
        text = f"{self.command.program}: waited {self._timeout:g} s for {what}; it was killed"
        return QemuStalled(text, self._read_messages())

    def _refused(self) -> QemuRefused:
        ended = self.ended()
        self._close()
        how = f"signal {-ended.returncode}" if ended.returncode < 0 else f"status {ended.returncode}"
        text = f"{self.command.program} ended ({how}) before it was ready"
        return QemuRefused(text, ended.returncode, ended.messages)

    def _read_messages(self) -> tuple[str, ...]:
        if self._messages is None and self._stderr is not None:
            self._stderr.seek(0)
            lines = self._stderr.read().decode("utf-8", "replace").splitlines()
            self._messages = tuple(map(self.command.plain, lines))
        return self._messages or ()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _close(self) -> None:
        self._kill()
        if self._loop is not None and self._client is not None:
            hanging_up = asyncio.run_coroutine_threadsafe(self._client.disconnect(), self._loop)
            with contextlib.suppress(Exception):  # the other end is dead: any error is irrelevant
                hanging_up.result(_ENDING)
        self._loop = None
        self._stack.close()


@contextlib.contextmanager
def _loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="vmstate-qmp", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _short_enough(path: Path) -> str:
    """Return the path as a string; a socket's path has room for 107 bytes."""
    if len(str(path).encode()) > 107:
        raise QemuNotFound(f"{path} is too long for a socket; set TMPDIR to a shorter directory")
    return str(path)
