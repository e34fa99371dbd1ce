"""``configuration``: settings that must match on both sides, sent before any device (migration/savevm.c).

Machine types since 2.4 send it first, after the byte 0x07; it has no section id and no footer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vmstate.describe import (
    Allocated,
    Buffer,
    Cursor,
    Field,
    Since,
    UInt8,
    UInt32,
    VMStateDescription,
    WireArray,
    Writer,
    scalar,
)
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, LoadFailure, Refused, UnknownCapability
from vmstate.describe.history import ALWAYS, Span
from vmstate.describe.infos import Info
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

TARGET_PAGE_BITS = 12  # of every ppc64 machine, and the minimum of the target

#: Capabilities that both sides must agree on, with the releases that check them.
VALIDATED = (("x-ignore-shared", Span("4.0")), ("mapped-ram", Span("9.0")))


class CapabilityName(Info):
    """The name of a migration capability: a length byte, then that many bytes."""

    name = "capability"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> str:
        at = cur.pos
        name = bytes(cur.take(cur.byte())).decode("utf-8", "replace")
        known = name.split("\0", 1)[0]  # as C reads it
        if cur.judge and not KNOWN.get(known, NEVER).covers(state.machine.release):
            cur.diagnostics.append(UnknownCapability(known))
            raise LoadFailure(-EINVAL, f"unknown migration capability {name!r}", offset=at, found=name)
        return name

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        raw = value.encode()
        out.put(bytes([len(raw)]) + raw)


NEVER = Span(until="0.0")
_OLD = (
    *("xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "events", "postcopy-ram", "release-ram"),
    *("return-path", "pause-before-switchover", "multifd", "dirty-bitmaps", "postcopy-blocktime"),
    *("late-block-activate", "x-ignore-shared"),
)
#: The names of capabilities (QAPI's MigrationCapability) from 4.0 on, when they were first sent.
KNOWN: dict[str, Span] = {
    **dict.fromkeys(_OLD, ALWAYS),
    "compress": Span(until="9.1"),
    "block": Span(until="9.1"),
    "x-colo": Span(until="11.1"),
    "validate-uuid": Span("4.2"),
    "background-snapshot": Span("6.0"),
    "zero-copy-send": Span("7.1"),
    "postcopy-preempt": Span("7.1"),
    "switchover-ack": Span("8.1"),
    "dirty-limit": Span("8.1"),
    "mapped-ram": Span("9.0"),
}

CAPABILITY = CapabilityName()


def page_bits_differ(state: Configuration) -> bool:
    """The machine's pages are larger than the target's minimum: never on ppc64."""
    return bool(state.target_page_bits > TARGET_PAGE_BITS)


def has_validated(state: Configuration) -> bool:
    """A migration capability is on that the other side must enable too."""
    return bool(state.capabilities)


def uuid_set(state: Configuration) -> bool:
    """A UUID was given and the capability ``validate-uuid`` is on."""
    return state.machine_uuid is not None and state.validate_uuid


def uuid_post_load(state: Configuration, version_id: int) -> int:
    """Check that the received UUID is the local one; without a local one only warn."""
    received = _dashed(state.uuid)
    if state.machine_uuid is None:
        state.say(f"warning: UUID is received {received}, but local uuid isn't set")
        return 0
    if bytes(state.uuid.raw) != state.machine_uuid:
        state.say(f"UUID received is {received} and local is {_dashed(state.machine_uuid)}")
        return -EINVAL
    return 0


def _dashed(uuid: Sequence[int]) -> str:
    text = bytes(uuid).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def pre_save(state: Configuration) -> None:
    """Fill in the machine type's name, without a terminator, and the number of capabilities."""
    state.name = state.machine.type_name.encode()
    state.len = len(state.name)
    state.caps_count = len(state.capabilities)


def pre_load(state: Configuration) -> None:
    """Assume the target's minimum page bits and no capabilities, unless subsections set them."""
    state.target_page_bits = TARGET_PAGE_BITS
    state.local_capabilities = state.capabilities
    state.capabilities = ()
    state.caps_count = 0


