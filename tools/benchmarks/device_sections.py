"""Device sections of a default pseries: payload bytes to Python values, and back to bytes.

They are read by the descriptions of the stream's own vmdesc, and by our declarations with their hooks.

Large arrays stay views of the stream until they are used; one row uses every element.  The comparison is
with the `construct` declaration made from the same description, on the sections that it can read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard
from measure import Row, best_of

from vmstate.describe import Cursor, Record, VMStateDescription, WireArray, Writer, decode, encode, plan_of
from vmstate.describe.arrays import WireRecords
from vmstate.describe.construct_codec import as_construct, container_of
from vmstate.describe.from_vmdesc import from_vmdesc, member, parse_json
from vmstate.errors import DeclarationError
from vmstate.pseries.board.device import LiveDevice
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.instance import Instance
from vmstate.stream import Section, SectionType, open_stream

TITLE = "Device sections of a default pseries (7.2, 2.3 MB)"
MACHINE = "qemu-7.2 -machine pseries-7.2,cap-htm=off -cpu power9 -m 256"
AFTER = bytes(300)  # a destination reads beyond a section to look for subsections
STREAM = Path(__file__).resolve().parents[2] / "streams" / "7.2-pseries-7.2.mig.zst"

Job = tuple[Section, VMStateDescription]


def jobs(stream: Any) -> list[Job]:
    """Return every full section with its description from the stream's own vmdesc."""
    text = stream.data[stream.description.text_start : stream.description.end]
    entries = iter(member(parse_json(text), "devices", list))
    full = [s for s in stream.devices if s.kind is SectionType.FULL]
    described = {(member(e, "name", str), member(e, "instance_id", int)): from_vmdesc(e) for e in entries}
    return [(s, described[s.idstr, s.instance_id]) for s in full]


def load(data: memoryview, todo: list[Job]) -> list[Record]:
    states = []
    for section, vmsd in todo:
        state = Record()
        plan_of(vmsd).load(
            Cursor(data, section.payload_start, section.payload_end), state, section.version_id
        )
        states.append(state)
    return states


def save(todo: list[Job], states: list[Record]) -> bytes:
    out = Writer(replay=True)
    for (section, vmsd), state in zip(todo, states, strict=True):
        plan_of(vmsd).save(out, state, section.version_id)
    return out.join()


def trees(data: memoryview, todo: list[Job]) -> None:
    for section, vmsd in todo:
        decode(vmsd, data, section.payload_start, section.version_id, end=section.payload_end)


def look(value: Any) -> None:
    """Turn every element of every array into a Python object."""
    if isinstance(value, WireArray):
        list(value)
    elif isinstance(value, WireRecords):
        list(value.item.iter_unpack(value.raw))
    elif isinstance(value, list):
        for element in value:
            look(element)
    elif isinstance(value, Record):
        for member_value in vars(value).values():
            look(member_value)


def machines_devices() -> list[Any]:
    machine = build(parse(MACHINE)).machine
    if machine is None:
        raise SystemExit("the machine to measure does not start")
    devices = [entry.device for entry in Instance(machine).entries]
    return [d for d in devices if not isinstance(d, LiveDevice) and d.needed()]


def judged(devices: list[Any], payloads: list[memoryview]) -> None:
    for device, payload in zip(devices, payloads, strict=True):
        device.plan.load(Cursor(payload, judge=True), device, device.version_id)


def constructible(todo: list[Job]) -> list[Job]:
    kept = []
    for section, vmsd in todo:
        try:
            as_construct(vmsd, section.version_id)
        except DeclarationError:
            continue
        kept.append((section, vmsd))
    return kept


def rows(*, smoke: bool) -> Iterator[Row]:
    stream = open_stream(zstandard.ZstdDecompressor().decompress(STREAM.read_bytes()))
    repeat = 1 if smoke else 30
    data, todo = stream.data, jobs(stream)
    states = load(data, todo)
    payload = b"".join(data[s.payload_start : s.payload_end] for s, _ in todo)
    if save(todo, states) != payload:
        raise SystemExit("the encoded sections differ from the decoded ones")
    yield Row("decode all sections", best_of(lambda: load(data, todo), repeat), 0.005)
    yield Row("encode them again", best_of(lambda: save(todo, states), repeat), 0.005)
    devices = machines_devices()
    sent = best_of(lambda: [encode(device.plan.vmsd, device) for device in devices], repeat)
    payloads = [memoryview(encode(device.plan.vmsd, device) + AFTER) for device in devices]
    yield Row("a simulated machine saves them, with hooks", sent, 0.005)
    yield Row("and loads them, with hooks", best_of(lambda: judged(devices, payloads), repeat), 0.005)
    yield Row("decode with a tree of offsets", best_of(lambda: trees(data, todo), repeat))
    yield Row("decode, and look at every element", best_of(lambda: look(load(data, todo)), repeat))

    small = [
        (s, d) for s, d in constructible(todo) if s.payload_end - s.payload_start < (1000 if smoke else 50000)
    ]
    parsers = [
        (as_construct(d, s.version_id), bytes(data[s.payload_start : s.payload_end])) for s, d in small
    ]
    ours = best_of(lambda: load(data, small), repeat)
    theirs = best_of(lambda: [c.parse_stream(io.BytesIO(raw)) for c, raw in parsers], 1 if smoke else 3)
    yield Row(f"decode {len(small)} small sections", ours, None, theirs, "construct")
    containers = [
        (c, container_of(d, state, s.version_id))
        for (c, _), (s, d), state in zip(parsers, small, load(data, small), strict=True)
    ]
    ours = best_of(lambda: save(small, load(data, small)), repeat)
    theirs = best_of(lambda: [c.build(container) for c, container in containers], 1 if smoke else 3)
    yield Row(
        f"decode and encode {len(small)} small sections", ours, None, theirs, "construct, building only"
    )
