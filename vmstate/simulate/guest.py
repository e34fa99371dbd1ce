"""A guest that boots on a running instance: the state that it leaves in the devices, and so in the stream.

Only the actions that decide whether a stream loads, and which subsections it has, are modelled: CAS, the
choice of translation and interrupts, the registers that these set, the areas that Linux registers, and the
features that its virtio drivers take.  A real guest chooses its own addresses; those here only have the right
form.
"""

from __future__ import annotations

from collections.abc import Container

from vmstate.dataclass import replace
from vmstate.describe.history import History
from vmstate.pseries.cas.client_architecture import ArchitectureCall
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.guests import guest as named
from vmstate.pseries.cas.negotiation import Negotiated, negotiate, platform_support
from vmstate.pseries.devices.cpu import reset
from vmstate.pseries.devices.cpu.cpu import Cpu
from vmstate.pseries.devices.cpu.reset import SPR_LPCR
from vmstate.pseries.devices.cpu.spapr_cpu import SpaprCpu
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.devices.spapr.htab import Htab
from vmstate.pseries.devices.spapr.spapr import Spapr
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.compat_register import negotiate_compat
from vmstate.pseries.rules.interrupts import falls_back, requested
from vmstate.pseries.rules.memory import real_mode_refusal
from vmstate.pseries.tables.cpus import PATE1_GR
from vmstate.pseries.tables.option_vectors import Ov5, bitmap_of
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.guest_drivers import start_drivers
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Side, configuration, received_from, send
from vmstate.simulate.undecided import check_decided

#: LPCR: little-endian interrupts, taken at the alternate location; radix: host radix, process table, tlbie.
LPCR_ILE, LPCR_AIL_3 = 1 << 25, 3 << 23
LPCR_HR, LPCR_UPRT, LPCR_GTSE = 1 << 20, 1 << 22, 1 << 10

#: The size in patb_entry of a radix guest: Linux makes a table of 16 MiB, aligned to its size.
PROCESS_TABLE_SHIFT = 24

_HASH_PROCESS_TABLE = 0
#: At first H_REGISTER_PROC_TBL did not set host radix.
_RADIX_LPCR = History(LPCR_UPRT, ("4.0", LPCR_UPRT | LPCR_HR))
_FWNMI = History(False, ("5.0", True))


def boot(instance: Instance, guest: str | Guest) -> Negotiated:
    """Boot a guest: it makes its CAS call and, unless that ended QEMU, continues as Linux does.

    QEMU's messages go to the instance's console.  Raises ConfigurationError for an unknown guest.
    """
    chosen = named(guest) if isinstance(guest, str) else guest
    outcome = call_cas(instance, chosen.call(platform_support(instance.machine)))
    instance.guest, instance.negotiated, instance.ended = chosen, outcome, outcome.ended
    instance.boots, instance.running, instance.has_run = chosen, not outcome.ended, True
    instance.booted_memory = frozenset(number for one in instance.board.modules for number in one.connectors)
    if not outcome.ended and chosen.kernel.registers:
        _run(instance.machine, outcome)
    if not outcome.ended and chosen.kernel.linux is not None:
        instance.linux = chosen.kernel.linux
        start_drivers(instance.machine, instance.linux)
    return outcome


def migrate_guest(source: Side, destination: Side, guest: str | Guest, *, trace: bool = False) -> Verdict:
    """Migrate a guest that has booted on the source.

    If QEMU ends while the guest boots, the source is refused.  Raises ConfigurationError for a command line
    that is not modelled, an unknown guest, or where state of the guest decides that is not simulated.
    """
    chosen = named(guest) if isinstance(guest, str) else guest
    to_side = configuration(destination)
    sent = send(source, lambda instance: _booted(instance, chosen))
    if sent.stream is None:
        return Verdict(Outcome.SOURCE_REFUSED, source_messages=sent.messages, decided_by=sent.refused)
    received = received_from(sent, to_side, trace=trace)
    if sent.instance is not None and received.instance is not None:
        check_decided(sent.instance, received.instance, received.verdict)
    return replace(received.verdict, source_messages=sent.messages)


