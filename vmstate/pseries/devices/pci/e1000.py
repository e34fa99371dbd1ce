"""``e1000``: an Intel gigabit network card (hw/net/e1000.c)."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Self

from vmstate.describe import (
    Bool,
    Buffer,
    Field,
    History,
    Int8,
    Since,
    UInt8,
    UInt16,
    UInt32,
    Until,
    Unused,
    VMStateDescription,
    WireArray,
)
from vmstate.describe.arrays import zeros
from vmstate.describe.history import Span
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.bus_properties import NIC
from vmstate.pseries.board.device import Device
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.devices.pci.config_space import BAR_IO, NIC_ROM, Bar, PciId, with_options
from vmstate.pseries.devices.pci.pci_device import Pci, PciState
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption

IDENTITY = PciId(
    0x8086,
    0x100E,
    0x020000,
    revision=3,
    bars=(Bar(0, 0x20000), Bar(1, 64, BAR_IO), NIC_ROM),
    cache_line=0x10,
)

REGISTERS = 0x8000
TX_SPLIT = "2.12"  # from here on the context of segmentation is separate

#: Registers that the main section names, with their byte offsets, in wire order.
NAMED_REGISTERS = (
    *(("CTRL", 0x0), ("EECD", 0x10), ("EERD", 0x14), ("GPRC", 0x4074), ("GPTC", 0x4080), ("ICR", 0xC0)),
    *(("ICS", 0xC8), ("IMC", 0xD8), ("IMS", 0xD0), ("LEDCTL", 0xE00), ("MANC", 0x5820), ("MDIC", 0x20)),
    *(("MPC", 0x4010), ("PBA", 0x1000), ("RCTL", 0x100), ("RDBAH", 0x2804), ("RDBAL", 0x2800)),
    *(("RDH", 0x2810), ("RDLEN", 0x2808), ("RDT", 0x2818), ("STATUS", 0x8), ("SWSM", 0x5B50)),
    *(("TCTL", 0x400), ("TDBAH", 0x3804), ("TDBAL", 0x3800), ("TDH", 0x3810), ("TDLEN", 0x3808)),
    *(("TDT", 0x3818), ("TORH", 0x40C4), ("TORL", 0x40C0), ("TOTH", 0x40CC), ("TOTL", 0x40C8)),
    *(("TPR", 0x40D0), ("TPT", 0x40D4), ("TXDCTL", 0x3828), ("WUFC", 0x5808), ("VET", 0x38)),
)
RA, MTA, VFTA = 0x5400, 0x5200, 0x5600
MITIGATION = (("RDTR", 0x2820), ("RADV", 0x282C), ("TADV", 0x382C), ("ITR", 0xC4))


def is_version_1(card: E1000Card, version_id: int) -> bool:
    """The section's version is 1, which has one more word."""
    return version_id == 1


def mitigates(card: E1000Card) -> bool:
    """The property ``mitigation`` is on, as for every machine type of pseries."""
    return bool(card.mitigation)


def all_registers(card: E1000Card) -> bool:
    """The property ``extra_mac_registers`` is on (off for machine types up to 2.4)."""
    return bool(card.extra_mac_registers)


def two_contexts(card: E1000Card) -> bool:
    """The property ``migrate_tso_props`` is on (off for machine types up to 2.11)."""
    return bool(card.migrate_tso_props)


def _register(name: str, offset: int) -> Field:
    return UInt32(f"mac_reg[{name}]", attr="mac_reg", index=offset >> 2)


def _table(offset: int, count: int) -> Field:
    return UInt32("mac_reg").part(offset >> 2, count)


_CONTEXT = (
    *((UInt8, "ipcss"), (UInt8, "ipcso"), (UInt16, "ipcse"), (UInt8, "tucss"), (UInt8, "tucso")),
    *((UInt16, "tucse"), (UInt32, "paylen"), (UInt8, "hdr_len"), (UInt16, "mss")),
)


def _context(prefix: str, attr: str = "") -> list[Field]:
    return [kind(f"{prefix}.{name}", attr=attr + name) for kind, name in _CONTEXT]