def post_load(state: Configuration, version_id: int) -> int:
    """Check the machine type (a prefix is enough), page bits and capabilities, in this order."""
    local = state.machine.type_name
    if not same_up_to(state.name, local.encode(), state.len):
        shown = bytes(state.name).partition(b"\0")[0].decode("utf-8", "replace")
        state.compared("machine-type", "name", shown, local, passed=False)
        return _refuse(state, f"Machine type received is '{shown}' and local is '{local}'")
    if state.target_page_bits != TARGET_PAGE_BITS:
        bits = signed(state.target_page_bits)
        return _refuse(state, f"Received TARGET_PAGE_BITS is {bits} but local is {TARGET_PAGE_BITS}")
    if _validate_capabilities(state):
        return 0
    if HANDS_OVER.covers(state.machine.release):
        raise Refused("Failed to validate capabilities")
    return -EINVAL


#: From here on the hook passes its message to the loader, which prints it with its own.
HANDS_OVER = Span(since="11.1")


def _refuse(state: Any, text: str) -> int:
    if HANDS_OVER.covers(state.machine.release):
        raise Refused(text)
    state.say(text)
    return -EINVAL


def same_up_to(received: bytes | memoryview, local: bytes, length: int) -> bool:
    """Return True if both are equal in the first ``length`` bytes or up to a terminator (C's strncmp).

    A received name that is only the beginning of the local one is therefore accepted.
    """
    length = min(length, len(local) + 1)  # no difference is behind the local terminator
    begins = (bytes(received[:length]) + b"\0")[:length]
    return begins.partition(b"\0")[0] == local[:length].partition(b"\0")[0]


def _validate_capabilities(state: Configuration) -> bool:
    fine = True
    came = state.capabilities[: state.caps_count]  # of a subsection that comes again, maybe with fewer
    for name, span in VALIDATED:
        if not span.covers(state.machine.release):
            continue
        received, local = name in came, name in state.local_capabilities
        if received != local:
            sides = ["on" if side else "off" for side in (local, received)]
            state.say(f"Capability {name} is {sides[0]}, but received capability is {sides[1]}")
            fine = False
    return fine


TARGET_PAGE_BITS_SUBSECTION = VMStateDescription(
    "configuration/target-page-bits",
    version_id=1,
    minimum_version_id=1,
    needed=page_bits_differ,
    fields=[UInt32("target_page_bits")],
)

CAPABILITIES = VMStateDescription(
    "configuration/capabilities",
    version_id=1,
    minimum_version_id=1,
    needed=has_validated,
    fields=[UInt32("caps_count", 1), Allocated(scalar(CAPABILITY)("capabilities", 1)["caps_count"], 4)],
)

UUID = VMStateDescription(
    "configuration/uuid",
    version_id=1,
    minimum_version_id=1,
    needed=uuid_set,
    post_load=uuid_post_load,
    fields=[UInt8("uuid.data", 1, attr="uuid")[16]],
)

CONFIGURATION = VMStateDescription(
    "configuration",
    version_id=1,
    pre_load=pre_load,
    post_load=post_load,
    pre_save=pre_save,
    fields=[UInt32("len"), Allocated(Buffer("name", "len"))],
    subsections=[TARGET_PAGE_BITS_SUBSECTION, Since("4.0", CAPABILITIES), Since("4.2", UUID)],
)


class Configuration(Device):
    """This side's configuration; ``capabilities``: those that are on and that the other side must enable."""

    description = CONFIGURATION
    name: bytes | memoryview
    len: int
    caps_count: int
    uuid: WireArray

    def __init__(self, machine: Machine, capabilities: Sequence[str] = ()) -> None:
        super().__init__(machine)
        self.target_page_bits = TARGET_PAGE_BITS
        self.capabilities: Sequence[str] = capabilities
        self.local_capabilities: Sequence[str] = capabilities
        self.machine_uuid: bytes | None = None
        self.validate_uuid = False