def _booted(instance: Instance, guest: Guest) -> None:
    boot(instance, guest)


def call_cas(instance: Instance, call: ArchitectureCall) -> Negotiated:
    """Make this CAS call for a guest, and nothing else."""
    machine = instance.machine
    outcome = negotiate(machine, call)
    machine.say(*outcome.messages)
    instance.ended = outcome.ended
    negotiate_compat(machine, outcome.agreed_pvr)  # its error is among the outcome's messages
    if not outcome.ended and outcome.mmu != "radix" and machine.rules.starts_radix(machine):
        refusal = real_mode_refusal(machine, outcome.htab_shift)
        if refusal is not None:
            machine.say(refusal)
            instance.ended = True
            return replace(outcome, ended=True)
    if not outcome.ended and outcome.interrupts == "xive" and machine.has_xics:
        refusal = requested(machine, "xive")
        if refusal is not None:
            machine.say(refusal)
            instance.ended = True
            return replace(outcome, ended=True)
        machine.say(*falls_back(machine, "xive"))
    for state in machine.registered(GlobalState):
        state.runstate = b"running".ljust(len(state.runstate), b"\0")
    for spapr in machine.registered(Spapr):
        spapr.ov5_cas.bitmap = bitmap_of(outcome.ov5)
    for htab in machine.registered(Htab):
        htab.shift = outcome.htab_shift
    return outcome


def _run(machine: Machine, outcome: Negotiated) -> None:
    radix = outcome.mmu == "radix"
    start_processors(machine, outcome, frozenset(cpu.instance_id for cpu in machine.registered(Cpu)))
    for spapr in machine.registered(Spapr):
        spapr.patb_entry = process_table(machine.ram_size) if radix else _HASH_PROCESS_TABLE
        if _FWNMI.at(machine.release) and machine.level("fwnmi"):
            spapr.fwnmi_system_reset_addr, spapr.fwnmi_machine_check_addr = 0x1920, 0x1990
    if radix:
        for htab in machine.registered(Htab):
            htab.shift = 0


def start_processors(machine: Machine, outcome: Negotiated, numbers: Container[int]) -> None:
    """Let Linux start the processors with these numbers, and register their areas."""
    for cpu in machine.registered(Cpu):
        if cpu.instance_id in numbers:
            cpu.spr[SPR_LPCR] = _lpcr(machine, outcome)
            cpu.quiesced = False
            cpu.common.halted = 0
    for areas in machine.registered(SpaprCpu):
        if areas.instance_id in numbers:
            area = machine.ram_size - (areas.instance_id + 2) * 0x10000
            areas.vpa_addr = area
            if outcome.mmu != "radix":
                areas.slb_shadow_addr, areas.slb_shadow_size = area + 0x8000, 0x280


def _lpcr(machine: Machine, outcome: Negotiated) -> int:
    """Return the boot processor's LPCR after Linux has called H_SET_MODE and H_REGISTER_PROC_TBL."""
    isa = machine.cpu.family.isa
    large_decrementer = bool(machine.level("large-decr"))
    value = reset.lpcr(isa, machine.release, boot=True, large_decrementer=large_decrementer)
    value |= LPCR_ILE
    if isa >= 207:
        value |= LPCR_AIL_3
    if outcome.mmu == "radix":
        value |= _RADIX_LPCR.at(machine.release)
        if Ov5.MMU_RADIX_GTSE in outcome.ov5:
            value |= LPCR_GTSE
    return value


def process_table(ram_size: int) -> int:
    """Return ``patb_entry`` of a radix guest with this many bytes of memory.

    The radix bit (63) and the size (the lowest bits: log2 of the bytes, less 12) are Linux's; the address is
    where its allocator found room, a multiple of the size near the top of memory.
    """
    size = 1 << PROCESS_TABLE_SHIFT
    return PATE1_GR | max(size, (ram_size - 2 * size) // size * size) | PROCESS_TABLE_SHIFT - 12
