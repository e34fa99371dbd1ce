"""Loading a virtio device (hw/virtio/virtio.c virtio_load).

QEMU reads much of it by hand: past the end of the stream it gets zeros and no error, until the next
description that it loads checks for one (migration/qemu-file.c qemu_get_byte, migration/vmstate.c).
"""

from __future__ import annotations

from typing import Any

from vmstate.dataclass import dataclass
from vmstate.describe import Cursor, History, Plan
from vmstate.describe.diagnostics import EINVAL, EPERM, FieldFailed, LoadFailure, aborts, stalls
from vmstate.describe.history import Span
from vmstate.errors import NotModelled, StreamError
from vmstate.handwritten.pci_device import PINS
from vmstate.handwritten.virtio.common import MAX_QUEUES
from vmstate.pseries.devices.pci.config_space import INTERRUPT_PIN, msix_enabled
from vmstate.pseries.devices.virtio.indexes import NO_VECTOR, check_indexes

SIZES_CHECKED = Span(since="11.1")  # an incoming queue may not be larger than it was made
SKIPPING_CHECKED = Span(since=("10.0.13", "11.1"))  # skipping ends where the stream ends
PINS_CHECKED = Span(since="6.0")  # the interrupt pin is not compared, but must be valid
NO_PIN = "pci_irq_handler: Assertion `0 <= irq_num && irq_num < PCI_NUM_PINS' failed."
PATIENCE = 1 << 25  # bytes past the end of the stream that QEMU skips in some ten seconds


def _features(used: int, offered: int) -> str:
    return f"Features 0x{used:x} unsupported. Allowed features: 0x{offered:x}"


def _wide_features(used: int, offered: int) -> str:
    """Return the message with 128 bits, and of the guest's features only those that were kept."""
    return f"Features 0x{used & offered:032x} unsupported. Allowed features: 0x{offered:032x}"


FEATURES = History(_features, ("10.2", _wide_features))
#: Before, a device that offers no feature above bit 31 ignored a guest's upper features.
ALL_BITS_COUNT = Span(since="10.2")


@dataclass(frozen=True)
class Parts:
    """A device's compiled parts; ``by_hand``: ``own``, its specific part, has no description in QEMU."""

    pci: Plan
    queues: Plan
    own: Plan | None
    common: Plan
    by_hand: bool


def load(cur: Cursor, state: Any, parts: Parts) -> None:
    """Load and check all parts in QEMU's order.  Raises LoadFailure, Truncated."""
    at = cur.pos
    _inside("pci", parts.pci, cur, state.pci)
    _by_hand(cur, state, parts.queues)
    check_queues(state, at)
    _notify(cur, state)
    if parts.own is not None and parts.by_hand:
        _by_hand(cur, state, parts.own)
    elif parts.own is not None:
        _inside("device", parts.own, cur, state)
    _inside("virtio", parts.common, cur, state)
    used = check_features(state, at)
    state.post_load_queues(cur, state.nr_queues)
    check_indexes(cur, state, used, at)


def _inside(name: str, plan: Plan, cur: Cursor, state: Any) -> None:
    try:
        plan.load(cur, state, plan.version_id)
    except StreamError as error:
        error.inside(name)
        raise


def _by_hand(cur: Cursor, state: Any, plan: Plan) -> None:
    """Load a part that QEMU reads by hand: it reports no errors there and ignores the stream's end."""
    earlier = len(cur.diagnostics)
    cur.by_hand = True
    try:
        plan.load(cur, state, plan.version_id)
    finally:
        cur.by_hand = False
        cur.diagnostics[earlier:] = [r for r in cur.diagnostics[earlier:] if not isinstance(r, FieldFailed)]


def _notify(cur: Cursor, state: Any) -> None:
    """Set the line of the incoming pin (virtio_notify_vector, hw/pci/pci.c pci_irq_handler)."""
    config = bytes(state.pci.config)
    if PINS_CHECKED.covers(state.machine.release) and not msix_enabled(config):
        if not 1 <= config[INTERRUPT_PIN] <= PINS:
            raise aborts(cur, NO_PIN)


def skip(cur: Cursor, state: Any, size: int) -> None:
    """Check a configuration that extends past the stream's end (virtio_load skips it byte by byte)."""
    rest = (size if size < 1 << 31 else size + (1 << 32)) - (cur.end - cur.pos)
    if rest > 0 and size > len(state.config):
        if SKIPPING_CHECKED.covers(state.machine.release):
            raise LoadFailure(
                -EPERM, "the configuration is longer than the stream", offset=cur.pos, found=size
            )
        if rest > PATIENCE:
            raise stalls(cur, f"{size} bytes of configuration are skipped one by one")


def check_vector(state: Any, vector: int, at: int) -> None:
    """Check the vector of the configuration (virtio_pci_load_config)."""
    if state.vectors and vector != NO_VECTOR and vector >= state.vectors:
        raise LoadFailure(-EINVAL, "vector of the configuration", offset=at, found=vector)


def check_selected(state: Any, queue: int, at: int) -> None:
    """Check the queue that the guest has selected."""
    if queue >= MAX_QUEUES:
        raise LoadFailure(-EPERM, "selected queue", offset=at, found=queue)


def check_count(state: Any, count: int, at: int) -> None:
    """Check the number of queues, before any is read."""
    if count > MAX_QUEUES:
        state.say(f"Invalid number of virtqueues: 0x{count:x}")
        raise LoadFailure(-EPERM, "number of queues", offset=at, found=count, expected=MAX_QUEUES)


def check_queues(state: Any, at: int) -> None:
    """Check each queue as virtio_load and virtio_pci_load_queue do, before the device's own part."""
    sized = SIZES_CHECKED.covers(state.machine.release)
    for i, queue in enumerate(state.queues):
        room = state.rooms[i] if i < len(state.rooms) else 0
        if sized and queue.num > room:
            line = f"VQ {i} vring.num {queue.num} exceeds allocated max {room}"
            state.say(line)
            raise LoadFailure(-EINVAL, line, offset=at, path=f"vq[{i}]")
        if not queue.desc and queue.last_avail_idx:
            line = f"VQ {i} address 0x0 inconsistent with Host index 0x{queue.last_avail_idx:x}"
            state.say(line)
            raise LoadFailure(-EPERM, line, offset=at, path=f"vq[{i}]")
        vector = queue.vector if state.vectors else NO_VECTOR
        if vector != NO_VECTOR and vector >= state.vectors:
            raise LoadFailure(
                -EINVAL,
                "vector of a queue",
                offset=at,
                path=f"vq[{i}]",
                found=vector,
                expected=f"below {state.vectors}",
            )


def check_features(state: Any, at: int) -> int:
    """Check that the guest uses only what the device offers (virtio_set_features_nocheck); return that."""
    offered = state.host_features
    all_bits = state.has_64_bits and (offered >> 32 or ALL_BITS_COUNT.covers(state.machine.release))
    used = state.guest_features_64 if all_bits else state.guest_features_low
    used |= state.guest_features_ex_1 << 64
    if used & ~offered and state.of_peer:
        raise NotModelled("the features that the host's network offers are not modelled", offset=at)
    if used & ~offered:
        line = FEATURES.at(state.machine.release)(used, offered)
        state.say(line)
        raise LoadFailure(-EPERM, line, offset=at, found=hex(used), expected=hex(offered))
    return int(used)
