"""The command lines in libvirt's log of a guest, ``/var/log/libvirt/qemu/GUEST.log``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vmstate.dataclass import dataclass
from vmstate.errors import ConfigurationError

_RELEASE = re.compile(r"qemu version: ?([0-9]+(?:\.[0-9]+)+)")
_STARTING = re.compile(r"[0-9-]+ [0-9:.]+\+[0-9]+: starting up\b")
#: Assignments to the environment, then a program and at least one argument.
_COMMAND = re.compile(r"([A-Za-z_]\w*=\S*\s+)*(\S*/)?(qemu-system-\S+|qemu-kvm|kvm|qemu-[0-9]\S*)\s")


@dataclass(frozen=True, slots=True)
class LoggedStart:
    """A start of a guest: its command line as logged; QEMU's release, None if the log does not have it."""

    command: str
    release: str | None


def last_start(text: str) -> LoggedStart:
    """Return the last start with a complete command line.

    A file with nothing but a command line, as of ``virsh domxml-to-native``, is a log too.  Raises
    ConfigurationError for a domain XML, and for a text without a command line.
    """
    if text.lstrip().startswith("<"):
        raise ConfigurationError(
            "this is a domain XML, expected a libvirt log: `virsh domxml-to-native qemu-argv --xml FILE` "
            "makes a command line of it"
        )
    found: LoggedStart | None = None
    release: str | None = None
    for line in _logical_lines(text):
        if _STARTING.match(line):
            version = _RELEASE.search(line)
            release = version[1] if version else None
        elif _COMMAND.match(line):
            found = LoggedStart(line, release)
    if found is None:
        raise ConfigurationError("no command line of QEMU, as libvirt logs it when a guest starts")
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines with their continuations after a backslash; one that is not finished is left out."""
    parts: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if _STARTING.match(stripped):
            parts = []  # a command line that was cut off
        if stripped.endswith("\\"):
            parts.append(stripped[:-1])
            continue
        yield " ".join((*parts, stripped))
        parts = []
