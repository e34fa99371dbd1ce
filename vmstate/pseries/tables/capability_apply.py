"""The requirements of each capability: hw/ppc/spapr_caps.c ``cap_*_apply``.

A rule gets the effective level, and accepts it, warns, or refuses; QEMU calls it at every reset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vmstate.dataclass import dataclass
from vmstate.describe.history import History, Release
from vmstate.pseries.tables.accelerators import Host
from vmstate.pseries.tables.compat import LOGICAL_3_00, LOGICAL_3_10, CompatTable
from vmstate.pseries.tables.cpus import CpuAt
from vmstate.pseries.tables.machine_class import ClassFlags


class CapabilityRefused(Exception):
    """A level that is not available; QEMU prints ``lines`` and exits."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


@dataclass
class Applying:
    """The input of a rule: the machine as far as it is decided, and a function for warnings.

    ``levels``: all effective levels, by a capability's name without ``cap-``.
    """

    release: Release
    cpu: CpuAt
    compat: CompatTable
    max_compat: int
    host: Host | None
    threads: int
    warn: Callable[[str], None]
    flags: ClassFlags
    levels: Mapping[str, int]
    nested_api: str | None = None

    def can_run(self, pvr: int) -> bool:
        """Return True if the processor can run mode ``pvr`` under the machine's limit."""
        return self.compat.check(self.cpu, pvr, 0, self.max_compat)

    def refuse(self, message: str, option: str) -> None:
        """Refuse, with the advice to append ``option`` in the wording of this release."""
        raise CapabilityRefused(*_ADVICE.at(self.release)(message, option))


def _in_brackets(message: str, option: str) -> tuple[str, ...]:
    return (f"{message}, try {option}",)


def _appended(message: str, option: str) -> tuple[str, ...]:
    return (f"{message}, try appending -machine {option}",)


def _hint(message: str, option: str) -> tuple[str, ...]:
    return (message, f"Try appending -machine {option}")


_ADVICE: History[Callable[[str, str], tuple[str, ...]]] = History(
    _in_brackets, ("4.2", _appended), ("5.2", _hint)
)
_TCG = History("tcg", ("5.2", "TCG"))
_KVM = History("kvm", ("5.2", "KVM"))
#: Before 4.0 TCG refuses what it cannot give; since then it warns.
_TCG_WARNS = History(False, ("4.0", True))
_CCF_TCG_WARNS = History(False, ("5.0", True))
_TRISTATE = ("broken", "workaround", "fixed")
_IBS = ("broken", "workaround", "fixed-ibs", "fixed-ccd", "fixed-na")


def accept(at: Applying, level: int) -> None:
    """Accept any level."""
    del at, level


def htm(at: Applying, level: int) -> None:
    """Check transactional memory, which TCG never has and KVM has if the host does."""
    if not level:
        return
    if at.host is None:
        at.refuse("No Transactional Memory support in TCG", "cap-htm=off")
    elif not at.host.htm:
        at.refuse("KVM implementation does not support Transactional Memory", "cap-htm=off")


def vsx(at: Applying, level: int) -> None:
    """Check vector-scalar instructions, which the first processor must have.

    If it does not even have Altivec, QEMU fails an assertion.
    """
    if not level:
        return
    if not at.cpu.family.altivec:
        raise CapabilityRefused("cap_vsx_apply: assertion failed: (env->insns_flags & PPC_ALTIVEC)")
    if not at.cpu.family.vsx:
        at.refuse("VSX support not available", "cap-vsx=off")


def dfp(at: Applying, level: int) -> None:
    """Check decimal floating point, which the first processor must have."""
    if level and not at.cpu.family.dfp:
        at.refuse("DFP support not available", "cap-dfp=off")


def _protection(at: Applying, level: int, what: str, option: str, names: tuple[str, ...], host: int) -> None:
    """Check a protection against speculation; the three differ in name only."""
    if not level:
        return
    if at.host is None:
        if _TCG_WARNS.at(at.release):
            at.warn(f"TCG doesn't support requested feature, {option}={names[level]}")
            return
        message = f"Requested {what} capability level not supported by tcg"
        raise CapabilityRefused(f"{message}, try a different value for {option}")
    if level > host:
        message = f"Requested {what} capability level not supported by {_KVM.at(at.release)}"
        if _KVM_NAMES_A_VALUE.at(at.release):
            at.refuse(message, f"{option}={names[host]}")
        raise CapabilityRefused(f"{message}, try a different value for {option}")


_KVM_NAMES_A_VALUE = History(False, ("2.12", True))


def safe_cache(at: Applying, level: int) -> None:
    """Check cache flushes on privilege change."""
    host = at.host.cfpc if at.host else 0
    _protection(at, level, "safe cache", "cap-cfpc", _TRISTATE, host)


