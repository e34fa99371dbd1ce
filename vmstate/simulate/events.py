"""Events of a machine before its migration, as QMP's commands: plug, unplug, reset, stop.

hw/ppc/spapr.c ``spapr_machine_reset``; vmstate/simulate/hotplug.py has what is plugged and unplugged.
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.machine import Refused
from vmstate.pseries.rules.compat_register import processors, set_compat_all, store_compat
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.machine_init import RESET, apply_capabilities
from vmstate.pseries.startup.startup import Startup
from vmstate.savevm.verdict import Answer
from vmstate.simulate.hotplug import Hotplug
from vmstate.simulate.instance import Instance

#: From 2.10 on a reset restores the mode of the command line; before, the negotiated one stayed.
_RESETS_MODE = History(False, ("2.10", True))


def apply_event(instance: Instance, configuration: Configuration, event: str) -> Answer:
    """Apply an event to a process that was started as ``configuration``; return QEMU's answer.

    QEMU's messages go to the instance's console.  Once QEMU has exited, events have no effect.  Raises
    ConfigurationError for an unknown event, NotModelled for one whose effect is not modelled.
    """
    name, _, argument = event.partition(" ")
    known = _EVENTS.get(name)
    if known is None:
        raise ConfigurationError(f"no such event: {event!r}; events: {', '.join(_EVENTS)}")
    if instance.ended:
        return Answer(event)
    try:
        known(Hotplug(instance, configuration), argument.strip())
    except Refused as refused:
        return Answer(event, refused.lines[0])
    return Answer(event)


def reset(hotplug: Hotplug, _argument: str = "") -> None:
    """Reset every device, as when the guest reboots; the guest and what it negotiated are gone."""
    instance, configuration = hotplug.instance, hotplug.configuration
    boot = next(iter(processors(instance.machine)))
    mode = boot.compat_pvr
    if apply_capabilities in RESET.at(instance.release):
        start = Startup(configuration, configuration.catalogue.binary(instance.release), instance.machine)
        apply_capabilities(start)
        instance.machine.say(*start.messages)
    if _RESETS_MODE.at(instance.release):
        refusal = set_compat_all(instance.machine, instance.machine.max_compat)
        if refusal is not None:
            instance.machine.say(refusal)
            instance.ended = True
            return
    instance.reset(hotplug.finish_unplugs)
    if not _RESETS_MODE.at(instance.release):
        for cpu in processors(instance.machine):
            store_compat(cpu, mode)


def _system_reset(hotplug: Hotplug, argument: str) -> None:
    """Reset a machine that has not run; registers that a guest has used keep their values."""
    if hotplug.guest_has_booted:
        raise NotModelled("system_reset of a guest that has booted is not modelled")
    reset(hotplug, argument)


def _stop(hotplug: Hotplug, _argument: str) -> None:
    """Stop a guest: a machine that has not run stays as it is (``vm_stop``)."""
    if hotplug.guest_has_booted:
        raise NotModelled("stop of a guest that has booted is not modelled")


_EVENTS: dict[str, Callable[[Hotplug, str], None]] = {
    "device_add": Hotplug.device_add,
    "device_del": Hotplug.device_del,
    "object_add": Hotplug.object_add,
    "object_del": Hotplug.object_del,
    "system_reset": _system_reset,
    "stop": _stop,
    "reset": reset,
}
