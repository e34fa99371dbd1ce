"""Install pip into this interpreter from the package registry, using only the standard library.

For Debian's bare python3, which has no ensurepip, where apt-get cannot help.  The registry is the one that
pip is configured for (PIP_INDEX_URL, or ``index-url`` in a pip.conf); the wheel is checked against the
registry's checksum.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

CONFIGURATIONS = ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/pip.conf")
LINK = re.compile(r'href="([^"]*/(pip-(\d+)\.(\d+)(?:\.(\d+))?-py3-none-any\.whl)#sha256=([0-9a-f]{64}))"')


def newest_wheel(page: str, base: str) -> tuple[str, str, str]:
    """Return the address, file name and SHA-256 of the newest pip on a registry's page."""
    found = [
        (tuple(int(part or 0) for part in version), link, name, checksum)
        for link, name, *version, checksum in LINK.findall(page)
    ]
    if not found:
        sys.exit(f"no pip at {base}")
    _, link, name, checksum = max(found)
    return urllib.parse.urljoin(base, link), name, checksum


def fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        data: bytes = answer.read()
    return data


def configured_index() -> str:
    """Return the package registry that pip is configured to use."""
    config = configparser.ConfigParser(interpolation=None)
    config.read(Path(name).expanduser() for name in reversed(CONFIGURATIONS))
    index = os.environ.get("PIP_INDEX_URL") or config.get("global", "index-url", fallback="")
    if not index:
        sys.exit("no package registry is configured (PIP_INDEX_URL, or index-url in a pip.conf)")
    return index.rstrip("/")


def main() -> int:
    base = f"{configured_index()}/pip/"
    try:
        address, name, checksum = newest_wheel(fetch(base).decode(), base)
        wheel = fetch(address)
    except OSError as error:
        sys.exit(f"the package registry does not answer: {error}")
    if hashlib.sha256(wheel).hexdigest() != checksum:
        sys.exit(f"the checksum of {name} differs from the registry's")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(wheel)
        # A wheel is a zip file, and pip runs from one.
        return subprocess.call([sys.executable, f"{path}/pip", "install", "--quiet", str(path)])


if __name__ == "__main__":
    raise SystemExit(main())
