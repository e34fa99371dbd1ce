"""What runs the guest: TCG, or KVM on a host whose processor and kernel decide what a guest may have.

A host is a small TOML file; those that come with the package are in ``fixtures/hosts``, by their names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError
from vmstate.shipped import shipped


@dataclass(frozen=True)
class Host:
    """A KVM host as QEMU sees it through target/ppc/kvm.c.

    ``family`` and ``pvr`` are its processor; ``flavour`` is ``hv`` or ``pr``.  Levels are what the kernel
    reports (``ibs`` 16 means not needed at all); a kernel without the characteristics ioctl reports 0.
    ``page_sizes`` are those of the memory behind the guest's RAM, in bytes; ``smt_modes`` the VSMT modes
    that the kernel accepts (empty: it cannot change the mode), ``smt_threads`` the mode it starts with.
    ``compat_register``: whether a compatibility mode can be set (KVM PR cannot).
    """

    name: str
    family: str
    pvr: int
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


_FIELDS = {f.name: f for f in fields(Host)}
_SHIPPED = shipped("hosts")


def read_host(path: str | Path) -> Host:
    """A host from a TOML file.  Raises ConfigurationError for a file that is none, naming the key."""
    file = Path(path)
    try:
        declared = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"host {file}: {error}") from None
    return host_from(file.stem, declared)


def host_from(name: str, declared: Mapping[str, Any]) -> Host:
    """A host as declared; raises ConfigurationError for a key that no host has, or one that is missing."""
    unknown = sorted(set(declared) - set(_FIELDS))
    missing = sorted({"family", "pvr"} - set(declared))
    if unknown or missing:
        wrong = f"no such key: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}"
        raise ConfigurationError(f"host {name}: {wrong}")
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in declared.items()}
    values.setdefault("name", name)
    return Host(**values)


def shipped_hosts() -> tuple[str, ...]:
    """The names of the hosts that come with the package."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


@cache
def shipped_host(name: str) -> Host | None:
    """The host of that name that comes with the package, or None."""
    return read_host(_SHIPPED / f"{name}.toml") if name in shipped_hosts() else None


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
