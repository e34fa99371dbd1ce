"""Names of Arm's registers, by the numbers that QEMU sends in ``cpreg_vmstate_indexes``.

The numbers are those of KVM (``KVM_REG_ARM64`` and ``KVM_REG_ARM`` in Linux's ``<asm/kvm.h>``); for 32-bit
registers QEMU adds a bit for the non-secure bank (target/arm/cpregs.h, ``CP_REG_NS_SHIFT``).
"""

from __future__ import annotations

from functools import cache

_ARM, _ARM64 = 0x40, 0x60
_SYSTEM_REGISTER = 0x13
_SYSTEM_COPROCESSOR = 15
_U64 = 3
_NON_SECURE = 1 << 29


@cache
def _tables() -> tuple[dict[int, str], dict[tuple[int, ...], str]]:
    """Return the names of the system registers, and of those of coprocessor 15."""
    import tomllib  # streams of Arm machines only
    from importlib.resources import files

    text = files("vmstate.tree").joinpath("arm_registers.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    system = {number: name for name, number in tables["system"].items()}
    return system, {tuple(parts): name for name, parts in tables["p15"].items()}


def register_name(number: int) -> str:
    """Return a name: ``SCTLR_EL1``, ``TTBR0_NS``; ``S3_1_C15_C2_0`` and ``p14_0_c0_c0_4`` have none.

    Numbers of other kinds, such as KVM's firmware registers, stay numbers.
    """
    architecture, size, group = number >> 56, number >> 52 & 0xF, number >> 16 & 0xFFF
    if architecture == _ARM64 and size == _U64 and group == _SYSTEM_REGISTER and not number >> 28 & 0xFFFFFF:
        return _system_register(number & 0xFFFF)
    if architecture == _ARM and size in (_U64 - 1, _U64) and not number >> 30 & 0x3FFFFF:
        return _coprocessor_register(number, wide=size == _U64)
    return f"{number:#x}"


def _system_register(encoding: int) -> str:
    known = _tables()[0].get(encoding)
    if known is not None:
        return known
    op0, op1 = encoding >> 14 & 3, encoding >> 11 & 7
    crn, crm, op2 = encoding >> 7 & 15, encoding >> 3 & 15, encoding & 7
    return f"S{op0}_{op1}_C{crn}_C{crm}_{op2}"


def _coprocessor_register(number: int, *, wide: bool) -> str:
    """Return the name of an AArch32 register: coprocessor, opc1, CRn, CRm, opc2."""
    coprocessor, opc1, crm = number >> 16 & 0xFFF, number >> 3 & 15, number >> 7 & 15
    crn, opc2 = number >> 11 & 15, number & 7
    bank = "_NS" if number & _NON_SECURE else ""
    if wide:
        return f"p{coprocessor}_{opc1}_c{crm}{bank}"
    known = _tables()[1].get((opc1, crn, crm, opc2)) if coprocessor == _SYSTEM_COPROCESSOR else None
    return f"{known or f'p{coprocessor}_{opc1}_c{crn}_c{crm}_{opc2}'}{bank}"