def _either(old: list[Field], new: list[Field]) -> list[Field]:
    return [*(Until(TX_SPLIT, field) for field in old), *(Since(TX_SPLIT, field) for field in new)]


MIT_STATE = VMStateDescription(
    "e1000/mit_state",
    version_id=1,
    minimum_version_id=1,
    needed=History(mitigates, ("10.0", None)),
    fields=[*(_register(*named) for named in MITIGATION), Bool("mit_irq_level")],
)

FULL_MAC_STATE = VMStateDescription(
    "e1000/full_mac_state",
    version_id=1,
    minimum_version_id=1,
    needed=History(all_registers, ("10.2", None)),
    fields=[UInt32("mac_reg")[REGISTERS]],
)

TX_TSO_STATE = VMStateDescription(
    "e1000/tx_tso_state",
    version_id=1,
    minimum_version_id=1,
    needed=two_contexts,
    fields=[
        *_context("tx.tso_props", "tso_"),
        Int8("tx.tso_props.ip", attr="tso_ip"),
        Int8("tx.tso_props.tcp", attr="tso_tcp"),
    ],
)

E1000 = VMStateDescription(
    "e1000",
    version_id=2,
    minimum_version_id=1,
    fields=[
        Pci("parent_obj"),
        Unused(4, exists=is_version_1),
        Unused(4),
        UInt32("rxbuf_size"),
        UInt32("rxbuf_min_shift"),
        UInt32("eecd_state.val_in"),
        UInt16("eecd_state.bitnum_in"),
        UInt16("eecd_state.bitnum_out"),
        UInt16("eecd_state.reading"),
        UInt32("eecd_state.old_eecd"),
        *_either(_context("tx.props"), _context("mig_props")),
        UInt16("tx.size", attr="tx_size"),
        UInt16("tx.tso_frames"),
        *_either([UInt8("tx.props.sum_needed")], [UInt8("tx.sum_needed")]),
        *_either([Int8("tx.props.ip"), Int8("tx.props.tcp")], [Int8("mig_props.ip"), Int8("mig_props.tcp")]),
        Buffer("tx.header", 256),
        Buffer("tx.data", 0x10000),
        UInt16("eeprom_data")[64],
        UInt16("phy_reg")[0x20],
        *(_register(*named) for named in NAMED_REGISTERS),
        _table(RA, 32),
        _table(MTA, 128),
        _table(VFTA, 128),
    ],
    subsections=[MIT_STATE, FULL_MAC_STATE, Since(TX_SPLIT, TX_TSO_STATE)],
)

_UNWRITTEN = 0xFFFF
#: The rest of the EEPROM after the address: word number to value; other words are unwritten.
# fmt: off
_EEPROM = {
    3: 0, 5: 0, 6: 0, 7: 0, 8: 0x3000, 9: 0x1000, 10: 0x6403, 11: 0x100E, 12: 0x8086, 13: 0x100E,
    14: 0x8086, 15: 0x3040, 16: 0x0008, 17: 0x2000, 18: 0x7E14, 19: 0x0048, 20: 0x1000, 21: 0x00D8,
    22: 0, 23: 0x2700, 24: 0x6CC9, 25: 0x3150, 26: 0x0722, 27: 0x040B, 28: 0x0984, 29: 0, 30: 0xC000,
    31: 0x0706, 32: 0x1008, 33: 0, 34: 0x0F04, 35: 0x7FFF, 36: 0x4D01, 48: 0x0100, 49: 0x4000, 50: 0x121C,
}
# fmt: on
_PHY = {0: 0x1140, 1: 0x794D, 2: 0x0141, 3: 0x0C20, 4: 0x0DE1, 5: 0x01E0, 9: 0x0E00, 10: 0x3C00}
_PHY |= {16: 0x0360, 17: 0xAC00, 20: 0x0D60}
_MAC = {0x0: 0x00140240, 0x8: 0x80080783, 0xE00: 0x0602, 0x1000: 0x00100030, 0x5820: 0x00222300}
_CHECKSUM = 0xBABA
_VET, _VLAN = 0x38, 0x8100


