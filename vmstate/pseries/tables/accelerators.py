"""Accelerators: TCG, or KVM on a host whose processor and kernel limit what a guest may have.

A host is a small TOML file; those that come with the package are in ``fixtures/hosts``, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vmstate.dataclass import dataclass, field, fields
from vmstate.errors import ConfigurationError
from vmstate.shipped import shipped

#: The allowed values of keys that take one of a few.
_CHOICES = {
    "flavour": ("hv", "pr", "none"),
    "compat_register": ("handled", "ignored", "absent"),
    "gtse_capability": ("absent", "as-posted", "redesigned"),
    "level": (0, 1, 2),
    "compat_limit": ("", "power6", "power7", "power8", "power9", "power10", "power11"),
}


#: The pages of a kernel that was built for them.
_SMALL_PAGE = 4096
#: The width before POWER9.
_NARROW_DECR = 32


@dataclass(frozen=True)
class Host:
    """A KVM host as QEMU sees it: its processor, and its kernel's answers (target/ppc/kvm.c).

    ``family`` and ``pvr`` are its processor; ``flavour`` is ``hv``, ``pr``, or ``none`` where there is no
    /dev/kvm; ``creates_vm`` is off where there is one, and KVM_CREATE_VM fails.  ``level``: where this KVM
    runs: 0 on the machine itself, 1 in a guest of that, 2 in a guest of the guest.

    ``cfpc``, ``sbbc``, ``ibs``, ``ccf_assist``: levels of protection that the kernel reports (``ibs`` 16: not
    needed at all); a kernel without that ioctl reports 0.  Capabilities are those of ``kvm_arch_init``:
    ``radix`` and ``hash_v3``: the MMU modes of a guest; ``irq_xics`` and ``xive``: the interrupt controllers
    that the kernel can emulate; ``xics_reconnects``: it can create XICS again after it was removed.

    ``compat_register``: KVM_REG_PPC_ARCH_COMPAT is handled, ignored (the ioctl succeeds and does nothing),
    or absent (it fails).  ``compat_limit``: the compat mode that this kernel itself runs in; its guests can
    have no newer one.  ``lpcr_gtse``: the bit in the LPCR of this kernel, and of its guests.
    ``gtse_capability``: the form of KVM_CAP_PPC_GTSE that it has.

    ``recommended_vcpus`` and ``max_vcpus``: KVM_CAP_NR_VCPUS, the number of the host's processors, and
    KVM_CAP_MAX_VCPUS.

    ``page_sizes``: those of the memory behind the guest's RAM, in bytes; ``smt_modes``: the VSMT modes that
    the kernel accepts (empty: it cannot change the mode); ``smt_threads``: the mode that it starts with.
    """

    name: str
    family: str
    pvr: int
    flavour: str = "hv"
    level: int = 0
    creates_vm: bool = True
    htm: bool = False
    cfpc: int = 0
    sbbc: int = 0
    ibs: int = 0
    ccf_assist: int = 0
    nested_hv: bool = False
    large_decr_bits: int = 0
    fwnmi: bool = False
    radix: bool = False
    hash_v3: bool = True
    rpt_invalidate: bool = False
    ail_mode_3: bool = False
    dawr1: bool = False
    resize_hpt: bool = False
    compat_register: str = "handled"
    compat_limit: str = ""
    lpcr_gtse: bool = True
    gtse_capability: str = "absent"
    recommended_vcpus: int = 1
    max_vcpus: int = 2048
    page_sizes: tuple[int, ...] = (65536,)
    smt_threads: int = 1
    smt_modes: tuple[int, ...] = ()
    irq_xics: bool = True
    xics_reconnects: bool = True
    xive: bool = False

    @property
    def needs_contiguous_pages(self) -> bool:
        """True if a hash guest's pages must be backed by host pages as large (KVM HV: real page sizes)."""
        return self.flavour == "hv"

    @property
    def maps_xive(self) -> bool:
        """True if QEMU can use the kernel's XIVE: it maps pages of 64 KiB (``kvmppc_xive_mmap``)."""
        return self.xive and _SMALL_PAGE not in self.page_sizes

    @property
    def takes_large_decr(self) -> bool:
        """True if a guest's LPCR can have the bit of the large decrementer: not before POWER9, not under PR.

        The host's device tree has the width all the same (``large_decr_bits``).
        """
        return self.flavour == "hv" and self.large_decr_bits > _NARROW_DECR

    @property
    def has_hash_guests(self) -> bool:
        """True if a guest can have a hash table: not under KVM HV in a guest (KVM_PPC_ALLOCATE_HTAB)."""
        return self.flavour != "hv" or self.level == 0

    @property
    def can_resize_hpt(self) -> bool:
        """True if the hash table can be resized (kvmppc_check_papr_resize_hpt); for KVM PR, QEMU does it."""
        return self.resize_hpt or self.flavour == "pr"

    @property
    def gtse_answer(self) -> int:
        """The ioctl's answer for KVM_CAP_PPC_GTSE; 0 if the kernel does not know it.

        As posted: 1 or 0.  As redesigned: never 0; the thread names no numbers, so these are our own.
        """
        if self.gtse_capability == "absent":
            return 0
        if self.gtse_capability == "as-posted":
            return int(self.lpcr_gtse)
        return GTSE_ON if self.lpcr_gtse else GTSE_OFF


#: Answers of a kernel with the redesigned capability; as posted, 1 also means on.
GTSE_ON, GTSE_OFF = 1, 2


_FIELDS = {f.name: f for f in fields(Host)}
_SHIPPED = shipped("hosts")


def read_host(path: str | Path) -> Host:
    """Read a host from a TOML file.  Raises ConfigurationError for an invalid file, naming the key."""
    import tomllib  # for KVM only

    file = Path(path)
    try:
        declared = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"host {file}: {error}") from None
    return host_from(file.stem, declared)


def host_from(name: str, declared: Mapping[str, object]) -> Host:
    """Return a host as declared.  Raises ConfigurationError for an unknown, missing or invalid key."""
    unknown = sorted(set(declared) - set(_FIELDS))
    missing = sorted({"family", "pvr"} - set(declared))
    if unknown or missing:
        wrong = f"no such key: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ConfigurationError(f"host {name}: {wrong}")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in declared.items()}
    values.setdefault("name", name)
    for key, choices in _CHOICES.items():
        if key in values and values[key] not in choices:
            known = ", ".join(str(choice) for choice in choices)
            raise ConfigurationError(f"host {name}: {key} is one of {known}, not {values[key]!r}")
    return Host(**values)


def shipped_hosts() -> tuple[str, ...]:
    """Return the names of the hosts that come with the package."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


@cache
def shipped_host(name: str) -> Host | None:
    """Return the host of that name that comes with the package, or None."""
    return read_host(_SHIPPED / f"{name}.toml") if name in shipped_hosts() else None


@dataclass(frozen=True)
class Accelerator:
    """``tcg``, ``kvm`` with its host, or ``qtest``, which QEMU's own tests use, and which runs no guest."""

    name: str
    host: Host | None = field(default=None)

    @property
    def kvm(self) -> Host | None:
        """The host if this is KVM, else None."""
        return self.host if self.name == "kvm" else None


TCG = Accelerator("tcg")
QTEST = Accelerator("qtest")
