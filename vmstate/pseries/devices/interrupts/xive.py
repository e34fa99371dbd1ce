"""The XIVE interrupt controller: ``xive-source``, ``spapr-xive`` (its tables), ``xive-tctx`` (presenters).

hw/intc/xive.c, hw/intc/spapr_xive.c.  Tables hold big-endian words that QEMU sends as numbers of its
host: the values here are those of a little-endian host.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from vmstate.describe import (
    Buffer,
    History,
    Struct,
    UInt32,
    UInt32Equal,
    UInt64,
    VMStateDescription,
    WireRecords,
)
from vmstate.pseries.board.device import Device
from vmstate.pseries.machine import Machine

ENDS_PER_SERVER = 8  # one event queue for each priority
FIRST_DEVICE_IRQ = 0x1000  # below are the processors' own
ESB_OFF = 0x01  # a source's state: no event is forwarded

XIVE_SOURCE = VMStateDescription(
    "xive-source", 1, 1, fields=[UInt32Equal("nr_irqs"), Buffer("status", "nr_irqs", 1)]
)


@lru_cache(maxsize=16)
def _all_off(count: int) -> memoryview:
    return memoryview(bytes([ESB_OFF]) * count)


class XiveSource(Device):
    """Two bits of state for each source: all off."""

    description = XIVE_SOURCE

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.nr_irqs = FIRST_DEVICE_IRQ + machine.nr_irqs
        self.status = _all_off(self.nr_irqs)


EAS = VMStateDescription("spapr-xive/eas", 1, 1, fields=[UInt64("w")])
END = VMStateDescription("spapr-xive/end", 1, 1, fields=[UInt32(f"w{i}") for i in range(8)])
SPAPR_XIVE = VMStateDescription(
    "spapr-xive",
    1,
    1,
    fields=[UInt32Equal("nr_irqs"), Struct("eat", EAS)["nr_irqs"], Struct("endt", END)["nr_ends"]],
)

_EAS_LAYOUT = struct.Struct(">Q")
_END_LAYOUT = struct.Struct(">IIIIIIII")
_END_FIELDS = tuple(f"w{i}" for i in range(8))
_VALID, _MASKED = 0x80, 0x80 << 32  # bits of an entry, in the byte order of the stream
_EAS_VALID_MASKED = _EAS_LAYOUT.pack(_VALID | _MASKED)
_END_OFF = _END_LAYOUT.pack(0, 0x50, 0, 0, 0, 0, 0, 0)  # both event state buffers off


@lru_cache(maxsize=64)
def _assigned(count: int, servers: int, claimed: tuple[int, ...]) -> memoryview:
    raw = bytearray(8 * count)
    for number in (*range(servers), *claimed):
        raw[8 * number : 8 * number + 8] = _EAS_VALID_MASKED
    return memoryview(bytes(raw))


@lru_cache(maxsize=64)
def _queues(count: int) -> memoryview:
    return memoryview(_END_OFF * count)


class SpaprXive(Device):
    """The tables of the virtualisation engine; ``claimed`` are the devices' interrupt numbers in use.

    The number of event queues, 8 for each possible server number, is not in the stream.  Without a machine,
    decoding takes it from ``machine.nr_servers`` or from the section's size.
    """

    description = SPAPR_XIVE
    eat: Sequence[Any]
    endt: Sequence[Any]
    _nr_ends: int | None = None

    def __init__(self, machine: Machine, claimed: Iterable[int]) -> None:
        super().__init__(machine)
        servers = machine.topology.max_servers
        self._nr_ends = ENDS_PER_SERVER * servers
        self.nr_irqs = FIRST_DEVICE_IRQ + machine.nr_irqs
        self.eat = WireRecords(("w",), _EAS_LAYOUT, _assigned(self.nr_irqs, servers, tuple(claimed)))
        self.endt = WireRecords(_END_FIELDS, _END_LAYOUT, _queues(self.nr_ends))

    def claim(self, number: int) -> None:
        """Give an interrupt to a device that is plugged (spapr_xive_claim_irq)."""
        self.eat[number].w = _VALID | _MASKED

    def free(self, number: int) -> None:
        """Take an interrupt from a device that was unplugged (spapr_xive_free_irq)."""
        self.eat[number].w &= ~_VALID

    def is_claimed(self, number: int) -> bool:
        """Return True if a device has this interrupt (xive_eas_is_valid)."""
        return number < len(self.eat) and bool(self.eat[number].w & _VALID)

    @property
    def nr_ends(self) -> int:
        """The number of event queues.

        Raises AttributeError if neither the machine nor the section's size gives it.
        """
        if self._nr_ends is not None:
            return self._nr_ends
        if not self.machine.nr_servers:
            raise AttributeError("nr_ends")
        return ENDS_PER_SERVER * self.machine.nr_servers

    def measure(self, payload: memoryview) -> None:
        if len(payload) >= 4:
            rest = len(payload) - 4 - 8 * int.from_bytes(payload[:4], "big")
            self._nr_ends = max(0, rest) // _END_LAYOUT.size


#: Offsets in the thread's registers: the rings of the OS and of the hypervisor; the bytes of each.
_OS_RING, _POOL_RING, _PHYSICAL_RING = 0x10, 0x20, 0x30
_STATUS, _CURRENT_PRIORITY = 0, 1
_OS_EXCEPTION, _GROUP_LEVEL = 0x80, 0x3F  # bits of the status (NSR)
_LEAST_FAVOURED, _ACKNOWLEDGED, _AGE, _PENDING_PRIORITY, _CAM_LINE = 3, 4, 6, 7, 8


def in_kernel(machine: Machine) -> bool:
    """Return True if KVM provides the controller."""
    return bool(machine.host is not None and machine.host.maps_xive and machine.has_xive)


def set_kvm_state(tctx: XiveTctx) -> None:
    """Give KVM the presenter's state, KVM_REG_PPC_VP_STATE (kvmppc_xive_cpu_set_state)."""
    tctx.kernel_context = bytes(tctx.regs[_OS_RING : _OS_RING + _CAM_LINE]).hex()


