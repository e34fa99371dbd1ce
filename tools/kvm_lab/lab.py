"""The lab: from packages to a running host, its jobs, its results, and how vmstate agrees with them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kvm_lab import outer
from kvm_lab.guesses import Guesses
from kvm_lab.initramfs import QEMU, build, entries, guest_entries
from kvm_lab.jobs import Jobs
from kvm_lab.kinds import KINDS, Kind, kind_of, with_small_pages
from kvm_lab.packages import KERNELS, SMALL_PAGES, USERLANDS, MissingTool, Packages
from kvm_lab.recorder import Recorder, read, write_answers
from kvm_lab.results import Comparison, compare, predicted, verdicts
from vmstate.containers import open_input
from vmstate.describe.history import Release
from vmstate.kvm.answers import read_answers
from vmstate.kvm.host_file import host_file, observed
from vmstate.pseries.tables.accelerators import Host, read_host
from vmstate.qemu.binary import PROGRAM, identify

Row = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What a host is asked: only the ``first`` question, ``boots`` of guests, loads of ``streams``.

    With ``groups``: that many random ones, by ``seed``, in place of the list of pairs.
    """

    first: bool = False
    boots: bool = False
    streams: Path | None = None
    groups: int = 0
    seed: int = 1


@dataclass(frozen=True)
class Place:
    """The folder of one host: its jobs, what it answered, and the kind that it is."""

    folder: Path
    name: str
    kind: Kind
    release: Release

    def write_jobs(self, wanted: Wanted) -> None:
        """Write the list of jobs."""
        jobs = Jobs(self.name, self.kind, self.release)
        first, *others = jobs.all()
        rows = [first]
        if wanted.boots:
            rows += jobs.boots()
        manifest = [] if wanted.streams is None else read(wanted.streams / "manifest.jsonl")
        if wanted.groups:
            rows += Guesses(wanted.seed, self.kind, self.release).jobs(self.name, wanted.groups, manifest)
        else:
            rows += [*jobs.loads(manifest), *([] if wanted.first else others)]
        self.folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "jobs.jsonl").write_text(text, "utf-8")


class Lab:
    """The lab in ``folder``; ``emulator``: another QEMU than the unpacked one."""

    def __init__(self, folder: Path, emulator: str | None = None) -> None:
        self._folder = folder
        self._packages = Packages(folder)
        self._emulator = emulator

    def place(self, name: str, qemu: str, kernel: str) -> Place:
        """Return the place of a host; its QEMU is fetched, to know its release."""
        userland = self._packages.root(f"userland-{qemu}", USERLANDS[qemu])
        folder = self._folder / "hosts" / f"{name}-{qemu}-{Path(kernel).name}"
        kind = with_small_pages(KINDS[name]) if kernel in SMALL_PAGES else KINDS[name]
        return Place(folder, name, kind, _release(userland / QEMU))

    def run(self, place: Place, wanted: Wanted, *, minutes: float) -> None:
        """Boot the host, and let it do its jobs."""
        start = time.monotonic()
        _, qemu, kernel = place.folder.name.removeprefix(place.name).split("-", 2)
        place.write_jobs(wanted)
        if wanted.streams is not None:
            _unpack(wanted.streams, place.folder / "streams")
        words = [self._emulator] if self._emulator else outer.emulator(self._packages.outer())
        root = self._kernel(kernel)
        userland = self._packages.root(f"userland-{qemu}", USERLANDS[qemu])
        initramfs = build(self._folder / f"initramfs-{qemu}-{kernel}.cpio", entries(userland, root))
        outer.write_recorder(place.folder / "recorder.zip")
        program = next(iter(sorted(root.glob("boot/vmlinux*")) or [root / "vmlinux"]))
        if wanted.boots:
            _guest(place.folder / "guest", program, userland)
        print(f"{place.folder}: ready after {time.monotonic() - start:.0f} s; booting", flush=True)
        arguments = outer.command(place.kind, place.folder, program, initramfs)
        status = outer.run([*words, *arguments], 60 * minutes, place.folder / "emulator.txt")
        print(f"{place.folder}: {time.monotonic() - start:.0f} s, status {status}", flush=True)
        if not (place.folder / "answers.txt").exists():
            raise MissingTool("the host has not come up, or has no KVM: see console.txt, emulator.txt")

    def _kernel(self, kernel: str) -> Path:
        """Return the root of a kernel of Debian, or a tree that was built, ``kernels/NAME`` of the lab."""
        if kernel in KERNELS:
            return self._packages.root(f"kernel-{kernel}", KERNELS[kernel])
        built = self._folder / "kernels" / kernel
        if not built.exists():
            raise MissingTool(f"no kernel {kernel}: neither one of {', '.join(KERNELS)}, nor {built}")
        return built


