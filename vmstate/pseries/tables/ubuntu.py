"""Ubuntu's packages of QEMU: machine types named after Ubuntu's releases.

Read from ``debian/patches`` of the source packages, as of the versions named below.  A type is upstream's of
the release that the Ubuntu release began with; ``ubuntu/define-ubuntu-machine-types.patch`` has the list.
Not read, and so not declared: the packages of disco, eoan, hirsute, impish, kinetic, lunar, mantic, oracular,
plucky and questing; later ones still have their types.  Those of xenial, yakkety and zesty are older than all
that is modelled.
"""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.describe.history import Release, Span
from vmstate.pseries.tables import capability_apply as rules
from vmstate.pseries.tables.capabilities import CAPABILITIES, Capability
from vmstate.pseries.tables.machine_class import Difference, MachineType
from vmstate.pseries.tables.machine_types import MACHINE_TYPES
from vmstate.pseries.tables.packages import Package

_PATCH = "debian/patches/ubuntu/define-ubuntu-machine-types.patch"

#: Ubuntu's releases, oldest first, and the upstream type that each one's type is.
_SERIES: dict[str, str] = {
    "xenial": "2.5",
    "yakkety": "2.6",
    "zesty": "2.8",
    "artful": "2.10",
    "bionic": "2.11",
    "cosmic": "2.12",
    "disco": "3.1",
    "eoan": "4.0",
    "focal": "4.2",
    "groovy": "5.0",
    "hirsute": "5.2",
    "impish": "6.0",
    "jammy": "6.2",
    "kinetic": "6.2",
    "lunar": "7.2",
    "mantic": "8.0",
    "noble": "8.2",
}


def _type(series: str) -> MachineType:
    upstream = f"pseries-{_SERIES[series]}"
    return MachineType(f"pseries-{series}", upstream, like=upstream)


def _types(last: str, *, first: str = "xenial", without: tuple[str, ...] = ()) -> tuple[MachineType, ...]:
    """Return the types of a run of Ubuntu's releases."""
    names = list(_SERIES)
    run = names[names.index(first) : names.index(last) + 1]
    return tuple(_type(name) for name in run if name not in without)


#: LP 1761372: the protections against speculation of pseries-2.12-sxxm, for the type of 2.11.
_SXXM = MachineType(
    "pseries-bionic-sxxm",
    "pseries-2.11",
    caps={"cfpc": 1, "sbbc": 1, "ibs": 3},
    like="pseries-2.11",
)

#: Ubuntu's QEMU 2.6 had dynamic DMA windows already.  From focal on pseries-2.6 is upstream's again.
_WINDOWS_SINCE_2_6 = (Difference("pseries-2.6", {"ddw": True}), Difference("pseries-2.5", {"ddw": False}))


# ---- bionic

_BIONIC = Span("2.11")


def _upstream(name: str) -> Capability:
    return next(capability for capability in CAPABILITIES if capability.name == name)


def _as_2_12(at: rules.Applying) -> rules.Applying:
    """Return the input of a rule as 2.12's has it: KVM's refusal names a value, and TCG refuses."""
    return replace(at, release=Release(2, 12))


def _safe_cache(at: rules.Applying, level: int) -> None:
    """Check cache flushes: lp-1761372-4, as in 2.12."""
    rules.safe_cache(_as_2_12(at), level)


def _safe_bounds_check(at: rules.Applying, level: int) -> None:
    """Check the barrier for bounds checks: lp-1761372-5, as in 2.12."""
    rules.safe_bounds_check(_as_2_12(at), level)


def _safe_indirect_branch(at: rules.Applying, level: int) -> None:
    """Check the protection against indirect branches: lp-1832622-0002, any level up to the host's."""
    rules.indirect_branch_up_to_host(_as_2_12(at), level)


def _backported(name: str, **changes: object) -> Capability:
    """Return a capability as a later release has it; its defaults are those that bionic has."""
    return replace(_upstream(name), span=_BIONIC, **changes)  # type: ignore[arg-type]


_LEVELS = ("broken", "workaround", "fixed-ibs", "fixed-ccd", "fixed-na")
_TRISTATE_HELP = "broken - no protection, workaround - workaround available, fixed - fixed in hardware"
_IBS_HELP = (
    "broken - no protection, workaround - count cache flush, fixed-ibs - indirect branch serialisation,"
    " fixed-ccd - cache count disabled, fixed-na - fixed in hardware (no longer applicable)"
)

_BIONIC_CAPABILITIES = (
    _backported("cfpc", help=_TRISTATE_HELP, needs=0, apply=_safe_cache),
    _backported("sbbc", help=_TRISTATE_HELP, needs=0, apply=_safe_bounds_check),
    _backported("ibs", values=_LEVELS, help=_IBS_HELP, needs=0, apply=_safe_indirect_branch),
    # The next free number: 6, where upstream's has 9 or more.
    _backported("ccf-assist"),
)


def _bionic_types() -> tuple[MachineType, ...]:
    """Return bionic's types, with upstream's pseries-2.12-sxxm, which came with LP 1761372."""
    sxxm = next(one for one in MACHINE_TYPES if one.name == "pseries-2.12-sxxm")
    return (*_types("bionic"), _SXXM, replace(sxxm, span=_BIONIC))


UBUNTU: tuple[Package, ...] = (
    Package(
        "ubuntu-artful",
        "2.10.1",
        f"qemu 1:2.10+dfsg-0ubuntu3.1, {_PATCH}, qemu-2.10.1.diff, 2017-11-15",
        "pseries-artful",
        _types("artful"),
        _WINDOWS_SINCE_2_6,
    ),
    Package(
        "ubuntu-bionic",
        # 2.11.1 with every change of 2.11.2 that concerns pseries (lp-1763468-*, lp-1809083-*).
        "2.11.2",
        f"qemu 1:2.11+dfsg-1ubuntu7.31, {_PATCH}, qemu-stable-2.11.1.patch, lp-1761372-*, lp-1763468-*, "
        "lp-1809083-*, lp-1832622-*, 2020-08-21",
        "pseries-bionic",
        _bionic_types(),
        _WINDOWS_SINCE_2_6,
        _BIONIC_CAPABILITIES,
    ),
    Package(
        "ubuntu-cosmic",
        "2.12.0",
        f"qemu 1:2.12+dfsg-3ubuntu8, {_PATCH}, lp-1761372-extend-ubuntu-machine-types-ppc-2.11.patch, "
        "2018-10-17",
        "pseries-cosmic",
        (*_types("cosmic", without=("yakkety", "zesty")), _SXXM),
        _WINDOWS_SINCE_2_6,
    ),
    Package(
        "ubuntu-focal",
        "4.2.1",
        f"qemu 1:4.2-3ubuntu6.24, {_PATCH}, 2023-01-03",
        "pseries-focal",
        (*_types("focal"), _SXXM),
    ),
    Package(
        "ubuntu-groovy",
        "5.0.0",
        f"qemu 1:5.0-5ubuntu9, {_PATCH}, 2020-11-15",
        "pseries-groovy",
        (*_types("groovy"), _SXXM),
    ),
    Package(
        "ubuntu-jammy",
        "6.2.0",
        f"qemu 1:6.2+dfsg-2ubuntu6.17, {_PATCH}, 2024-02-05",
        "pseries-jammy",
        (*_types("jammy"), _SXXM),
    ),
    Package(
        "ubuntu-noble",
        "8.2.2",
        f"qemu 1:8.2.2+ds-0ubuntu1, {_PATCH}, lp-2055003-*, 2024-04-12",
        "pseries-noble",
        (*_types("noble"), _SXXM),
    ),
)
