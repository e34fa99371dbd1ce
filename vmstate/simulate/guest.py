"""A guest that boots on a running instance: what it leaves in the devices, and so in the stream.

Of what a guest does, that is modelled which decides whether a stream loads, and which subsections it has:
CAS, the choice of translation and interrupts, the registers that these set, and the areas that Linux
registers.  Addresses are the guest's choice; those here are of the right form, no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vmstate.describe.history import History
from vmstate.pseries.cas.client_architecture import ArchitectureCall
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.cas.guests import guest as named
from vmstate.pseries.cas.negotiation import Negotiated, negotiate, platform_support
from vmstate.pseries.devices.cpu import reset as cpu_reset
from vmstate.pseries.devices.cpu.reset import SPR_LPCR
from vmstate.pseries.rules.board import PATE1_GR
from vmstate.pseries.rules.compat_register import negotiate_compat
from vmstate.pseries.rules.kernel_irqchip import falls_back
from vmstate.pseries.tables.option_vector_bits import bitmap_of
from vmstate.pseries.tables.option_vectors import Ov5
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Side, configuration, load, send

#: LPCR: little-endian interrupts, taken at the alternate location; radix: host radix, process table, tlbie.
LPCR_ILE, LPCR_AIL_3 = 1 << 25, 3 << 23
LPCR_HR, LPCR_UPRT, LPCR_GTSE = 1 << 20, 1 << 22, 1 << 10

#: patb_entry: the guest uses radix; Linux makes a table of 16 MiB, aligned to its size.
PROCESS_TABLE_SHIFT = 24

_HASH_PROCESS_TABLE = 0
#: H_REGISTER_PROC_TBL forgot host radix at first.
_RADIX_LPCR = History(LPCR_UPRT, ("4.0", LPCR_UPRT | LPCR_HR))
_FWNMI = History(False, ("5.0", True))


def boot(instance: Instance, guest: str | Guest) -> Negotiated:
    """Let a guest boot: it calls, and, unless QEMU ended, goes on as Linux does.

    What QEMU prints goes to the instance's console.  Raises ConfigurationError for a guest of no known name.
    """
    chosen = named(guest) if isinstance(guest, str) else guest
    outcome = call_cas(instance, chosen.call(platform_support(instance)))
    instance.guest, instance.negotiated, instance.ended = chosen.text, outcome, outcome.ended
    if not outcome.ended and chosen.kernel.registers:
        _run(instance, outcome)
    return outcome


def migrate_guest(source: Side, destination: Side, guest: str | Guest, *, trace: bool = False) -> Verdict:
    """A migration of a guest that has booted on the source.

    Where QEMU ends as the guest boots, the source is refused.  Raises ConfigurationError for a command line
    that we do not model, or a guest of no known name.
    """
    chosen = named(guest) if isinstance(guest, str) else guest
    to_side = configuration(destination)
    sent = send(source, lambda instance: _booted(instance, chosen))
    if sent.stream is None:
        return Verdict(Outcome.SOURCE_REFUSED, source_messages=sent.messages, decided_by=sent.refused)
    return replace(load(sent.stream, to_side, trace=trace), source_messages=sent.messages)


def _booted(instance: Instance, guest: Guest) -> None:
    boot(instance, guest)


def call_cas(instance: Instance, call: ArchitectureCall) -> Negotiated:
    """Let the guest make this call, and do nothing else."""
    outcome = negotiate(instance, call)
    instance.console.extend(outcome.messages)
    instance.ended = outcome.ended
    negotiate_compat(instance, outcome.agreed_pvr)  # what it says, the outcome has among its messages
    if not outcome.ended and outcome.interrupts == "xive" and instance.has_xics:
        instance.console.extend(falls_back(instance, "xive"))
    for device in _devices(instance, "globalstate"):
        device.runstate = b"running".ljust(len(device.runstate), b"\0")
    for device in _devices(instance, "spapr"):
        device.ov5_cas.bitmap = bitmap_of(outcome.ov5)
    for device in _devices(instance, "spapr/htab"):
        device.shift = outcome.htab_shift
    return outcome


def _run(instance: Instance, outcome: Negotiated) -> None:
    radix = outcome.mmu == "radix"
    for device in _devices(instance, "cpu"):
        device.spr[SPR_LPCR] = _lpcr(instance, device, outcome)
        device.quiesced = False
        device.common.halted = 0
    for device in _devices(instance, "spapr"):
        device.patb_entry = process_table(instance.ram_size) if radix else _HASH_PROCESS_TABLE
        if _FWNMI.at(instance.release) and instance.level("fwnmi"):
            device.fwnmi_system_reset_addr, device.fwnmi_machine_check_addr = 0x1920, 0x1990
    for device in _devices(instance, "spapr_cpu"):
        area = instance.ram_size - (device.instance_id + 2) * 0x10000
        device.vpa_addr = area
        if not radix:
            device.slb_shadow_addr, device.slb_shadow_size = area + 0x8000, 0x280
    if radix:
        for device in _devices(instance, "spapr/htab"):
            device.shift = 0


def _lpcr(instance: Instance, cpu: Any, outcome: Negotiated) -> int:
    """As after reset of the boot processor, with what Linux sets by H_SET_MODE and H_REGISTER_PROC_TBL."""
    value = cpu_reset.lpcr(
        cpu.model.family.isa,
        instance.release,
        boot=True,
        large_decrementer=bool(instance.level("large-decr")),
    )
    value |= LPCR_ILE
    if cpu.model.family.isa >= 207:
        value |= LPCR_AIL_3
    if outcome.mmu == "radix":
        value |= _RADIX_LPCR.at(instance.release)
        if Ov5.MMU_RADIX_GTSE in outcome.ov5:
            value |= LPCR_GTSE
    return value


def process_table(ram_size: int) -> int:
    """``patb_entry`` of a radix guest with so much memory.

    That it is radix (bit 63) and the size (the lowest bits: log2 of the bytes, less 12) are Linux's; the
    address is where its allocator found room, a multiple of the size near the top of memory.
    """
    size = 1 << PROCESS_TABLE_SHIFT
    return PATE1_GR | max(size, (ram_size - 2 * size) // size * size) | PROCESS_TABLE_SHIFT - 12


def _devices(instance: Instance, idstr: str) -> Iterator[Any]:
    return (entry.device for entry in instance.entries if entry.device.idstr == idstr)
