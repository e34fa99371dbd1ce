"""What runs the guest: TCG, or KVM on a host whose processor and kernel decide what a guest may have."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Host:
    """A KVM host as QEMU sees it through target/ppc/kvm.c.

    ``flavour`` is ``hv`` or ``pr``.  Levels are what the kernel reports (``ibs`` 16 means not needed at all);
    a kernel without the characteristics ioctl reports 0 everywhere.  ``page_sizes`` are those of the memory
    behind the guest's RAM, in bytes; ``smt_modes`` the VSMT modes that the kernel accepts (empty: it cannot
    change the mode), ``smt_threads`` the mode it starts with.
    """

    name: str
    cpu: str
    flavour: str = "hv"
    htm: bool = False
    cfpc: int = 0
    sbbc: int = 0
    ibs: int = 0
    ccf_assist: int = 0
    nested_hv: bool = False
    large_decr_bits: int = 0
    fwnmi: bool = False
    radix: bool = False
    rpt_invalidate: bool = False
    ail_mode_3: bool = False
    dawr1: bool = False
    resize_hpt: bool = False
    compat_register: bool = True
    page_sizes: tuple[int, ...] = (65536,)
    smt_threads: int = 1
    smt_modes: tuple[int, ...] = ()
    xive: bool = False

    @property
    def needs_contiguous_pages(self) -> bool:
        """Whether a hash guest's pages must be backed by host pages as large (KVM HV: real page sizes)."""
        return self.flavour == "hv"


@dataclass(frozen=True)
class Accelerator:
    """``tcg`` or ``kvm``, the latter with its host."""

    name: str
    host: Host | None = field(default=None)

    @property
    def kvm(self) -> Host | None:
        """The host if this is KVM, else None."""
        return self.host if self.name == "kvm" else None


TCG = Accelerator("tcg")
