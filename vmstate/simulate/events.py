"""Events of a running guest before its migration: hw/ppc/spapr.c ``spapr_machine_reset``."""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError
from vmstate.pseries.rules.compat_register import processors, set_compat_all, store_compat
from vmstate.simulate.instance import Instance

#: From 2.10 on a reset restores the mode of the command line; before, the negotiated one stayed.
_RESETS_MODE = History(False, ("2.10", True))


def apply_event(instance: Instance, event: str) -> None:
    """Apply an event: ``reset``.  Raises ConfigurationError for an unknown one.

    QEMU's messages go to the instance's console.  Once QEMU has exited, events have no effect.
    """
    known = _EVENTS.get(event)
    if known is None:
        raise ConfigurationError(f"no such event: {event!r}; events: {', '.join(_EVENTS)}")
    if not instance.ended:
        known(instance)


def reset(instance: Instance) -> None:
    """Reset every device, as when the guest reboots; the guest and what it negotiated are gone."""
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
