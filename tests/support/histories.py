"""Machines that were changed while they run: how their streams differ, and how recorded histories ended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.support.recorded import answer, side
from vmstate.errors import NotModelled
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.simulate.events import apply_event
from vmstate.simulate.history import migrate_history
from vmstate.simulate.instance import Instance
from vmstate.stream import open_stream

PLAIN = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
OPTIONS = (
    f"-nodefaults -machine pseries-7.2,{PLAIN} -cpu power9_v2.0 -smp 1,maxcpus=4 -m 512,slots=4,maxmem=2G"
)
RELEASES = ("5.2.0", "7.2.22", "10.0.13", "10.2.0", "11.1.3")
CORE = "power9_v2.0-spapr-cpu-core"
MEMORY = "object_add memory-backend-ram,id=m1,size=256M"
EVERYTHING = (
    f"device_add {CORE},id=c1,core-id=1",
    MEMORY,
    "device_add pc-dimm,id=d1,memdev=m1",
    "device_add virtio-rng-pci,id=r1",
    "device_add spapr-pci-host-bridge,id=p1,index=1",
)


def machine(options: str = "", release: str = "10.0.13") -> tuple[Instance, Configuration]:
    text = OPTIONS.replace("pseries-7.2", "pseries-5.2") if release == "5.2.0" else OPTIONS
    configuration = parse(f"qemu-{release} {text} {options}")
    built = build(configuration).machine
    assert built is not None
    return Instance(built), configuration


def after(*events: str, options: str = "", release: str = "10.0.13") -> tuple[Instance, list[str]]:
    instance, configuration = machine(options, release)
    return instance, [apply_event(instance, configuration, event).refusal for event in events]


def sections(instance: Instance) -> dict[tuple[str, int], bytes]:
    data = instance.save()
    found = {}
    for one in open_stream(data).sections:
        payload = data[one.payload_start : one.payload_end]
        found[one.idstr, one.instance_id] = found.get((one.idstr, one.instance_id), b"") + payload
    return found


def differing(one: Instance, other: Instance) -> set[str]:
    left, right = sections(one), sections(other)
    return {key[0] for key in left.keys() | right.keys() if left.get(key) != right.get(key)}


def names(instance: Instance) -> set[tuple[str, int]]:
    return set(sections(instance))


def wrong(row: dict[str, Any]) -> tuple[dict[str, Any], object] | None:
    """Return a recorded history with what is predicted instead, None if it is as recorded.

    Raises NotModelled for one that cannot be judged.
    """
    guest = named_guest(row["guest"]) if "guest" in row else None
    verdict = migrate_history(side(row["source"]), side(row["destination"]), row["events"], guest=guest)
    found = [one.refusal for one in verdict.answers], verdict.source_messages
    if found != (row["answers"], row["save"]["stderr"]):
        return row, found
    expected = answer(row["load"]) if row["save"]["ok"] else ("source-refused", [])
    got = str(verdict.outcome), verdict.messages
    return None if got == expected else (row, got)


def judged_rows(recorded: Iterable[dict[str, Any]]) -> tuple[int, list[object]]:
    """Return how many recorded histories can be judged, and those that are not as recorded."""
    count, differ = 0, []
    for row in recorded:
        try:
            found = wrong(row)
        except NotModelled:
            continue
        count += 1
        differ += [found] if found is not None else []
    return count, differ