@lru_cache(maxsize=16)
def eeprom(mac: bytes) -> bytes:
    """Return the EEPROM of a card with that address; its words add up to 0xBABA."""
    words = [_EEPROM.get(i, _UNWRITTEN) for i in range(63)]
    words[:3] = struct.unpack("<3H", mac)
    return struct.pack(">64H", *words, (_CHECKSUM - sum(words)) & 0xFFFF)


@lru_cache(maxsize=16)
def registers(mac: bytes, vlan: bool) -> bytes:
    """Return all registers after a reset; ``vlan``: the VLAN type is set (the property ``init-vet``)."""
    low, high = struct.unpack("<IH", mac)
    values = _MAC | {RA: low, RA + 4: high | 0x80000000} | ({_VET: _VLAN} if vlan else {})
    raw = bytearray(4 * REGISTERS)
    for offset, value in values.items():
        struct.pack_into(">I", raw, offset, value)
    return bytes(raw)


@lru_cache(maxsize=1)
def _phy() -> bytes:
    return struct.pack(">32H", *(_PHY.get(i, 0) for i in range(32)))


class E1000Card(Device):
    """A card that no driver has used."""

    description = E1000
    mac_reg: WireArray

    @classmethod
    def blank(cls, machine: Machine, idstr: str | None = None, instance_id: int = 0) -> Self:
        """Return a card to decode into, with an array for the registers, which are loaded one by one."""
        card = super().blank(machine, idstr, instance_id)
        card.mac_reg = WireArray.filled("I", REGISTERS)
        return card

    def __init__(
        self,
        machine: Machine,
        mac: bytes,
        *,
        vlan: bool = True,
        full: bool = True,
        contexts: bool = True,
        mitigation: bool = True,
        identity: PciId = IDENTITY,
    ) -> None:
        super().__init__(machine)
        self.extra_mac_registers, self.migrate_tso_props = full, contexts
        self.mitigation = mitigation
        self.pci = PciState(self, identity)
        self.rxbuf_size, self.rxbuf_min_shift = 0, 1
        self.val_in = self.bitnum_in = self.bitnum_out = self.reading = self.old_eecd = 0
        for name in (*(name for _, name in _CONTEXT), "ip", "tcp"):
            setattr(self, name, 0)
            setattr(self, f"tso_{name}", 0)
        self.tx_size = self.tso_frames = self.sum_needed = 0
        self.header, self.data = zeros(256), zeros(0x10000)
        self.eeprom_data = WireArray("H", eeprom(mac))
        self.phy_reg = WireArray("H", _phy())
        self.mac_reg = WireArray("I", registers(mac, vlan))
        self.mit_irq_level = False


#: The property is newer than most machine types.
INIT_VET = Property("e1000", "init-vet", History("off", ("6.1", "on")), "bool", span=Span("6.1"))
EXTRA_MAC_REGISTERS = Property("e1000", "extra_mac_registers", "on", "bool", span=Span(until="10.1"))
MIGRATE_TSO_PROPS = Property("e1000", "migrate_tso_props", "on", "bool", span=Span("2.12"))
MITIGATION_FLAG = Property("e1000", "mitigation", "on", "bool", span=Span(until="8.2"))
PROPERTIES = (
    INIT_VET,
    EXTRA_MAC_REGISTERS,
    MIGRATE_TSO_PROPS,
    MITIGATION_FLAG,
    *harmless("e1000", "bool", "only a running guest sees it", "autonegotiation", span=Span(until="8.2")),
    *NIC,
)


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card with its boot firmware."""
    machine = board.machine
    identity, rom = with_options(IDENTITY, machine, option, "e1000")
    card = E1000Card(
        machine,
        board.mac(option),
        vlan=INIT_VET.flag(machine, option),
        full=EXTRA_MAC_REGISTERS.flag(machine, option),
        contexts=MIGRATE_TSO_PROPS.flag(machine, option),
        mitigation=MITIGATION_FLAG.flag(machine, option),
        identity=identity,
    )
    path = board.plug_pci(card, "e1000", option)
    if rom:
        board.ram_blocks.append(RamBlock(f"{path}/e1000.rom", NIC_ROM.size))


DRIVERS = (
    Driver(
        "e1000",
        plug,
        properties=PROPERTIES,
        netdev_owner="e1000",
        examples=("-device e1000,romfile=",),
    ),
)
