"""The kinds of hosts that an emulated POWER machine can be."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vmstate.pseries.tables.accelerators import Host

#: What a guest needs where neither firmware nor hypervisor says that the processor is safe.
UNSAFE = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"


@dataclass(frozen=True)
class Kind:
    """A kind of host.

    ``machine``, ``cpu``: the emulated machine (a processor is given only where it is not the machine's).
    ``named``: the family's alias for ``-cpu``; ``other``: that of another family.  ``base``: the options that
    a guest of the newest machine type needs to start at all.  ``append``: for its kernel's command line.
    """

    machine: str
    named: str
    other: str
    base: str
    cpu: str | None = None
    flavour: str = "hv"
    append: str = ""

    @property
    def bare(self) -> bool:
        """True for the machine itself, with firmware in place of a hypervisor."""
        return self.machine.startswith("powernv")


_64K = 65536
_PSERIES = "pseries,cap-htm=off"
_NESTED = f"{_PSERIES},cap-nested-hv=on"
_SAFE = "cap-cfpc=workaround,cap-sbbc=workaround,cap-ibs=workaround,cap-ccf-assist=on"
_PR = f"{UNSAFE},cap-fwnmi=off,cap-ail-mode-3=off"

KINDS = {
    "p8-hv": Kind("powernv8", "power8", "power9", UNSAFE),
    "p9-hv": Kind("powernv9", "power9", "power8", UNSAFE),
    "p10-hv": Kind("powernv10", "power10", "power9", UNSAFE),
    "p11-hv": Kind("powernv11", "power11", "power10", UNSAFE),
    "p9-nested": Kind(f"{_NESTED},{UNSAFE}", "power9", "power8", UNSAFE, cpu="POWER9"),
    "p9-nested-mitigated": Kind(f"{_NESTED},{_SAFE}", "power9", "power8", "", cpu="POWER9"),
    "p9-nested-compat8": Kind(
        f"{_NESTED},{UNSAFE},max-cpu-compat=power8", "power9", "power8", UNSAFE, cpu="POWER9"
    ),
    "p10-nested": Kind(f"{_NESTED},{UNSAFE}", "power10", "power9", UNSAFE, cpu="POWER10"),
    "p10-nested-papr": Kind(
        f"{_PSERIES},cap-nested-papr=on,{UNSAFE}", "power10", "power9", UNSAFE, cpu="POWER10"
    ),
    "p11-nested": Kind(f"{_NESTED},{UNSAFE}", "power11", "power10", UNSAFE, cpu="POWER11"),
    "p10-nested-compat9": Kind(
        f"{_NESTED},{UNSAFE},max-cpu-compat=power9",
        "power10",
        "power9",
        f"{UNSAFE},cap-dawr1=off",
        cpu="POWER10",
    ),
    "p8-pr": Kind(f"{_PSERIES},{UNSAFE}", "power8", "power9", _PR, cpu="POWER8", flavour="pr"),
    "p9-pr": Kind(
        f"{_PSERIES},{UNSAFE}",
        "power9",
        "power8",
        f"{_PR},cap-large-decr=off",
        "POWER9",
        "pr",
        "disable_radix",
    ),
}


def kind_of(host: Host) -> Kind:
    """Return the kind of a real host: its guests go without what its KVM lacks."""
    unsafe = {"cap-cfpc": host.cfpc, "cap-sbbc": host.sbbc, "cap-ibs": host.ibs}
    lacking = {
        "cap-ccf-assist": host.ccf_assist,
        "cap-fwnmi": host.fwnmi,
        "cap-ail-mode-3": host.ail_mode_3,
        "cap-dawr1": host.dawr1,
        "cap-large-decr": host.takes_large_decr,
    }
    base = [f"{name}=broken" for name, level in unsafe.items() if not level]
    base += [f"{name}=off" for name, level in lacking.items() if not level]
    other = "power9" if host.family == "POWER8" else "power8"
    kind = Kind("", host.family.lower(), other, ",".join(base), flavour=host.flavour)
    return with_small_pages(kind) if host.needs_contiguous_pages and max(host.page_sizes) < _64K else kind


def with_small_pages(kind: Kind) -> Kind:
    """Return a kind whose kernel has pages of 4 KiB: its guests can have no larger ones."""
    return replace(kind, base=",".join(filter(None, (kind.base, "cap-hpt-max-page-size=4k"))))
