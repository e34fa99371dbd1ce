"""The VIO bus: devices by unit address, assigned as in hw/ppc/spapr_vio.c.

A requested address must be free; other devices get the next free one, from 0x71000000 up.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass, field

FIRST_ADDRESS = 0x71000000
FIRST_IRQ = 0x1100


@dataclass(frozen=True, slots=True)
class VioDevice:
    """A device on the bus: type, the type's name in a path, unit address.

    ``option``: its place among the -device options; None for one of the board's own.
    """

    driver: str
    name: str
    reg: int
    option: int | None = None

    @property
    def irq(self) -> int:
        """The interrupt that belongs to the address (``spapr_vio_reg_to_irq``, types from 3.1 on)."""
        if self.reg >= FIRST_ADDRESS:
            number = self.reg & 0xFF
        elif self.reg >= 0x30000000:
            number = 0xF0 | (self.reg >> 12 & 0xF)
        else:
            number = self.reg >> 12 & 0xFF
        return FIRST_IRQ | number

    @property
    def path(self) -> str:
        """The device's name on its bus, which begins the idstr of its sections."""
        return f"{self.name}@{self.reg:x}"


@dataclass
class VioBus:
    """The devices on the bus; new ones get addresses as in QEMU."""

    devices: list[VioDevice] = field(default_factory=list)
    next_address: int = FIRST_ADDRESS

    def add(self, driver: str, name: str, wanted: int | None, option: int | None = None) -> VioDevice | None:
        """Put a device on the bus and return it; None if the address ``wanted`` is taken."""
        taken = {device.reg for device in self.devices}
        if wanted is not None and wanted != 0xFFFFFFFF:
            if wanted in taken:
                return None
            address = wanted
        else:
            while self.next_address in taken:
                self.next_address += 1
            address = self.next_address
            self.next_address += 1
        device = VioDevice(driver, name, address, option)
        self.devices.append(device)
        return device

    def conflict(self, driver: str, wanted: int) -> str:
        """Return QEMU's message for a second device at an address."""
        other = next(device for device in reversed(self.devices) if device.reg == wanted)
        return f"{driver} and {other.driver} devices conflict at address {wanted:#x}"
