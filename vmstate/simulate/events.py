"""What may happen to a running guest before it is migrated: hw/ppc/spapr.c ``spapr_machine_reset``."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError
from vmstate.pseries.rules.compat_register import processors, set_compat_all, store_compat
from vmstate.simulate.instance import Instance

#: From 2.10 a reset goes back to the mode of the command line; before, the negotiated one stayed.
_RESETS_MODE = History(False, ("2.10", True))


def happen(instance: Instance, event: str) -> None:
    """Let an event happen: ``reset``.  Raises ConfigurationError for one that is not known.

    What QEMU prints goes to the console; if it exits over it, the instance has ended: no more happens.
    """
    known = _EVENTS.get(event)
    if known is None:
        raise ConfigurationError(f"no such event: {event!r}; events: {', '.join(_EVENTS)}")
    if not instance.ended:
        known(instance)


def reset(instance: Instance) -> None:
    """The guest reboots: every device as after a reset, no guest yet; what was negotiated is forgotten."""
    boot = next(iter(processors(instance.machine)))
    mode = boot.compat_pvr
    if _RESETS_MODE.at(instance.release):
        refusal = set_compat_all(instance.machine, instance.machine.max_compat)
        if refusal is not None:
            instance.machine.say(refusal)
            instance.ended = True
            return
    instance.reset()
    if not _RESETS_MODE.at(instance.release):
        for cpu in processors(instance.machine):
            store_compat(cpu, mode)


_EVENTS: dict[str, Callable[[Instance], None]] = {"reset": reset}
