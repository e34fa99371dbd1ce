"""From a configuration to a machine with everything decided, or to a refusal in QEMU's words."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe.history import History
from vmstate.pseries.machine import CompatRegister, Machine, Refused
from vmstate.pseries.options import Global
from vmstate.pseries.rules.memory import first_shift
from vmstate.pseries.startup.acceleration import select_accelerator
from vmstate.pseries.startup.command_line import Configuration
from vmstate.pseries.startup.device_options import (
    apply_cpu_globals,
    check_globals,
    check_modelled,
    check_network,
    create_devices,
    make_network_cards,
    reset_devices,
)
from vmstate.pseries.startup.machine_and_cpu import (
    parse_cpu_early,
    select_machine,
    warn_deprecated_cpu,
    warn_deprecated_machine,
)
from vmstate.pseries.startup.machine_init import BOARD, RESET
from vmstate.pseries.startup.machine_properties import apply_properties, check_boot_files
from vmstate.pseries.startup.memory_backends import take_memory_backends
from vmstate.pseries.startup.read_options import read_options
from vmstate.pseries.startup.startup import Startup
from vmstate.pseries.startup.topology import legacy_memory, legacy_smp
from vmstate.pseries.tables.machine_class import ClassFlags

Phase = Callable[[Startup], None]


@dataclass(frozen=True)
class Start:
    """The result of a start: a machine, or None if QEMU refused; its messages, and its writes to KVM.

    ``why``: what the messages of a refusal do not say.
    """

    machine: Machine | None
    messages: tuple[str, ...]
    crashed: bool = False
    kvm_compat: CompatRegister = field(default_factory=CompatRegister)
    why: str = ""

    @property
    def refused(self) -> bool:
        """True if QEMU refused to start."""
        return self.machine is None


def _board(start: Startup) -> None:
    start.run(BOARD.at(start.release))


def _reset(start: Startup) -> None:
    reset_devices(start)
    start.run(RESET.at(start.release))


_CHOICE = (select_accelerator, warn_deprecated_machine, parse_cpu_early, warn_deprecated_cpu)
_BOARD = (take_memory_backends, _board, apply_cpu_globals, make_network_cards, create_devices, check_network)
_FIRST = (read_options, check_modelled, select_machine)
_BEFORE_7_1 = (*_FIRST, legacy_memory)
_PROPERTIES = (apply_properties, check_boot_files)
_CHECKED_FIRST = (read_options, check_modelled, check_boot_files, select_machine)

#: The order of a start, by release (vl.c ``main``, later ``qemu_init``).
PHASES: History[tuple[Phase, ...]] = History(
    (*_BEFORE_7_1, legacy_smp, *_PROPERTIES, select_accelerator, *_BOARD, _reset, check_globals),
    ("2.11", (*_BEFORE_7_1, legacy_smp, *_PROPERTIES, *_CHOICE, *_BOARD, _reset, check_globals)),
    ("6.0", (*_BEFORE_7_1, legacy_smp, *_PROPERTIES, *_CHOICE, *_BOARD, check_globals, _reset)),
    ("6.1", (*_CHECKED_FIRST, legacy_memory, apply_properties, *_CHOICE, *_BOARD, check_globals, _reset)),
    ("7.1", (*_CHECKED_FIRST, apply_properties, *_CHOICE, *_BOARD, check_globals, _reset)),
)


def build(configuration: Configuration) -> Start:
    """Start a QEMU as configured, up to its first reset.

    Raises NotModelled for options that are not modelled.
    """
    binary = configuration.catalogue.binary(configuration.release)
    start = Startup(configuration, binary, binary.machine())
    try:
        start.run(PHASES.at(start.release))
    except Refused as refusal:
        messages = (*start.messages, *refusal.lines)
        return Start(None, messages, refusal.crashed, start.machine.kvm_compat, refusal.why)
    _settle(start.machine)
    return Start(start.machine, tuple(start.messages), kvm_compat=start.machine.kvm_compat)


def _settle(machine: Machine) -> None:
    """Derive the processor's mode, the hash table's size and the offer at CAS from the decisions."""
    machine.flags = _with_migration_globals(machine.flags, machine.globals)
    machine.compat_pvr = machine.max_compat
    machine.pcr = machine.compat_table.pcr(machine.cpu, machine.max_compat)
    machine.htab_shift = first_shift(machine)
    machine.ov5 = frozenset(machine.rules.option_vector_5(machine))


def _with_migration_globals(flags: ClassFlags, defaults: Iterable[Global]) -> ClassFlags:
    given = {
        default.prop.replace("-", "_"): default.value in {"on", "yes", "true"}
        for default in defaults
        if default.driver == "migration"
    }
    return replace(flags, **given) if given else flags  # type: ignore[arg-type]
