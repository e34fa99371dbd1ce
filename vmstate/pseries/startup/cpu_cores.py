"""Processor cores of the command line: ``-device power9_v2.0-spapr-cpu-core,core-id=4``."""

from __future__ import annotations

from vmstate.pseries.options import parse_number
from vmstate.pseries.startup.startup import DeviceOption, Refused, Startup

SUFFIX = "-spapr-cpu-core"


def is_core(driver: str) -> bool:
    """Whether a driver is a core of some processor."""
    return driver.endswith(SUFFIX)


def plug_core(start: Startup, place: int, device: DeviceOption) -> None:
    """``spapr_core_pre_plug``: a core of the machine's own kind, in a place that exists and is free."""
    name = device.driver.removesuffix(SUFFIX)
    known = {cpu.name for cpu in start.binary.cpus.values()} | {start.processor.name}  # with KVM: host
    if name not in known:
        raise Refused(f"{device.text}: '{device.driver}' is not a valid device model name")
    settings = start.settings
    wanted = f"{start.processor.name}{SUFFIX}"
    core, threads = _number(device, "core-id", 0), _number(device, "nr-threads", settings.threads)
    if device.driver != wanted:
        raise Refused(f"{device.text}: CPU core type should be {wanted}")
    if core % settings.threads:
        raise Refused(f"{device.text}: invalid core id {core}")
    if threads != settings.threads:
        raise Refused(f"{device.text}: invalid nr-threads {threads}, must be {settings.threads}")
    if not 0 <= core < settings.max_cpus:
        raise Refused(f"{device.text}: core id {core} out of range")
    before = (other for other in start.devices[:place] if is_core(other.driver))
    if core < settings.cpus or any(_number(other, "core-id", 0) == core for other in before):
        raise Refused(f"{device.text}: core {core} already populated")


def _number(device: DeviceOption, name: str, default: int) -> int:
    given = device.get(name)
    value = parse_number(given) if given is not None else default
    return default if value is None else value