def safe_bounds_check(at: Applying, level: int) -> None:
    """Check the speculation barrier for bounds checks."""
    host = at.host.sbbc if at.host else 0
    _protection(at, level, "safe bounds check", "cap-sbbc", _TRISTATE, host)


#: 2.12 to 3.1 always refuse the level "workaround", and require exactly the host's level.
_WORKAROUND_INVALID = History(False, ("2.12", True), ("4.0", False))
#: The levels that are known in the kernel's answer (parse_cap_ppc_safe_indirect_branch).
_IBS_OF_KVM = History(frozenset({2}), ("2.12", frozenset({2, 3})), ("4.0", frozenset({1, 2, 3, 16})))


def safe_indirect_branch(at: Applying, level: int) -> None:
    """Check the protection against indirect branch speculation."""
    host = at.host.ibs if at.host and at.host.ibs in _IBS_OF_KVM.at(at.release) else 0
    if _WORKAROUND_INVALID.at(at.release):
        if level == 1:
            raise CapabilityRefused(
                'Requested safe indirect branch capability level "workaround" not valid, '
                f"try cap-ibs={_IBS[host]}"
            )
        if at.host is not None and level not in {0, host}:
            message = "Requested safe indirect branch capability level not supported by kvm"
            at.refuse(message, f"cap-ibs={_IBS[host]}")
    _protection(at, level, "safe indirect branch", "cap-ibs", _IBS, host)


def indirect_branch_up_to_host(at: Applying, level: int) -> None:
    """Check that protection as 4.0 does, but in the words of the release.

    A backport of 399b2896d494 to an older release; there TCG refuses, and "workaround" is a level.
    """
    known = _IBS_OF_KVM.changes[-1][1]
    host = at.host.ibs if at.host and at.host.ibs in known else 0
    _protection(at, level, "safe indirect branch", "cap-ibs", _IBS, host)


#: Of several sizes of backing pages, at first the largest counted, later the smallest.
PAGE_SIZE_ASKED: History[Callable[[Iterable[int]], int]] = History(max, ("4.1", min))


def hpt_max_page_size(at: Applying, level: int) -> None:
    """Check the largest page of a hash guest; ``level`` is log2 of its bytes."""
    if level < 12:
        raise CapabilityRefused("Require at least 4kiB hpt-max-page-size")
    if level < 16:
        at.warn("Many guests require at least 64kiB hpt-max-page-size")
    if at.host is not None and at.host.needs_contiguous_pages:
        backing = PAGE_SIZE_ASKED.at(at.release)(at.host.page_sizes)
        if 1 << level > backing:
            raise CapabilityRefused(
                f"Can't support {(1 << level) >> 10} kiB guest pages with {backing >> 10} kiB host pages"
                " with this KVM implementation"
            )


_NESTED_NAME = History("Nested KVM-HV", ("7.0", "Nested-HV"))
_NESTED_TCG = History(False, ("7.0", True))
_NESTED_NO_SMT = History(False, ("8.1", True))
_NESTED_POWER9_ONLY = History(False, ("5.2", True))
_EXCLUSIVE = (
    "Nested-HV APIs are mutually exclusive",
    "Please use either cap-nested-hv or cap-nested-papr to proceed.",
)


def nested_hv(at: Applying, level: int) -> None:
    """Check guests inside the guest with the KVM HV interface."""
    if not level:
        return
    off = "cap-nested-hv=off"
    name = _NESTED_NAME.at(at.release)
    if _NESTED_TCG.at(at.release):
        if at.cpu.family.isa < 300:
            at.refuse("Nested-HV only supported on POWER9 and later", off)
    elif at.host is None:
        at.refuse(f"No Nested KVM-HV support in {_TCG.at(at.release)}", off)
    if at.host is None:
        _nested_hv_under_tcg(at)
        return
    if _NESTED_POWER9_ONLY.at(at.release) and not at.can_run(LOGICAL_3_00):
        later = " and later" if _NESTED_TCG.at(at.release) else ""
        at.refuse(f"{name} only supported on POWER9{later}", "max-cpu-compat=power9")
    if not at.host.nested_hv:
        at.refuse(f"KVM implementation does not support {name}", off)


def _nested_hv_under_tcg(at: Applying) -> None:
    if _NESTED_NO_SMT.at(at.release) and at.threads > 1:
        raise CapabilityRefused(
            "TCG does not support nested-HV with SMT",
            "Try appending -machine cap-nested-hv=off or use threads=1 with -smp",
        )
    if at.nested_api not in (None, "kvm-hv"):
        raise CapabilityRefused(*_EXCLUSIVE)
    at.nested_api = "kvm-hv"


