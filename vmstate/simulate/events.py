"""Events of a machine before its migration, as QMP's commands: plug, unplug, reset, stop and cont; boots.

hw/ppc/spapr.c ``spapr_machine_reset``; vmstate/simulate/hotplug.py has what is plugged and unplugged.
"""

from __future__ import annotations

from collections.abc import Callable

from vmstate.describe.history import History
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.cas.guests import guest as named_guest
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.machine import Refused
from vmstate.pseries.rules.compat_register import processors, set_compat_all, store_compat
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.machine_init import RESET, apply_capabilities
from vmstate.pseries.startup.startup import Startup
from vmstate.savevm.verdict import Answer
from vmstate.simulate.answers import answer
from vmstate.simulate.guest import boot
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
    answer(Hotplug(instance, configuration))
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
    """Reset the machine; a guest that runs boots again.

    Registers that a guest has used keep their values; they do not decide whether a stream loads.
    """
    instance = hotplug.instance
    if hotplug.guest_has_booted and instance.guest is None:
        raise NotModelled("system_reset of a guest that has booted, and is not known, is not modelled")
    running = instance.running
    reset(hotplug, argument)
    if running:
        _boot_next(instance)


def _boot(hotplug: Hotplug, text: str) -> None:
    """Reset the machine, if a guest has run on it, and let another guest boot."""
    hotplug.instance.boots = named_guest(text)
    if hotplug.instance.has_run:
        reset(hotplug)
    _boot_next(hotplug.instance)


def _boot_next(instance: Instance) -> None:
    if instance.boots is None:
        raise NotModelled(
            "a machine that runs, and no guest is named: not modelled; name it, as --guest does"
        )
    if not instance.ended:
        boot(instance, instance.boots)


def _stop(hotplug: Hotplug, _argument: str) -> None:
    """Stop the guest: a machine that has not run stays as it is (``vm_stop``)."""
    if hotplug.instance.running:
        _set_run_state(hotplug.instance, b"paused")
    hotplug.instance.running = False


def _cont(hotplug: Hotplug, _argument: str) -> None:
    """Let the guest go on; after a reset, and at first, it boots."""
    instance = hotplug.instance
    if instance.guest is None:
        _boot_next(instance)
        return
    instance.running = True
    _set_run_state(instance, b"running")


def _set_run_state(instance: Instance, name: bytes) -> None:
    for state in instance.machine.registered(GlobalState):
        state.runstate = name.ljust(len(state.runstate), b"\0")


_EVENTS: dict[str, Callable[[Hotplug, str], None]] = {
    "device_add": Hotplug.device_add,
    "device_del": Hotplug.device_del,
    "object_add": Hotplug.object_add,
    "object_del": Hotplug.object_del,
    "boot": _boot,
    "cont": _cont,
    "system_reset": _system_reset,
    "stop": _stop,
    "reset": reset,
}
