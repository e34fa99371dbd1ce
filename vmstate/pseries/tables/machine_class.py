"""Machine types: the newest is the base, every older one a short list of differences from the next newer.

Rules of hw/ppc/spapr.c (``spapr_machine_*_class_options``) and hw/core/machine.c (``hw_compat_*``).
A machine type means the same machine in every release that offers it, so the whole chain of
differences applies in every release; where releases differ, the value is a History.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

from vmstate.dataclass import dataclass, field, fields, replace
from vmstate.describe.history import ALWAYS, Release, Span, at
from vmstate.errors import DeclarationError
from vmstate.pattern import pattern
from vmstate.similar_names import did_you_mean

#: A default for a property of a device class, as QEMU's GlobalProperty: (driver, property, value).
GlobalProperty = tuple[str, str, str]


@dataclass(frozen=True)
class ClassFlags:
    """The settings of a machine type, with the newest type's values.

    Names are QEMU's (SpaprMachineClass and MachineClass) where it has them.  Flags that QEMU dropped with the
    last type that set them keep the value of the remaining types.
    """

    default_cpu: str = "power11_v2.0"
    dr_lmb_enabled: bool = True
    dr_phb_enabled: bool = True
    update_dt_enabled: bool = True
    has_hotpluggable_cpus: bool = True
    nvdimm_supported: bool = True
    use_ohci_by_default: bool = False
    resize_hpt_default: str = "enabled"
    modern_hotplug_events: bool = True
    suppress_vmdesc: bool = False
    send_configuration: bool = True
    send_section_footer: bool = True
    store_global_state: bool = True
    send_switchover_start: bool = True
    irq: str = "dual"
    nr_xirqs: int = 0x1000
    legacy_irq_allocation: bool = False
    pre_2_10_has_unused_icps: bool = False
    pre_4_1_migration: bool = False
    smp_threads_vsmt: bool = True
    linux_pci_probe: bool = True
    broken_host_serial_model: bool = False
    rma_limit: int = 0
    numa_mem_align_shift: int = 28
    pre_5_1_assoc_refpoints: bool = False
    pre_5_2_numa_associativity: bool = False
    pre_6_2_numa_affinity: bool = False
    prefer_sockets: bool = False
    numa_mem_supported: bool = False
    phb_placement: str = "spapr"
    max_cpus: int | None = None  # None: as many as the release allows
    has_power9_support: bool = True  # a flag of RHEL's
    # Properties of the processors and the host bridge that machine types set (GlobalProperty).
    cpu_pre_2_8_migration: bool = False
    cpu_pre_2_10_migration: bool = False
    cpu_pre_3_0_migration: bool = False
    core_pre_3_0_migration: bool = False
    rtas_stopped_state: bool = True
    phb_pre_2_8_migration: bool = False
    phb_dynamic_reconfiguration: bool = True
    ddw: bool = True


class OfType(Protocol):
    """The part of a machine that its type decides."""

    flags: ClassFlags


_VERSIONED = pattern(r"pseries-[0-9]+\.[0-9]+(-\w+)?")
_FLAG_NAMES = frozenset(f.name for f in fields(ClassFlags))


@dataclass(frozen=True)
class MachineType:
    """A machine type as its differences from ``base`` (the next newer type; None for the newest).

    ``flags`` maps names of ClassFlags to values, ``caps`` names of capabilities to default levels,
    ``compat`` lists GlobalProperty defaults that this type adds.  ``span``: the releases that offer it.
    ``like``: the upstream type of the same age, for a type whose name does not have a version.
    """

    name: str
    base: str | None
    span: Span = ALWAYS
    flags: Mapping[str, Any] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    compat: tuple[GlobalProperty, ...] = ()
    like: str = ""

    @property
    def version(self) -> Release:
        """The version of upstream's type of the same age."""
        return version_of(self.like or self.name)

    def __post_init__(self) -> None:
        unknown = set(self.flags) - _FLAG_NAMES
        if unknown:
            wrong = min(unknown)
            hint = did_you_mean(wrong, _FLAG_NAMES)
            raise DeclarationError(f"{self.name}: no such class flag: {wrong!r}{hint}")

    def differing(self, difference: Difference) -> MachineType:
        """Return the type with another difference from its base added."""
        return replace(
            self,
            flags={**self.flags, **difference.flags},
            caps={**self.caps, **difference.caps},
            compat=(*self.compat, *difference.compat),
        )


@dataclass(frozen=True)
class Difference:
    """A newer release's addition to the differences of machine type ``name`` from the next newer one."""

    name: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    caps: Mapping[str, int] = field(default_factory=dict)
    compat: tuple[GlobalProperty, ...] = ()


@dataclass(frozen=True)
class MachineClass:
    """A machine type as one release has it: flags and default capabilities after the whole chain."""

    name: str
    version: Release
    flags: ClassFlags
    default_caps: Mapping[str, int]
    compat: tuple[GlobalProperty, ...]

    @cached_property
    def compat_values(self) -> Mapping[tuple[str, str], str]:
        """The value of each property of a driver that the type sets; of several, the last counts."""
        return {(driver, name): value for driver, name, value in self.compat}


def chain(types: Mapping[str, MachineType], name: str) -> list[MachineType]:
    """Return the types that make ``name``, newest first.  Raises DeclarationError for a missing base."""
    links: list[MachineType] = []
    wanted: str | None = name
    while wanted is not None:
        if wanted not in types or len(links) > len(types):
            raise DeclarationError(f"machine type {name}: its base {wanted} is not declared")
        links.append(types[wanted])
        wanted = links[-1].base
    return links[::-1]


def machine_class(
    types: Mapping[str, MachineType], name: str, defaults: Mapping[str, int], release: Release
) -> MachineClass:
    """Return the class of type ``name`` in ``release``; ``defaults``: the newest capability defaults."""
    flags = ClassFlags()
    caps = dict(defaults)
    compat: list[GlobalProperty] = []
    for link in chain(types, name):
        if link.flags:
            flags = replace(flags, **{flag: at(value, release) for flag, value in link.flags.items()})
        caps.update((cap, level) for cap, level in link.caps.items() if cap in defaults)
        compat.extend(link.compat)
    return MachineClass(name, types[name].version, flags, caps, tuple(compat))


def version_of(name: str) -> Release:
    """Return the version in a type's name: ``pseries-2.12-sxxm`` is 2.12.0."""
    return Release.parse(name.split("-")[1])


def has_version(name: str) -> bool:
    """Return True if a type is named after an upstream version, as ``pseries-2.12-sxxm`` is."""
    return _VERSIONED.fullmatch(name) is not None
