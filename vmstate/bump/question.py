"""The settings of a bump: which machine types, which devices, how much is run."""

from __future__ import annotations

from fnmatch import fnmatchcase

from vmstate.dataclass import dataclass

#: Devices of machines in real replays, as far as both programs have them; firmware files are left out.
DEVICES = (
    "virtio-net-pci,romfile=",
    "virtio-scsi-pci",
    "virtio-balloon-pci",
    "virtio-rng-pci",
    "virtio-serial-pci",
    "qemu-xhci",
    "usb-kbd",
    "e1000,romfile=",
    "VGA,romfile=",
)


#: A processor that every release names alike, for machines whose default one differs.
PSERIES_CPU = "power9_v2.0"


@dataclass(frozen=True)
class Question:
    """A question: ``machines``: patterns of types; ``replays``, ``simulate``: True to do them.

    ``chain``: further releases that a guest visits, simulated.  ``jobs``: replays at the same time.
    ``memory``: MiB of guest memory.  ``timeout``: seconds for each run.
    """

    machines: tuple[str, ...] = ()
    devices: tuple[str, ...] = DEVICES
    replays: bool = True
    simulate: bool = True
    chain: tuple[str, ...] = ()
    jobs: int = 2
    memory: int = 256
    timeout: float = 60.0

    def wants(self, machine: str) -> bool:
        """Return True if a machine type is asked for."""
        return not self.machines or any(fnmatchcase(machine, pattern) for pattern in self.machines)
