"""The jobs of a host: pairs of machines that show what its KVM and QEMU do, the telling ones first.

What there is to try, capabilities and their levels, machine types, compat modes, is what the package declares
for the release of the host's QEMU.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kvm_lab.kinds import UNSAFE, Kind
from vmstate.describe.history import Release
from vmstate.pseries.catalogue import CATALOGUE, Binary
from vmstate.pseries.tables.capabilities import Kind as Form

Row = dict[str, Any]
Arguments = list[str]
_PAGE_SIZES = ("4k", "64k", "16m")
_CONTROLLERS = ("xics", "xive", "dual")
_CONSOLE = "/tmp/console"
_BOOTS = (
    "",
    ",ic-mode=dual,kernel-irqchip=on",
    ",ic-mode=xics",
    ",ic-mode=dual,kernel-irqchip=off",
    ",max-cpu-compat=power8",
    ",max-cpu-compat=power9",
)
_FOR_A_GUEST = (
    *(f",ic-mode={mode},kernel-irqchip={chip}" for mode in ("dual", "xive") for chip in ("on", "off")),
    *(",ic-mode=xics", ",max-cpu-compat=power8", ",max-cpu-compat=power9"),
)
_IRQCHIPS = ("", ",kernel-irqchip=on", ",kernel-irqchip=off")


def _type(arguments: Arguments) -> str:
    return arguments[arguments.index("-machine") + 1].partition(",")[0]


@dataclass(frozen=True)
class Jobs:
    """The jobs of one kind of host whose QEMU is of a release."""

    name: str
    kind: Kind
    release: Release

    @property
    def _binary(self) -> Binary:
        return CATALOGUE.binary(self.release)

    def machine(
        self,
        more: str = "",
        *,
        type_name: str = "",
        accel: str = "kvm",
        cpu: str = "host",
        after: tuple[str, ...] = (),
    ) -> Arguments:
        """Return a guest's arguments: the options that it needs here, and ``more``, which replace them."""
        given = {option.partition("=")[0] for option in more.split(",")}
        known = self._binary.capability
        base = [
            option
            for option in self.kind.base.split(",")
            if option and option.partition("=")[0] not in given and option.partition("=")[0] in known
        ]
        words = [type_name or self._binary.default_type, f"accel={accel}", *base]
        return ["-machine", ",".join(words) + more, "-cpu", cpu, "-m", "256", *after]

    def all(self) -> list[Row]:
        """Return all jobs, each question once."""
        chosen: dict[str, Row] = {}
        plain = self.machine()
        chosen[str((plain, plain))] = {
            "op": "pair",
            "source": plain,
            "destination": plain,
            "keep": "base.mig",
        }
        for source, destination in self._pairs(plain):
            row = {"op": "pair", "source": source, "destination": destination}
            chosen.setdefault(str((source, destination)), row)
        return [{"id": f"{self.name}-{number:03}", **row} for number, row in enumerate(chosen.values())]

    def loads(self, manifest: list[Row]) -> list[Row]:
        """Return the loads of streams that a manifest describes, each by a machine as it was saved from.

        A guest that ran may use an interrupt controller, or a mode of the MMU, that this host does not have.
        """
        return [
            {
                "id": f"{self.name}-load-{row['name']}",
                "op": "group",
                "stream": f"{row['name']}.mig",
                "destinations": [
                    self._as_saved(row["args"], more)
                    for more in ("", *(_FOR_A_GUEST if row["booted_seconds"] is not None else ()))
                ],
            }
            for row in manifest
            if _type(row["args"]) in self._binary.machine_types and "-smp" not in row["args"]
        ]

    def boots(self) -> list[Row]:
        """Return the jobs in which a guest, ``guest/vmlinux`` of the host's folder, boots and is saved."""
        found = []
        for number, more in enumerate(_BOOTS):
            guest = (
                "-kernel",
                "/x/guest/vmlinux",
                "-initrd",
                "/x/guest/initramfs",
                "-append",
                "console=hvc0",
            )
            machine = self.machine(more, after=(*guest, "-serial", f"file:{_CONSOLE}"))
            row = {
                "id": f"{self.name}-boot-{number}",
                "op": "pair",
                "source": machine,
                "destination": machine,
            }
            row |= {"until": "BOOTED", "limit": 300, "console": _CONSOLE}
            found.append(row | {"keep": f"{self.name}-booted-{number}.mig"})
        return found

    def _as_saved(self, arguments: Arguments, more: str = "") -> Arguments:
        """Return a machine of this host with a stream's type and options, which ``more`` replaces."""
        name, *options = arguments[arguments.index("-machine") + 1].split(",")
        needed = {option.partition("=")[0] for option in UNSAFE.split(",")} | {"accel"}
        needed |= {option.partition("=")[0] for option in more.split(",")}
        kept = [option for option in options if option.partition("=")[0] not in needed]
        console = ("-serial", "null") if "-serial" in arguments else ()
        return self.machine("".join(f",{option}" for option in kept) + more, type_name=name, after=console)

    def _pairs(self, plain: Arguments) -> Iterator[tuple[Arguments, Arguments]]:
        alone = [*self._starts(), *self._capabilities(), *self._interrupts(), *self._shapes()]
        yield from ((one, one) for one in alone)
        modes = [
            self.machine(f",max-cpu-compat={mode}") for mode in ("power7", "power8", "power9", "power10")
        ]
        for one in modes:
            yield from ((one, one), (plain, one), (one, plain))
        tcg = self.machine(accel="tcg", cpu=self.kind.named)
        yield from ((plain, tcg), (tcg, plain))
        yield from self._types()
        for more in (
            ",max-cpu-compat=power8",
            ",max-cpu-compat=power9",
            *(f",ic-mode={one}" for one in _CONTROLLERS),
        ):
            ours, theirs = self.machine(more), self.machine(more, accel="tcg", cpu=self.kind.named)
            yield from ((ours, theirs), (theirs, ours))
        for one in alone:
            yield from ((plain, one), (one, plain))

    def _starts(self) -> Iterator[Arguments]:
        """Yield processors and defaults, most of which are refused."""
        for cpu in (self.kind.named, self.kind.other, "power7", "power8e", "power8nvl", "power9_v1.0"):
            yield self.machine(cpu=cpu)
        types = list(self._binary.machine_types)
        for type_name in (types[0], *types[-4:]):
            yield ["-machine", f"{type_name},accel=kvm", "-cpu", "host", "-m", "256"]
        yield self.machine(accel="kvm:tcg")

    def _capabilities(self) -> Iterator[Arguments]:
        for capability in self._binary.capabilities:
            values = {
                Form.BOOL: ("on", "off"),
                Form.STRING: capability.values,
                Form.PAGE_SIZE: _PAGE_SIZES,
            }[capability.kind]
            yield from (self.machine(f",{capability.property_name}={value}") for value in values)

    def _interrupts(self) -> Iterator[Arguments]:
        yield from (self.machine(f",ic-mode={mode}{chip}") for mode in _CONTROLLERS for chip in _IRQCHIPS)

    def _shapes(self) -> Iterator[Arguments]:
        for smp in ("2", "2,threads=2", "8,threads=8", "1,maxcpus=8"):
            yield self.machine(after=("-smp", smp))
        for more in (",vsmt=1", ",vsmt=8", ",vsmt=16", ",kvm-type=HV", ",kvm-type=PR"):
            yield self.machine(more)
        for mode in ("required", "enabled", "disabled"):
            yield self.machine(f",resize-hpt={mode}")

    def _types(self) -> Iterator[tuple[Arguments, Arguments]]:
        """Yield every type with itself, with TCG, and with its neighbours."""
        types = [name for name in self._binary.machine_types if name.count("-") == 1]
        ours = {name: self.machine(type_name=name) for name in types}
        for one in ours.values():
            yield one, one
        for name, one in ours.items():
            theirs = self.machine(type_name=name, accel="tcg", cpu=self.kind.named)
            yield from ((one, theirs), (theirs, one))
        for newer, older in itertools.pairwise(types):
            yield from ((ours[newer], ours[older]), (ours[older], ours[newer]))