def _release(program: Path) -> Release:
    """Return the release of a QEMU of another architecture, which cannot be run: it is a string in it."""
    found = re.search(rb"(\d+\.\d+\.\d+) \(Debian", program.read_bytes())
    if found is None:
        raise MissingTool(f"{program} does not say its version")
    return Release.parse(found[1].decode())


def _guest(folder: Path, kernel: Path, userland: Path) -> None:
    """Put the kernel and the initramfs of guests where the host's QEMU reads them."""
    folder.mkdir(exist_ok=True)
    if not (folder / "vmlinux").exists():
        shutil.copyfile(kernel, folder / "vmlinux")
    build(folder / "initramfs", guest_entries(userland))


def _unpack(streams: Path, to: Path) -> None:
    """Put uncompressed streams where the host reads them."""
    to.mkdir(parents=True, exist_ok=True)
    for file in sorted(streams.glob("*.mig.zst")):
        target = to / file.name.removesuffix(".zst")
        if not target.exists():
            subprocess.run(["zstd", "-qdf", file, "-o", target], check=True)


def native(folder: Path) -> Place:
    """Record on this machine, with its own QEMU and KVM."""
    binary = identify(PROGRAM)
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    write_answers(folder)
    place = Place(folder, folder.name, kind_of(_host(folder)), binary.release)
    if not (folder / "jobs.jsonl").exists():
        place.write_jobs(Wanted())
    Recorder(folder, binary.path).run()
    return place


def _host(folder: Path) -> Host:
    """Make the host file of a folder's answers, and return the host."""
    answers = read_answers((folder / "answers.txt").read_text("utf-8").splitlines())
    file = folder / "host.toml"
    file.write_text("".join(f"{line}\n" for line in host_file(observed(answers))), "utf-8")
    return read_host(file)


def _verdicts(place: Place) -> Iterator[Row]:
    return verdicts(read(place.folder / "results.jsonl"), place.name, str(place.release))


def checked(fixtures: Path) -> Iterator[tuple[str, Comparison]]:
    """Compare the verdicts that come with the project with predictions, host by host."""
    hosts = {path.stem: read_host(path) for path in sorted((fixtures / "kvm" / "hosts").glob("*.toml"))}
    with open_input(fixtures / "verdicts" / "kvm.jsonl.zst") as file:
        rows = [json.loads(line) for line in bytes(file.data).splitlines()]
    streams = fixtures / "kvm" / "streams"
    for name in (*hosts, None):
        chosen = [row for row in rows if row["host"] == name]
        host = None if name is None else hosts[name]
        yield name or "TCG", compare(chosen, partial(predicted, host=host, streams=streams))


def recorded(place: Place, output: Path) -> int:
    """Write the verdicts of a host as JSON lines; return their number."""
    rows = list(_verdicts(place))
    output.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return len(rows)


def compared(place: Place) -> Comparison:
    """Make the host file, and compare what was recorded with predictions."""
    host = _host(place.folder)
    return compare(_verdicts(place), partial(predicted, host=host, streams=place.folder / "streams"))