def tctx_post_load(tctx: XiveTctx, version_id: int) -> int:
    """Set the context of a processor that is loaded after the machine, once KVM's device is in use."""
    if in_kernel(tctx.machine) and tctx.machine.xive_connected:
        set_kvm_state(tctx)
    return 0


def tctx_post_load_signals(tctx: XiveTctx, version_id: int) -> int:
    """Signal pending interrupts again; QEMU aborts unless the rings are as its own model leaves them."""
    regs = bytes(tctx.regs)
    for place, name in ((_STATUS, "NSR"), (_PENDING_PRIORITY, "PIPR"), (_CURRENT_PRIORITY, "CPPR")):
        if regs[_POOL_RING + place]:
            _assertion(tctx, "xive_tctx_signal_regs", f"(tctx->regs[TM_QW2_HV_POOL + TM_{name}] == 0)")
    status = regs[_OS_RING + _STATUS]
    if status & _GROUP_LEVEL:
        if not status & _OS_EXCEPTION:
            text = "(xive_nsr_indicates_exception(ring, nsr))"
            _assertion(tctx, "xive_nsr_indicates_group_exception", text)
        text = "(!xive_nsr_indicates_group_exception(ring, sig_regs[TM_NSR]))"
        _assertion(tctx, "xive_tctx_pipr_set", text)
    return tctx_post_load(tctx, version_id)


def _assertion(tctx: XiveTctx, function: str, text: str) -> NoReturn:
    raise tctx.machine.ends(f"{function}: assertion failed: {text}")


XIVE_TCTX = VMStateDescription(
    "xive-tctx",
    1,
    1,
    post_load=History(None, ("4.1", tctx_post_load), ("11.1", tctx_post_load_signals)),
    fields=[Buffer("regs", 64)],
)

_CAM_VALID = 1 << 31
_FIRST_SERVER = 0x400  # SPAPR_XIVE_NVT_BASE: notification targets are numbered from here

#: True if a machine that starts with XICS also sets the processor in the XIVE presenter.
CAM_LINE_ALWAYS = History(False, ("4.2", True))


@lru_cache(maxsize=256)
def _thread_registers(cam_line: int) -> memoryview:
    raw = bytearray(64)
    raw[_OS_RING + _LEAST_FAVOURED] = raw[_OS_RING + _ACKNOWLEDGED] = 0xFF
    raw[_OS_RING + _AGE] = raw[_OS_RING + _PENDING_PRIORITY] = 0xFF
    raw[_PHYSICAL_RING + _PENDING_PRIORITY] = 0xFF
    raw[_OS_RING + _CAM_LINE : _OS_RING + _CAM_LINE + 4] = cam_line.to_bytes(4, "big")
    return memoryview(bytes(raw))


class XiveTctx(Device):
    """The presenter of one processor: nothing pending, all masked; ``kernel_context``: KVM's copy."""

    description = XIVE_TCTX
    kernel_context = bytes(8).hex()

    def __init__(self, machine: Machine, index: int) -> None:
        super().__init__(machine, instance_id=index)
        known = not machine.has_xics or CAM_LINE_ALWAYS.at(machine.release)
        server = machine.topology.vcpu_id(index)
        self.regs = _thread_registers(_CAM_VALID | _FIRST_SERVER + server if known else 0)
