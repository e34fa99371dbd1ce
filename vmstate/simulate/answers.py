"""What a guest that has booted answers when devices are plugged and unplugged while it runs.

Linux, arch/powerpc/platforms/pseries/dlpar.c and hotplug-memory.c, with nothing to do and no programs that
wait for its events.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmstate.describe.history import Release, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.board.properties import number_of
from vmstate.pseries.devices.spapr.spapr_drc import SpaprDrc
from vmstate.pseries.rules.compat_register import processors
from vmstate.simulate.guest import start_processors
from vmstate.simulate.hotplug import Hotplug


@dataclass(frozen=True)
class _GoesOn:
    """Releases on which a guest with so many processors goes on after a migration."""

    span: Span
    processors: int | None = None

    def holds(self, release: Release, processors: int) -> bool:
        return self.span.covers(release) and (self.processors is None or processors <= self.processors)


#: Under TCG a guest may hang where it was migrated to, and answers nothing until it is reset.  Seen with
#: 5.2.0, 7.2.22, 10.0.13 and 10.2.0; on 11.1.3 every guest hung.
_GOES_ON = (
    _GoesOn(Span("5.2", "5.3")),
    _GoesOn(Span("7.2", "7.3")),
    _GoesOn(Span("10.0", "10.1"), processors=1),
    _GoesOn(Span("10.2", "10.3"), processors=1),
)
#: Bytes of memory up to which the tables that Linux makes as it boots fit into the last block.
_TABLES_FIT = 4 << 30


def answer(hotplug: Hotplug) -> None:
    """Let the guest, if it runs, read its event log, and take in and release devices.

    Raises NotModelled if it is not known what it does.
    """
    instance = hotplug.instance
    guest, machine = instance.guest, instance.machine
    if not instance.running or guest is None or not hotplug.fetch_log():
        return
    count = len(processors(machine))
    if instance.arrived and not any(one.holds(machine.release, count) for one in _GOES_ON):
        raise NotModelled(
            f"QEMU {machine.release} under TCG: whether a guest with {count} processors goes on after a "
            "migration is not modelled"
        )
    if guest.kernel.answers is None:
        raise NotModelled(f"what {guest.kernel.name} does with a device that is plugged is not modelled")
    mine = [drc for drc in hotplug.connectors_in_use() if drc.attached and drc.kind in guest.kernel.answers]
    for drc in mine:
        if drc.state == drc.empty_state:
            _take_in(hotplug, drc)
    for drc in mine:
        if drc.attached and drc.unplug_requested:
            _give_up(hotplug, drc)


def _take_in(hotplug: Hotplug, drc: SpaprDrc) -> None:
    """Configure what is on a connector; the threads of a core are started."""
    instance, outcome = hotplug.instance, hotplug.instance.negotiated
    drc.state = drc.ready_state
    if drc.kind is DrcType.CPU and outcome is not None:
        first = number_of(hotplug.device_on(drc), "core-id", 0)
        start_processors(instance.machine, outcome, range(first, first + instance.machine.topology.threads))


def _give_up(hotplug: Hotplug, drc: SpaprDrc) -> None:
    """Release what is on a connector, if the guest can."""
    if drc.kind is not DrcType.LMB or drc.number not in hotplug.instance.booted_memory:
        hotplug.release([drc])
        return
    option = hotplug.device_on(drc)
    blocks = next(one.connectors for one in hotplug.instance.board.modules if one.option is option)
    if not _keeps_last(hotplug, blocks):
        raise NotModelled(
            f"whether a guest can release {option.id}, with which it has booted, is not modelled"
        )
    if len(blocks) > 1:
        hotplug.refuse_release(option)


def _keeps_last(hotplug: Hotplug, blocks: range) -> bool:
    """Return True if the guest is known to keep a module: its own tables are in the last block.

    It keeps a module of one block without a word.  Of a larger one it gives up the other blocks, takes them
    back, and QEMU notices this.
    """
    instance = hotplug.instance
    if max(instance.booted_memory) not in blocks:
        return False
    total = instance.machine.ram_size + instance.board.plugged_memory
    outcome = instance.negotiated
    radix = outcome is not None and outcome.mmu == "radix"
    return len(blocks) == 1 or (radix and total <= _TABLES_FIT)
