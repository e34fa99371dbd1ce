"""The machine's side of CAS: the support that it announces, and its answer to a guest's call.

hw/ppc/spapr_hcall.c ``h_client_architecture_support``, ``cas_check_pvr``; hw/ppc/spapr.c
``spapr_dt_ov5_platform_support``.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass, field
from vmstate.describe.history import History, Span
from vmstate.pseries.cas.client_architecture import ArchitectureCall
from vmstate.pseries.cas.guest_kernels import (
    EITHER,
    GTSE,
    MMU_BYTE,
    NOTHING,
    ONLY_NEW,
    RADIX_BYTE,
    SWITCHABLE,
    XIVE_BYTE,
    Support,
)
from vmstate.pseries.machine import Machine
from vmstate.pseries.rules.compat_register import KVM_REFUSES
from vmstate.pseries.rules.memory import hash_table_shift
from vmstate.pseries.tables.compat import LOGICAL_3_00
from vmstate.pseries.tables.option_vectors import Ov5

NO_PVR = "Couldn't negotiate a suitable PVR during CAS"
NO_VECTOR = "warning: guest didn't provide option vector {}"
BOTH_MMUS = "guest requested hash and radix MMU, which is invalid."
BOTH_MODES = "guest requested an invalid interrupt mode"
MUST_RESIZE = "h_client_architecture_support: Guest doesn't support HPT resizing, but resize-hpt=required"
NO_MMU = "Guest requested unavailable MMU mode ({})."
NO_XIVE = (
    "Guest requested unavailable interrupt mode (XIVE), try the ic-mode=xive or ic-mode=dual machine property"
)
NO_XICS = (
    "Guest requested unavailable interrupt mode (XICS), either don't set the ic-mode machine property or try"
    " ic-mode=xics or ic-mode=dual"
)

#: The C library's prefix of these lines (file, line) depends on the build.
NO_VECTOR_AT_ALL = History(
    "spapr_ovec_intersect: assertion failed: (ov2)",
    ("2.10", "spapr_ovec_test: assertion failed: (ov)"),
)
NO_SECOND_DAWR = "spapr_dt_pa_features: assertion failed: (pa_size > 66)"

_ANNOUNCES_SUPPORT = Span("2.10")
#: In 2.10 the processor's own MMU decided, whatever its mode.
_SUPPORT_BY_MODE = Span("2.11")
_SUPPORTS_XIVE = Span("4.0")
_PVR_FAILURE_PRINTED = Span("2.10")
#: If the mode cannot be set (KVM PR), a guest that knows the processor itself may run without one.
_RAW_INSTEAD = Span("2.11")
_VECTORS_MAY_LACK = Span("5.0")
_MMU_CHOSEN = Span("2.10")
_INTERRUPTS_CHECKED = Span("4.1")
#: Before 5.1 the bit for radix was set as the guest asked, even if it was not offered.
_RADIX_AS_ASKED = History(False, ("2.10", True), ("5.1", False))
#: A change to XIVE needed another device tree, and so a reset, which kept the negotiated options.
_REBOOTS_FOR_XIVE = Span("4.0", "5.0")


@dataclass(frozen=True)
class Negotiated:
    """The result of a call: the mode, option vector 5 (``spapr->ov5_cas``), translation and interrupts.

    ``compat_pvr`` 0 is raw; ``agreed_pvr`` is the mode that was agreed on, which KVM may have refused.
    ``htab_shift`` is log2 of the hash table's bytes.  ``refused``: the call failed, and the guest keeps its
    previous state; ``ended``: QEMU exits.  ``rebooted``: the machine was reset once, and the guest called
    again.  ``messages`` are stderr lines.
    """

    compat_pvr: int
    agreed_pvr: int
    pcr: int
    ov5: frozenset[int]
    mmu: str
    interrupts: str
    htab_shift: int
    messages: tuple[str, ...] = ()
    refused: bool = False
    ended: bool = False
    rebooted: bool = False


def platform_support(machine: Machine) -> Support:
    """Return ``ibm,arch-vec-5-platform-support``; empty in releases without that property."""
    if not _ANNOUNCES_SUPPORT.covers(machine.release):
        return {}
    power9 = machine.can_run(LOGICAL_3_00)
    xive = NOTHING
    if power9 and _SUPPORTS_XIVE.covers(machine.release):
        xive = {"xive": ONLY_NEW, "dual": EITHER}.get(machine.irq, NOTHING)
    gtse = GTSE if machine.rules.tells_gtse(machine) else NOTHING
    return {XIVE_BYTE: xive, MMU_BYTE: _mmu_support(machine, power9), 25: 0, RADIX_BYTE: gtse}


def _mmu_support(machine: Machine, power9: bool) -> int:
    host = machine.host
    if _SUPPORT_BY_MODE.covers(machine.release) and not power9:
        return NOTHING
    if host is None:
        return SWITCHABLE if machine.cpu.family.isa >= 300 else NOTHING
    if not host.radix:
        return NOTHING
    return EITHER if host.hash_v3 else ONLY_NEW


class _Ended(Exception):
    """QEMU exits or, if ``refused``, returns an error to the guest."""

    def __init__(self, *, refused: bool = False) -> None:
        super().__init__()
        self.refused = refused


@dataclass
class _Negotiation:
    """One call: the machine's state, changed step by step as in QEMU."""

    machine: Machine
    call: ArchitectureCall
    compat_pvr: int
    htab_shift: int
    agreed_pvr: int
    ov5: set[int] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    rebooted: bool = False

    def run(self) -> Negotiated:
        refused = ended = False
        try:
            self._processor()
            self._options()
        except _Ended as end:
            refused, ended = end.refused, not end.refused
        machine = self.machine
        return Negotiated(
            compat_pvr=self.compat_pvr,
            agreed_pvr=self.agreed_pvr,
            pcr=machine.compat_table.pcr(machine.cpu, self.compat_pvr),
            ov5=frozenset(self.ov5),
            mmu="radix" if Ov5.MMU_RADIX_300 in self.ov5 else "hash",
            interrupts=self._interrupts(),
            htab_shift=self.htab_shift,
            messages=tuple(self.messages),
            refused=refused,
            ended=ended,
            rebooted=self.rebooted,
        )

    def _processor(self) -> None:
        """Choose the newest mode in the guest's table, or else the processor itself (``cas_check_pvr``)."""
        machine = self.machine
        raw, best = scan_pvrs(machine, self.call)
        if not best and (not raw or machine.max_compat):
            if _PVR_FAILURE_PRINTED.covers(machine.release):
                self.messages.append(NO_PVR)
            raise _Ended(refused=True)
        self.agreed_pvr = best
        if self._kvm_refuses(best):
            if not raw or not _RAW_INSTEAD.covers(machine.release):
                self.messages.append(KVM_REFUSES)
                raise _Ended(refused=True)
            return
        self.compat_pvr = best

    def _kvm_refuses(self, pvr: int) -> bool:
        host = self.machine.host
        if host is None or host.compat_register != "absent" or pvr == self.compat_pvr:
            return False
        return self.machine.rules.arch_compat(self.machine, self.compat_pvr, pvr) is not None

    def _options(self) -> None:
        machine, release = self.machine, self.machine.release
        asked = set(self._vector(5))
        if _MMU_CHOSEN.covers(release) and Ov5.MMU_BOTH in asked:
            self._end(BOTH_MMUS)
        if _INTERRUPTS_CHECKED.covers(release) and Ov5.XIVE_BOTH in asked:
            self._end(BOTH_MODES)
        radix = _MMU_CHOSEN.covers(release) and Ov5.MMU_RADIX_300 in asked
        if not radix and _MMU_CHOSEN.covers(release) and Ov5.HPT_RESIZE not in asked:
            self._table_for_all_memory()
        self.ov5 = {int(bit) for bit in machine.ov5} & asked
        self._check_mmu(radix)
        if _RADIX_AS_ASKED.at(release):
            self.ov5.discard(Ov5.MMU_RADIX_300)
            self.ov5 |= {Ov5.MMU_RADIX_300} if radix else set()
        self._check_interrupts(Ov5.XIVE_EXPLOIT in asked)
        self._device_tree()

    def _vector(self, number: int) -> frozenset[int]:
        needed = (1, number) if _MMU_CHOSEN.covers(self.machine.release) else (number,)
        for each in needed:
            if self.call.vector(each) is None:
                if _VECTORS_MAY_LACK.covers(self.machine.release):
                    self.messages.append(NO_VECTOR.format(each))
                    raise _Ended(refused=True)
                self._end(NO_VECTOR_AT_ALL.at(self.machine.release))
        return self.call.vector(number) or frozenset()

    def _table_for_all_memory(self) -> None:
        """Give a guest that cannot resize its hash table one for the maximum memory."""
        machine = self.machine
        if machine.resize_hpt == "required":
            self._end(MUST_RESIZE)
        self.htab_shift = max(self.htab_shift, hash_table_shift(machine.maxram_size))

    def _check_mmu(self, radix: bool) -> None:
        host = self.machine.host
        if host is None or not _MMU_CHOSEN.covers(self.machine.release):
            return
        if radix and not host.radix:
            self._end(NO_MMU.format("radix"))
        if not radix and host.radix and not host.hash_v3:
            self._end(NO_MMU.format("hash"))

    def _check_interrupts(self, xive: bool) -> None:
        machine = self.machine
        if _INTERRUPTS_CHECKED.covers(machine.release):
            if xive and not machine.has_xive:
                self._end(NO_XIVE)
            if not xive and not machine.has_xics:
                self._end(NO_XICS)
        self.rebooted = (
            _REBOOTS_FOR_XIVE.covers(machine.release)
            and machine.irq == "dual"
            and Ov5.XIVE_EXPLOIT in self.ov5
        )

    def _device_tree(self) -> None:
        """Build the tree again; with cap-dawr1 on, QEMU asserts that the mode is at least 3.00."""
        machine = self.machine
        dawr1 = machine.level("dawr1")
        if dawr1 and not machine.compat_table.check(machine.cpu, LOGICAL_3_00, 0, self.compat_pvr):
            self._end(NO_SECOND_DAWR)

    def _interrupts(self) -> str:
        machine = self.machine
        if machine.has_xive and (not machine.has_xics or Ov5.XIVE_EXPLOIT in self.ov5):
            return "xive"
        return "xics"

    def _end(self, message: str) -> None:
        self.messages.append(message)
        raise _Ended


def scan_pvrs(machine: Machine, call: ArchitectureCall) -> tuple[bool, int]:
    """Return True if the table has the processor itself, and the best mode in it (0 for none).

    An entry that matches the processor is not tried as a mode.  A mode must be no older than the best one so
    far, and no newer than max-cpu-compat.
    """
    raw, best = False, 0
    for entry in call.pvrs:
        if entry.ends:
            break
        if entry.matches(machine.cpu.pvr):
            raw = True
        elif machine.compat_table.check(machine.cpu, entry.value, best, machine.max_compat):
            best = entry.value
    return raw, best


def negotiate(machine: Machine, call: ArchitectureCall) -> Negotiated:
    """Return the answer of a machine that has just been reset to a guest's call."""
    mode = machine.max_compat
    return _Negotiation(machine, call, mode, machine.htab_shift, agreed_pvr=mode).run()
