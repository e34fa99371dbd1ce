"""The ioctls of KVM on POWER, by the kernel's names (linux/kvm.h and powerpc's asm/ioctl.h, asm/kvm.h).

On POWER the direction bits of an ioctl's number differ from those of x86.
"""

from __future__ import annotations

_NONE, _READ, _WRITE = 1, 2, 4
_KVMIO = 0xAE


def _number(direction: int, number: int, size: int = 0) -> int:
    return direction << 29 | size << 16 | _KVMIO << 8 | number


SREGS_SIZE = 1232  # struct kvm_sregs; its first word is the PVR
SMMU_INFO_SIZE = 592
CPU_CHAR_SIZE = 32

KVM_GET_API_VERSION = _number(_NONE, 0x00)
KVM_CREATE_VM = _number(_NONE, 0x01)
KVM_CHECK_EXTENSION = _number(_NONE, 0x03)
KVM_CREATE_VCPU = _number(_NONE, 0x41)
KVM_GET_SREGS = _number(_READ, 0x83, SREGS_SIZE)
KVM_SET_SREGS = _number(_WRITE, 0x84, SREGS_SIZE)
KVM_PPC_GET_SMMU_INFO = _number(_READ, 0xA6, SMMU_INFO_SIZE)
KVM_GET_ONE_REG = _number(_WRITE, 0xAB, 16)
KVM_SET_ONE_REG = _number(_WRITE, 0xAC, 16)
KVM_PPC_GET_CPU_CHAR = _number(_READ, 0xB1, CPU_CHAR_SIZE)
KVM_CREATE_DEVICE = _number(_READ | _WRITE, 0xE0, 12)

KVM_DEV_TYPE_XICS = 3
KVM_DEV_TYPE_XIVE = 9

#: Capabilities that say something about guests, or about how QEMU starts.
CAPABILITIES = {
    "KVM_CAP_PPC_HTM": 132,
    "KVM_CAP_PPC_NESTED_HV": 160,
    "KVM_CAP_PPC_MMU_RADIX": 134,
    "KVM_CAP_PPC_MMU_HASH_V3": 135,
    "KVM_CAP_PPC_SMT": 64,
    "KVM_CAP_PPC_SMT_POSSIBLE": 147,
    "KVM_CAP_PPC_RPT_INVALIDATE": 202,
    "KVM_CAP_PPC_AIL_MODE_3": 210,
    "KVM_CAP_PPC_DAWR1": 194,
    "KVM_CAP_PPC_FWNMI": 146,
    "KVM_CAP_PPC_GET_CPU_CHAR": 151,
    "KVM_CAP_SPAPR_RESIZE_HPT": 133,
    "KVM_CAP_PPC_HTAB_FD": 84,
    "KVM_CAP_PPC_ALLOC_HTAB": 80,
    "KVM_CAP_PPC_GET_SMMU_INFO": 78,
    "KVM_CAP_PPC_GET_PVINFO": 57,
    "KVM_CAP_IRQ_XICS": 92,
    "KVM_CAP_PPC_IRQ_XIVE": 169,
    "KVM_CAP_PPC_ENABLE_HCALL": 104,
    "KVM_CAP_PPC_HWRNG": 115,
    "KVM_CAP_PPC_PAPR": 68,
    "KVM_CAP_PPC_SECURE_GUEST": 181,
    "KVM_CAP_SPAPR_TCE_VFIO": 142,
    "KVM_CAP_NR_VCPUS": 9,
    "KVM_CAP_MAX_VCPUS": 66,
    "KVM_CAP_MAX_VCPU_ID": 128,
}

_U32, _U64 = 2 << 52, 3 << 52
_PPC = 0x10 << 56

#: Registers of a vcpu.
ONE_REGS = {"ARCH_COMPAT": _PPC | _U32 | 0xB7, "LPCR_64": _PPC | _U64 | 0xB5}


def register_size(number: int) -> int:
    """Return the size in bytes of a register, which is part of its number."""
    return 1 << (number >> 52 & 0xF)
