"""Vendors' packages of QEMU: a release with machine types of the vendor's own, and what was backported to it.

``qemu-6.2+ubuntu-jammy`` is such a program.  A package is read from the vendor's source package, which
``source`` names; what could not be read is not declared.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import Release
from vmstate.errors import DeclarationError
from vmstate.pseries.tables.capabilities import Capability
from vmstate.pseries.tables.machine_class import Difference, MachineType


@dataclass(frozen=True)
class Package:
    """A vendor's QEMU: ``qemu-LINE+NAME``, where LINE is the line of ``release``.

    ``release``: the upstream release that it behaves as.  ``source``: the source package, its version, the
    patches or files, and their date.  ``default_type``: the type that ``pseries`` means.  ``types``,
    ``differences`` and ``capabilities`` are added to upstream's; a known name replaces upstream's.

    ``only_own_types``: upstream's types are not offered.  ``devices`` and ``cpus``: the drivers and the
    processors that it has, by their names; None: those of upstream.
    """

    name: str
    release: str
    source: str
    default_type: str
    types: tuple[MachineType, ...]
    differences: tuple[Difference, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    only_own_types: bool = False
    devices: frozenset[str] | None = None
    cpus: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if not self.source:
            raise DeclarationError(f"package {self.name}: its source is not named")
        if self.only_own_types and not self.has_type(self.default_type):
            raise DeclarationError(
                f"package {self.name}: its default type {self.default_type} is not declared"
            )

    @property
    def base(self) -> Release:
        """The upstream release that it behaves as."""
        return Release.parse(self.release)

    @property
    def program(self) -> str:
        """The program as a command line has it: ``qemu-6.2+ubuntu-jammy``."""
        return f"qemu-{self.base.major}.{self.base.minor}+{self.name}"

    def has_type(self, name: str) -> bool:
        """Return True if a machine type is the vendor's own."""
        return any(one.name == name for one in self.types)

    def offers(self, name: str) -> bool:
        """Return True if the program has a machine type, as far as the vendor decides."""
        return not self.only_own_types or self.has_type(name)
