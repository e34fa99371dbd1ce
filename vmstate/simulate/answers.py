"""The answers of a booted guest when devices are plugged and unplugged while it runs.

Linux, arch/powerpc/platforms/pseries/dlpar.c and hotplug-memory.c, with nothing to do and no programs that
wait for its events.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.board.properties import number_of
from vmstate.pseries.devices.spapr.spapr_drc import SpaprDrc
from vmstate.pseries.rules.compat_register import processors
from vmstate.simulate.guest import start_processors
from vmstate.simulate.hotplug import KEPT, MEMORY_ANSWERS, REFUSED, RELEASED, Hotplug
from vmstate.simulate.instance import Instance


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
    if drc.kind is not DrcType.LMB:
        hotplug.release([drc])
        return
    instance = hotplug.instance
    if drc.number in instance.kept_memory:
        return
    option = hotplug.device_on(drc)
    blocks = next(one.connectors for one in instance.board.modules if one.option is option)
    said = instance.said.get(option.id or "") or _known_answer(instance, blocks)
    if said == RELEASED:
        hotplug.release([drc])
    elif said == REFUSED:
        hotplug.refuse_release(option)
    elif said == KEPT:
        instance.kept_memory.update(blocks)
    else:
        words = "|".join(MEMORY_ANSWERS)
        raise NotModelled(
            f"whether the guest can release {option.id} depends on what it has there: not modelled; say "
            f"what it did: `device_del {option.id} {words}`"
        )


def _known_answer(instance: Instance, blocks: range) -> str | None:
    """Return KEPT for the last block with which the guest has booted: its own tables are there.

    It gives up the blocks of a module one by one, so QEMU does not notice if it cannot give up the first.
    """
    last = bool(instance.booted_memory) and max(instance.booted_memory) in blocks
    return KEPT if last and len(blocks) == 1 else None
