"""``globalstate``: the run state of the source (migration/global_state.c)."""

from __future__ import annotations

from vmstate.describe import Buffer, History, Since, UInt8, UInt32, Until, VMStateDescription
from vmstate.describe.arrays import zeros
from vmstate.describe.diagnostics import EINVAL
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

#: The release that gave the last 68 of the 100 bytes a meaning ("migration: preserve suspended runstate").
SUSPENDED_SINCE = "9.0"

#: QAPI's RunState in all releases; no other name can be loaded.
# fmt: off
RUN_STATES = frozenset((
    "debug", "inmigrate", "internal-error", "io-error", "paused", "postmigrate", "prelaunch",
    "finish-migrate", "restore-vm", "running", "save-vm", "shutdown", "suspended", "watchdog",
    "guest-panicked", "colo",
))
# fmt: on
#: The state of a machine started with ``--preconfig``.
PRECONFIG = History(False, ("3.0", True), ("6.0", False))
#: States that a destination cannot take over: they are no successors of ``inmigrate``.
NOT_TAKEN_OVER = frozenset({"debug", "preconfig", "restore-vm", "save-vm"})


def needed(state: GlobalState) -> bool:
    """Always, except with ``store-global-state=off`` (types up to 2.3) if the state is running or paused."""
    if state.machine.flags.store_global_state:
        return True
    return _text(state.runstate) not in (b"running", b"paused")


def _text(buffer: bytes | memoryview) -> bytes:
    return bytes(buffer).split(b"\0", 1)[0]


def _name(state: GlobalState) -> str:
    """Return the state's name; one without a terminator loses its last byte."""
    name = _text(state.runstate)
    if len(name) == len(state.runstate):
        name = name[:-1]
    return name.decode("utf-8", "replace")


def pre_save(state: GlobalState) -> None:
    """Fill in ``size``, which includes the name's terminator."""
    state.size = len(_text(state.runstate)) + 1


def post_load(state: GlobalState, version_id: int) -> int:
    """Check that the name is a RunState (qapi_enum_parse)."""
    shown = state.received = _name(state)
    if shown in RUN_STATES or (shown == "preconfig" and PRECONFIG.at(state.machine.release)):
        return 0
    state.say(f"invalid parameter value: {shown}")
    return -EINVAL


GLOBALSTATE = VMStateDescription(
    "globalstate",
    version_id=1,
    minimum_version_id=1,
    needed=needed,
    pre_save=pre_save,
    post_load=post_load,
    fields=[
        UInt32("size"),
        Until(SUSPENDED_SINCE, Buffer("runstate", 100)),
        Since(SUSPENDED_SINCE, Buffer("runstate", 32)),
        Since(SUSPENDED_SINCE, UInt8("has_vm_was_suspended")),
        Since(SUSPENDED_SINCE, UInt8("vm_was_suspended")),
        Since(SUSPENDED_SINCE, Buffer("unused", 66)),
    ],
)

_PRELAUNCH = {size: memoryview(b"prelaunch".ljust(size, b"\0")) for size in (32, 100)}
_BUFFER_SIZE = History(100, (SUSPENDED_SINCE, 32))


class GlobalState(Device):
    """The run state of a machine that was started with ``-S`` and never ran: ``prelaunch``.

    ``received``: the state that the source sent.
    """

    description = GLOBALSTATE

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.size = 0
        self.runstate: bytes | memoryview = _PRELAUNCH[_BUFFER_SIZE.at(machine.release)]
        self.has_vm_was_suspended = 1
        self.vm_was_suspended = 0
        self.unused = zeros(66)
        self.received: str | None = None

    def take_over(self) -> None:
        """Go on in the source's state, at the end of a load (process_incoming_migration_bh).

        Ends QEMU if its run states have no such transition (system/runstate.c ``runstate_set``).
        """
        if self.received in NOT_TAKEN_OVER:
            line = f"invalid runstate transition: 'inmigrate' -> '{self.received}'"
            raise self.machine.ends(line).within(section=self.idstr, instance=self.instance_id)
