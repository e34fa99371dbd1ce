"""Choosing the accelerator, and starting KVM on a host: accel/accel.c, accel/kvm/kvm-all.c ``kvm_init``."""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.pseries.machine import Refused
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.tables.accelerators import QTEST, Accelerator, Host

#: From 5.0 on -accel may be given several times, and every failure is reported.
_ACCEL_LIST = History(False, ("5.0", True))
#: The message for an accelerator that is not part of the program.
_NOT_BUILT_IN: History[str | None] = History(
    '"{name}" accelerator not found.', ("2.10", None), ("5.0", "{place}invalid accelerator {name}")
)
#: At first the message had KVM's display name.
_KVM_FAILED = History(
    "failed to initialize KVM: {error}", ("5.0", "{place}failed to initialize kvm: {error}")
)
_FELL_BACK = History(
    "Back to tcg accelerator.", ("2.10", "Back to tcg accelerator"), ("5.0", "falling back to tcg")
)
_NONE_FOUND = History("No accelerator found!", ("2.10", "-machine accel={names}: No accelerator found"))


def select_accelerator(start: Startup) -> None:
    """Choose the first requested accelerator that works; TCG by default (``configure_accelerator``).

    KVM is part of QEMU if the command line names a host, and works if that host has it.
    """
    wanted = start.accel
    lists = _ACCEL_LIST.at(start.release)
    if start.accel_opts and wanted is not None and lists:
        raise Refused('The -accel and "-machine accel=" options are incompatible')
    names = [(name, f"{text}: ") for name, text in start.accel_opts]
    if not names:
        names = [(name, "") for name in (wanted or "tcg").split(":")]
        if lists:  # the whole list is checked before any is tried
            names.sort(key=lambda name: _is_built_in(start, name[0]))
    failed = False
    for name, place in names:
        if not _is_built_in(start, name):
            message = _NOT_BUILT_IN.at(start.release)
            if message is not None:
                start.say(message.format(name=name, place=place))
            failed |= lists
        elif name == "qtest":
            start.machine.run_on(QTEST)
            break
        elif name == "tcg" or _start_kvm(start, place):
            break
        else:
            failed = True
    else:
        if failed:
            raise Refused
        raise Refused(_NONE_FOUND.at(start.release).format(names=":".join(name for name, _ in names)))
    if failed:
        start.say(_FELL_BACK.at(start.release))


def _is_built_in(start: Startup, name: str) -> bool:
    if name == "qtest":
        return _QTEST_INSIDE.at(start.release)
    return name == "tcg" or (name == "kvm" and start.configuration.host is not None)


#: Later it may be a separate module, and is usually not installed.
_QTEST_INSIDE = History(True, ("7.0", False))


def _start_kvm(start: Startup, place: str) -> bool:
    """Start KVM on the named host; report the error if that fails."""
    assert start.configuration.host is not None
    error = _kvm_init(start, start.configuration.host, place)
    if error is not None:
        start.say(_KVM_FAILED.at(start.release).format(place=place, error=error))
    return error is None


def _kvm_init(start: Startup, host: Host, place: str) -> str | None:
    """Open /dev/kvm, choose the kind of KVM, and create a VM; return the error, or None."""
    irqchip = start.machine.kernel_irqchip
    if irqchip is not None and irqchip not in {"on", "off", "split"}:
        raise Refused(f"Invalid parameter '{irqchip}'")
    prefix = place if _REPORTED.at(start.release) else ""
    if host.flavour == "none":
        start.say(f"{prefix}Could not access KVM kernel module: No such file or directory")
        return "No such file or directory"
    wanted = _kvm_type(start)
    if wanted is None:
        start.say(f"{prefix}Unknown kvm-type specified '{start.kvm_type}'")
        if not _REPORTED.at(start.release):
            raise Refused
        return "Invalid argument"
    if wanted not in {"auto", host.flavour} or not host.creates_vm:
        start.say(prefix + _NO_VM.at(start.release))
        if _MODULE_HINT.at(start.release):
            module = "kvm_pr" if wanted == "pr" else "kvm_hv"
            start.say(f"PPC KVM module is not loaded. Try modprobe {module}.")
        return "Invalid argument"
    _count_vcpus(start, host)
    start.machine.run_on(Accelerator("kvm", host))
    return None


def _count_vcpus(start: Startup, host: Host) -> None:
    """Compare the processors of the machine with KVM's limits (``kvm_init``)."""
    shape = start.machine.topology
    for name, number in (("SMP", shape.cpus), ("hotpluggable", shape.max_cpus)):
        asked = f"Number of {name} cpus requested ({number}) exceeds the"
        if number > host.recommended_vcpus:
            advice = f"{asked} recommended cpus supported by KVM ({host.recommended_vcpus})"
            start.say(f"{_WARNING.at(start.release)}: {advice}")
        if number > host.max_vcpus:
            raise Refused(f"{asked} maximum cpus supported by KVM ({host.max_vcpus})")


_WARNING = History("Warning", ("2.11", "warning"))


#: True if errors of starting KVM begin with the place of the option.
_REPORTED = History(False, ("9.2", True))
_NO_VM = History(
    "ioctl(KVM_CREATE_VM) failed: 22 Invalid argument",
    ("9.2", "ioctl(KVM_CREATE_VM) failed: Invalid argument"),
)
_MODULE_HINT = History(False, ("6.1", True))
#: HV and PR are in capital letters; from 6.0 on in any case, and auto means either.
_ANY_CASE = History(False, ("6.0", True))


def _kvm_type(start: Startup) -> str | None:
    """Return hv, pr or auto; None for another name (``spapr_kvm_type``)."""
    wanted = start.kvm_type
    if wanted is None:
        return "auto"
    if not _ANY_CASE.at(start.release):
        return {"HV": "hv", "PR": "pr"}.get(wanted)
    if wanted == "auto":
        return wanted
    return wanted.lower() if wanted.lower() in {"hv", "pr"} else None
