"""Run the cases of a scenario."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from vmstate.dataclass import dataclass, replace
from vmstate.errors import NotModelled, VmstateError
from vmstate.proposals.files import with_proposals
from vmstate.pseries.catalogue import Catalogue
from vmstate.pseries.declarations import pseries_declarations
from vmstate.pseries.meanings import meanings
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Check
from vmstate.scenarios.model import Case, Ending
from vmstate.shipped import shipped_streams
from vmstate.simulate.events import apply_event
from vmstate.simulate.guest import boot
from vmstate.simulate.guest_outcome import guest_after
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import receive, send, take_snapshot
from vmstate.stream import open_stream
from vmstate.stream.opening import open_source
from vmstate.tree import Contents
from vmstate.tree.changes import Changes
from vmstate.tree.typed_changes import apply

STREAMS = shipped_streams()


@dataclass(frozen=True)
class Found:
    """The result of a case.

    ``error``: why it could not be run; ``not_modelled``: for that reason.  ``contents``: the stream.
    """

    ending: Ending | None
    source_messages: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    contents: Contents | None = None
    machine: str | None = None
    kvm_source: tuple[str, ...] = ()
    kvm_destination: tuple[str, ...] = ()
    guest_after: str | None = None
    decided_by: Check | None = None
    error: str | None = None
    not_modelled: bool = False
    destination: Instance | None = None

    def without_stream(self) -> Found:
        """Return the result without the stream and the destination, which take megabytes."""
        return replace(self, contents=None, destination=None)

    def state(self, path: str) -> object:
        """Return a device's state on the destination, as in ``cpu[1].spr[287]``; a text if it has none."""
        found = _PATH.fullmatch(path)
        if found is None or self.destination is None:
            return "no such state"
        device = self.destination.device(found["idstr"], int(found["instance"] or "0", 0))
        if device is None:
            return "no such device"
        value = getattr(device, found["name"], "no such attribute")
        value = value[int(found["index"], 0)] if found["index"] else value
        return bytes(value).hex() if isinstance(value, memoryview | bytes | bytearray) else value


_PATH = re.compile(r"(?P<idstr>[^\[\]]+?)(?:\[(?P<instance>\w+)\])?\.(?P<name>\w+)(?:\[(?P<index>\w+)\])?")


@cache
def catalogue() -> Catalogue:
    """Return the catalogue in which scenarios run, where every proposal of the package can be named."""
    return with_proposals()


def run_case(case: Case, ignore: Sequence[str] = ()) -> Found:
    """Run a case; lines with one of the beginnings in ``ignore`` are left out."""
    try:
        found = _run(case)
    except VmstateError as error:
        return Found(None, error=str(error), not_modelled=isinstance(error, NotModelled))
    source_messages, messages = (
        tuple(line for line in lines if not line.startswith(tuple(ignore)))
        for lines in (found.source_messages, found.messages)
    )
    return replace(found, source_messages=source_messages, messages=messages)


def _run(case: Case) -> Found:
    if case.start is not None:
        return _run_start(case)
    if case.stream is not None:
        return _run_load(case)
    return _run_migration(case)


def _run_start(case: Case) -> Found:
    assert case.start is not None
    start = build(parse(case.start, catalogue()))
    if start.machine is None:
        ioctls = tuple(str(one) for one in start.kvm_compat.written)
        return Found(Ending.REFUSED, messages=start.messages, kvm_source=ioctls)
    instance = Instance(start.machine)
    before = _before(case)
    if before is not None:
        before(instance)
    return Found(
        Ending.REFUSED if instance.ended else Ending.STARTS,
        messages=(*start.messages, *instance.machine.printed),
        machine=start.machine.type_name,
        kvm_source=_ioctls(instance),
        guest_after=_guest_after(case, instance, instance),
    )


def _run_migration(case: Case) -> Found:
    assert case.source is not None
    configuration = parse(case.source, catalogue())
    sent = take_snapshot(configuration) if case.snapshot else send(configuration, _before(case))
    source = Found(
        Ending.SOURCE_REFUSED,
        source_messages=tuple(sent.messages),
        machine=None if sent.instance is None else sent.instance.machine.type_name,
        kvm_source=_ioctls(sent.instance),
        decided_by=sent.refused,
    )
    if sent.stream is None:
        return source
    return _receive(source, case, _apply_edits(_contents(sent.stream), case.edits), sent.instance)


def _run_load(case: Case) -> Found:
    path = STREAMS / f"{case.stream}.mig.zst"
    if not path.exists():
        return Found(None, error=f"streams/{path.name} does not exist")
    with open_source(str(path)) as opened:
        contents = _contents(bytes(opened.data))
    return _receive(Found(None), case, _apply_edits(contents, case.edits), None)


def _apply_edits(contents: Contents, edits: Sequence[str]) -> Contents:
    if not edits:
        return contents
    changes = Changes(contents, meanings())
    for edit in edits:
        apply(changes, edit)
    return _contents(b"".join(changes.chunks()))


def _receive(source: Found, case: Case, contents: Contents, sender: Instance | None) -> Found:
    assert case.destination is not None
    received = receive(contents.stream.data, parse(case.destination, catalogue()))
    return replace(
        source,
        ending=Ending(received.verdict.outcome),
        messages=tuple(received.verdict.messages),
        contents=contents,
        kvm_destination=_ioctls(received.instance),
        guest_after=_guest_after(case, sender, received.instance),
        decided_by=received.verdict.decided_by,
        destination=received.instance,
    )


def _contents(stream: bytes | memoryview) -> Contents:
    return Contents(open_stream(stream), pseries_declarations())


def _before(case: Case) -> Callable[[Instance], None] | None:
    if case.guest is None and not case.events:
        return None

    configuration = parse(case.source or case.start or "", catalogue())

    def before(instance: Instance) -> None:
        if case.guest is not None:
            boot(instance, case.guest)
        for event in case.events:
            apply_event(instance, configuration, event)

    return before


def _ioctls(instance: Instance | None) -> tuple[str, ...]:
    return () if instance is None else tuple(instance.ioctls)


def _guest_after(case: Case, source: Instance | None, destination: Instance | None) -> str | None:
    if case.expected.guest_after is None or destination is None:
        return None
    return guest_after(source, destination)
