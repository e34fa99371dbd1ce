"""Debian's packages, downloaded by apt with an index of its own, and unpacked; nothing is installed.

A *root* is an unpacked set: the programs of a host (QEMU, Python, BusyBox for ppc64el), its kernel, or the
QEMU that emulates the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Root:
    """What is unpacked: packages of the last of some suites; ``closed``: with all that they depend on."""

    suites: tuple[str, ...]
    architecture: str
    packages: tuple[str, ...]
    closed: bool = True


_USERLAND = ("qemu-system-ppc", "qemu-system-data", "python3", "busybox-static")
STABLE, _BACKPORTS, _NEWEST = ("bookworm",), ("bookworm", "bookworm-backports"), ("sid",)
#: The QEMU in the hosts, by release.
USERLANDS = {
    "7.2": Root(STABLE, "ppc64el", _USERLAND),
    "10.0": Root(_BACKPORTS, "ppc64el", _USERLAND),
    "newest": Root(_NEWEST, "ppc64el", _USERLAND),
}
#: The hosts' kernels: the metapackage's dependency is the kernel itself.
KERNELS = {
    "6.1": Root(STABLE, "ppc64el", ("linux-image-powerpc64le",), closed=False),
    "6.12": Root(_BACKPORTS, "ppc64el", ("linux-image-powerpc64le",), closed=False),
}
#: Those whose pages have 4 KiB; the others have 64 KiB.
SMALL_PAGES = {"6.12"}
#: The QEMU that emulates a host, for the architecture of this machine.
OUTER = _BACKPORTS, ("qemu-system-ppc", "qemu-system-data")


class MissingTool(Exception):
    """A program or file that the lab needs is not on this machine."""


class Packages:
    """Unpacked packages below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def root(self, name: str, root: Root) -> Path:
        """Return the folder of an unpacked root; download it unless it is there."""
        to = self.folder / "roots" / name
        if to.exists():
            return to
        index = self._index(root.suites, root.architecture)
        debs = self.folder / "debs" / name
        (debs / "partial").mkdir(parents=True, exist_ok=True)
        if root.closed:
            options = ("--no-install-recommends", "-o", f"Dir::Cache::archives={debs}")
            self._apt(index, "install", "--download-only", "-y", *options, *root.packages)
        else:
            for package in root.packages:
                self._apt(index, "download", self._dependency(index, package), cwd=debs)
        part = to.with_name(f"{name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for deb in sorted(debs.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", deb, part], check=True)
        part.rename(to)
        return to

    def outer(self) -> Path:
        """Return the root with the QEMU that emulates hosts."""
        suites, packages = OUTER
        own = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
        return self.root("outer", Root(suites, own.stdout.strip(), packages))

    def _index(self, suites: tuple[str, ...], architecture: str) -> Path:
        """Return the configuration of an apt that knows these suites for one architecture."""
        apt = self.folder / "apt" / f"{suites[-1]}-{architecture}"
        file = apt / "apt.conf"
        if file.exists():
            return file
        if not KEYRING.exists() or shutil.which("apt-get") is None:
            raise MissingTool(f"the lab needs apt and {KEYRING}: a Debian system")
        for below in ("etc/apt.conf.d", "etc/preferences.d", "lib/lists/partial", "cache/archives/partial"):
            (apt / below).mkdir(parents=True, exist_ok=True)
        (apt / "status").touch()
        source = f"deb [arch={architecture} signed-by={KEYRING}] {_mirror()}"
        lines = "".join(f"{source} {suite} main\n" for suite in suites)
        (apt / "etc" / "sources.list").write_text(lines)
        new = file.with_suffix(".new")
        new.write_text(
            f'Dir::State "{apt}/lib"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}/cache";\n'
            f'Dir::Etc "{apt}/etc"; Dir::Etc::sourcelist "{apt}/etc/sources.list";\n'
            f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
            f'APT::Default-Release "{suites[-1]}"; APT::Sandbox::User "";\n'
            'Acquire::Languages "none"; Acquire::Check-Valid-Until "false";\n'
        )
        self._apt(new, "update")
        new.rename(file)
        return file

    def _dependency(self, index: Path, package: str) -> str:
        """Return the first package that a metapackage depends on."""
        run = subprocess.run(
            ["apt-cache", "depends", package],
            env=_environment(index),
            check=True,
            capture_output=True,
            text=True,
        )
        return next(line.split()[1] for line in run.stdout.splitlines() if "Depends:" in line)

    def _apt(self, index: Path, *arguments: str, cwd: Path | None = None) -> None:
        subprocess.run(["apt-get", "-q", *arguments], env=_environment(index), cwd=cwd, check=True)


def _environment(index: Path) -> dict[str, str]:
    return {**os.environ, "APT_CONFIG": str(index), "LC_ALL": "C"}


def _mirror() -> str:
    """Return the archive that this machine uses for Debian itself."""
    run = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)"],
        check=True,
        capture_output=True,
        text=True,
    )
    for line in run.stdout.splitlines():
        uri, _, of = line.partition(" ")
        if of == "Debian Debian":
            return uri
    raise MissingTool("apt knows no archive of Debian; run apt-get update")
