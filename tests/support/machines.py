"""Machines that start without warnings, and their streams."""

from __future__ import annotations

from functools import cache

from vmstate.simulate.migration import save
from vmstate.stream import open_stream

TCG = "cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"


def command(machine, release="7.2.22", rest="-m 256"):
    return f"qemu-{release} -nodefaults -machine {machine},{TCG} {rest}"


PLAIN = command("pseries-7.2")


@cache
def stream_of(machine):
    return save(machine)


def patched(data, section, skip, new):
    """Return the stream with bytes of the first such section's payload replaced, from ``skip`` on."""
    at = next(s for s in open_stream(data).sections if s.idstr == section).payload_start + skip
    return data[:at] + new + data[at + len(new) :]