def nested_papr(at: Applying, level: int) -> None:
    """Check guests inside the guest with the PAPR interface: TCG only."""
    if not level:
        return
    if at.host is not None:
        at.refuse("KVM implementation does not support Nested-PAPR", "cap-nested-papr=off")
    if at.cpu.family.isa < 300:
        at.refuse("Nested-PAPR only supported on POWER9 and later", "cap-nested-papr=off")
    if at.nested_api not in (None, "papr"):
        raise CapabilityRefused(*_EXCLUSIVE)
    at.nested_api = "papr"


_TRY_POWER9: History[tuple[str, ...]] = History(
    ("Large decrementer only supported on POWER9, try -cpu POWER9",),
    ("5.2", ("Large decrementer only supported on POWER9", "Try -cpu POWER9")),
)


def large_decrementer(at: Applying, level: int) -> None:
    """Check a decrementer wider than 32 bits."""
    if not level:
        return
    if at.host is None:
        if not at.can_run(LOGICAL_3_00):
            raise CapabilityRefused(*_TRY_POWER9.at(at.release))
        return
    bits, model = at.host.large_decr_bits, at.cpu.family.decrementer_bits
    if not bits:
        at.refuse(_NO_LARGE_DECR, "cap-large-decr=off")
    if bits != model:
        option = _LARGE_DECR_OPTION.at(at.release)
        at.refuse(f"KVM large decrementer size ({bits}) differs to model ({model})", option)


def large_decrementer_of_processor(at: Applying, level: int) -> None:
    """Check that KVM takes the bit in the LPCR of a processor (``cap_large_decr_cpu_apply``)."""
    if level and at.host is not None and not at.host.takes_large_decr:
        at.refuse(_NO_LARGE_DECR, "cap-large-decr=off")


_NO_LARGE_DECR = "No large decrementer support"
#: At first the advice had an extra dash.
_LARGE_DECR_OPTION = History("-cap-large-decr=off", ("4.2", "cap-large-decr=off"))


def ccf_assist(at: Applying, level: int) -> None:
    """Check the instruction that flushes the count cache."""
    if not level:
        return
    message = "Requested count cache flush assist capability level not supported by "
    if at.host is None:
        if not _CCF_TCG_WARNS.at(at.release):
            at.refuse(message + _TCG.at(at.release), "cap-ccf-assist=off")
        at.warn("TCG doesn't support requested feature, cap-ccf-assist=on")
    elif level > at.host.ccf_assist:
        # With the count cache off in the host (fixed-ccd), the instruction is a harmless no-op.
        if _CCF_TCG_WARNS.at(at.release) and at.host.ibs == _IBS.index("fixed-ccd"):
            return
        at.refuse(message + _KVM.at(at.release), "cap-ccf-assist=off")


def fwnmi(at: Applying, level: int) -> None:
    """Check the delivery of machine checks to the guest."""
    if level and at.host is not None and not at.host.fwnmi:
        message = "Firmware Assisted Non-Maskable Interrupts(FWNMI) not supported by KVM."
        at.refuse(message, "cap-fwnmi=off")


def rpt_invalidate(at: Applying, level: int) -> None:
    """Check the hypercall H_RPT_INVALIDATE: KVM with radix only."""
    if not level:
        return
    if at.host is None:
        at.refuse("No H_RPT_INVALIDATE support in TCG", "cap-rpt-invalidate=off")
    elif not at.host.radix:
        raise CapabilityRefused("H_RPT_INVALIDATE only supported on Radix")
    elif not at.host.rpt_invalidate:
        at.refuse("KVM implementation does not support H_RPT_INVALIDATE", "cap-rpt-invalidate=off")


def ail_mode_3(at: Applying, level: int) -> None:
    """Check the delivery of interrupts with translation on."""
    if not level:
        return
    if at.host is None:
        if at.cpu.family.isa < 207:
            at.refuse("TCG only supports cap-ail-mode-3 on POWER8 and later CPUs", "cap-ail-mode-3=off")
    elif not at.host.ail_mode_3:
        at.refuse("KVM implementation does not support cap-ail-mode-3", "cap-ail-mode-3=off")


def dawr1(at: Applying, level: int) -> None:
    """Check a second data watchpoint."""
    if not level:
        return
    if not at.can_run(LOGICAL_3_10):
        at.refuse("DAWR1 supported only on POWER10 and later CPUs", "cap-dawr1=off")
    if at.host is not None and not at.host.dawr1:
        at.refuse("DAWR1 not supported by KVM.", "cap-dawr1=off")


#: The rules that ask TCG or KVM; they are skipped where neither runs (qtest).
ACCELERATOR_RULES = (
    htm,
    safe_cache,
    safe_bounds_check,
    safe_indirect_branch,
    nested_hv,
    nested_papr,
    large_decrementer,
    ccf_assist,
    fwnmi,
    rpt_invalidate,
    ail_mode_3,
)
