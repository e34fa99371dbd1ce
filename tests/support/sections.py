"""The core sections of captured streams, and the devices that they are compared with."""

from __future__ import annotations

import re
import struct
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import corpus
from vmstate.describe import Release
from vmstate.pseries.board.device import Device
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.declarations import device_classes
from vmstate.pseries.devices.cpu.cpu import Cpu
from vmstate.pseries.devices.cpu.cpu_common import CpuCommon
from vmstate.pseries.devices.cpu.spapr_cpu import SpaprCpu
from vmstate.pseries.devices.interrupts.xics import Icp, Ics
from vmstate.pseries.devices.interrupts.xive import SpaprXive, XiveSource, XiveTctx
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.startup.build import Machine, build
from vmstate.pseries.startup.command_line import configuration
from vmstate.stream import Stream, open_stream


def device_class(idstr: str) -> type[Device] | None:
    """Return the device class that sends sections of this name, with or without a bus path in front."""
    known = device_classes()
    return next((known[name][0] for name in known if idstr == name or idstr.endswith(f"/{name}")), None)


CLASSES: dict[str, type[Device]] = {
    "cpu_common": CpuCommon,
    "cpu": Cpu,
    "spapr_cpu": SpaprCpu,
    "icp/server": Icp,
    "ics": Ics,
    "xive-source": XiveSource,
    "spapr-xive": SpaprXive,
    "xive-tctx": XiveTctx,
    "spapr": Spapr,
}
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@dataclass(frozen=True)
class Facts:
    """The facts about its machine that a stream gives."""

    release: Release
    flags: Any


@dataclass(frozen=True)
class Found:
    """One section: the offset of its payload, and of its end if there are footers."""

    idstr: str
    instance_id: int
    version_id: int
    start: int
    end: int | None


def names(*, booted: bool | None = None) -> list[str]:
    rows = corpus.manifest()
    return [
        name
        for name in corpus.names()
        if "pseries-" in " ".join(rows[name]["args"]) and rows[name].get("binary") is None
        if booted is None or bool(rows[name].get("booted_seconds", True)) is booted
    ]


def machine_type(name: str) -> str:
    arguments = corpus.manifest()[name]["args"]
    return arguments[arguments.index("-machine") + 1].split(",")[0]


def facts(name: str) -> Facts:
    release = Release.parse(corpus.manifest()[name]["release"])
    return Facts(release, CATALOGUE.binary(release).machine_class(machine_type(name)).flags)


@cache
def found(name: str) -> tuple[Found, ...]:
    """Find sections by their headers, independently of the reader and of their lengths."""
    data = corpus.load(name)
    return tuple(sorted(_found(data), key=lambda f: f.start))


def _found(data: bytes) -> Iterator[Found]:
    for idstr in CLASSES:
        title = re.escape(bytes([len(idstr)]) + idstr.encode())
        for match in re.finditer(rb"\x04(....)" + title + rb"(....)(....)", data, re.DOTALL):
            section_id, instance_id, version_id = (struct.unpack(">I", g)[0] for g in match.groups())
            if section_id < 5000 and instance_id < 1000 and version_id < 10:
                end = data.find(b"\x7e" + match.group(1), match.end())
                yield Found(idstr, instance_id, version_id, match.end(), end if end >= 0 else None)


def has_footers(name: str) -> bool:
    return not name.endswith("-pseries-2.1")


def built(release: str, arguments: list[str]) -> Machine:
    start = build(configuration(release, arguments))
    assert start.machine is not None, start.messages
    return start.machine


def devices(machine: Machine) -> dict[tuple[str, int], Device]:
    """Return all devices of a machine after reset, by name and instance."""
    from vmstate.simulate.instance import Instance

    made = (entry.device for entry in Instance(machine).entries)
    return {(device.idstr, device.instance_id): device for device in made}


@cache
def unpredictable() -> dict[tuple[str, str], str]:
    """Map (section, field or subsection) to the reason why its bytes cannot be predicted."""
    rows = tomllib.loads((FIXTURES / "unpredictable.toml").read_text())["bytes"]
    return {(row["section"], row["path"]): row["reason"] for row in rows}


def running(release: str, *arguments: str) -> Machine:
    """Build and boot a machine, as devices see one."""
    return built(release, ["-nodefaults", *arguments]).boot()


PSERIES = ["-nodefaults", "-machine", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken"]
#: Booted guests had a console, which the recorded arguments leave out.
CONSOLE = ["-serial", "null"]
NOT_BUILT = {"10.0-devices"}  # a TPM proxy: not modelled
#: Streams of machines that have not booted a guest and can be built.
BUILDABLE = [n for n in names(booted=False) if n not in NOT_BUILT]


def arguments(name: str) -> list[str]:
    """Return the command line of a captured stream, with the console of a booted guest."""
    row = corpus.manifest()[name]
    has_console = "-serial" in row["args"]
    return row["args"] + (CONSOLE if row.get("booted_seconds") and not has_console else [])


def machine(release: str, arguments: list[str]) -> Machine:
    """Return a machine of a process."""
    return built(release, arguments).boot()


@cache
def stream(name: str) -> Stream:
    """Return a captured stream, opened once."""
    return open_stream(corpus.load(name))
