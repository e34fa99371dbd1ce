"""The sections of devices that a user can add to a machine, as a program itself lists them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from vmstate.errors import ConfigurationError
from vmstate.schema.from_dump import schema_of_dump

_LISTED = re.compile(r'^name "([^"]+)"', re.MULTILINE)
_SECONDS = 30.0


def creatable(program: str, machine: str) -> frozenset[str] | None:
    """Return the names of descriptions of devices for ``-device``; None if the program does not tell.

    ``-dump-vmstate`` has the description of each device type, ``-device help`` the types that a user can add;
    a program that fails at the second has those of all device types.
    """
    listed = _LISTED.findall(_output([program, "-machine", "none", "-device", "help"]))
    with tempfile.TemporaryDirectory(prefix="vmstate-") as folder:
        path = Path(folder) / "dump.json"
        _output([program, "-machine", machine, "-nodefaults", "-display", "none", "-dump-vmstate", str(path)])
        try:
            dumped = schema_of_dump(path.read_bytes(), str(path)).descriptions
        except (ConfigurationError, OSError):
            return None
    types = set(listed) or set(dumped)
    return frozenset(one.name for label, one in dumped.items() if label in types)


def _output(command: list[str]) -> str:
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout.decode("utf-8", "replace") if ended.returncode == 0 else ""
