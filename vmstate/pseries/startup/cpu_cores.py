"""Processor cores of the command line: ``-device power9_v2.0-spapr-cpu-core,core-id=4``."""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.pseries.machine import Refused
from vmstate.pseries.options import DeviceOption, parse_number
from vmstate.pseries.startup.startup import Startup

SUFFIX = "-spapr-cpu-core"


def is_core(driver: str) -> bool:
    """Return True if a driver is a processor core."""
    return driver.endswith(SUFFIX)


def plug_core(start: Startup, device: DeviceOption, earlier: Iterable[DeviceOption]) -> None:
    """Plug a core of the machine's own type in a place that exists and is free (``spapr_core_pre_plug``)."""
    name = device.driver.removesuffix(SUFFIX)
    known = {cpu.name for cpu in start.binary.cpus.values()} | {start.machine.cpu.name}  # with KVM: host
    if name not in known:
        raise Refused(f"{device.text}: '{device.driver}' is not a valid device model name")
    wanted = f"{start.machine.cpu.name}{SUFFIX}"
    core, threads = (
        _number(device, "core-id", 0),
        _number(device, "nr-threads", start.machine.topology.threads),
    )
    if device.driver != wanted:
        raise Refused(f"{device.text}: CPU core type should be {wanted}")
    if core % start.machine.topology.threads:
        raise Refused(f"{device.text}: invalid core id {core}")
    if threads != start.machine.topology.threads:
        raise Refused(
            f"{device.text}: invalid nr-threads {threads}, must be {start.machine.topology.threads}"
        )
    if not 0 <= core < start.machine.topology.max_cpus:
        raise Refused(f"{device.text}: core id {core} out of range")
    cores = (other for other in earlier if is_core(other.driver))
    if core < start.machine.topology.cpus or any(_number(other, "core-id", 0) == core for other in cores):
        raise Refused(f"{device.text}: core {core} already populated")


def _number(device: DeviceOption, name: str, default: int) -> int:
    given = device.get(name)
    value = parse_number(given) if given is not None else default
    return default if value is None else value
