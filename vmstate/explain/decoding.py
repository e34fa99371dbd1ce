"""Decode the values of a line: registers, feature bits, queue indexes, error numbers, devices."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from vmstate.errors import memory_size
from vmstate.explain.formats import ERRNO_TEXTS, Match
from vmstate.explain.names import numbered, pci_register, section, virtio_bits, virtio_devices

if TYPE_CHECKING:
    from vmstate.explain.table import Explanation

_Named = Mapping[str, str]
_PCI_PATH = re.compile(r"([0-9a-f]{4}:[0-9a-f]{2}(?::[0-9a-f]{2}\.[0-7])?(?::[0-9a-f]{2}\.[0-7])*)/(.+)")


def decoded(explanation: Explanation, match: Match) -> list[str]:
    """Return what the values of a line mean, in words; empty where they say nothing more."""
    named = match.named
    found: list[str] = []
    by_rule = _BY_RULE.get(explanation.rule)
    if by_rule is not None:
        found += by_rule(named)
    if "idstr" in named:
        found += device(named["idstr"])
    if "ret" in named:
        found += _number(int(named["ret"]))
    if "block" in named:
        found += _block(named["block"])
    if "pvr" in named:
        found += _compat(int(named["pvr"], 16))
    if "strerror" in named:
        found += _text_of_errno(named["strerror"])
    if explanation.format.errno and match.rest:
        found += _text_of_errno(match.rest)
    return found


def device(idstr: str) -> Iterator[str]:
    """Yield what a section's name says: its device, and the device's place."""
    what, last = section(idstr), idstr.rpartition("/")[2]
    if what is not None:
        yield f"`{last if section(last) else idstr}`: {what}"
    path = _PCI_PATH.fullmatch(idstr)
    if path is not None:
        slot, _, function = path[1].rpartition(":")[2].partition(".")
        behind = ", behind a bridge" if path[1].count(".") > 1 else ""
        address = f"{int(slot, 16):#x}" + (f".{function}" if function not in {"", "0"} else "")
        yield f"the device at PCI address {path[1]}{behind}: the one with addr={address}"


def _number(ret: int) -> Iterator[str]:
    name = errno.errorcode.get(abs(ret))
    if name is not None:
        note = "; many loaders return it for any refusal" if abs(ret) in {errno.EPERM, errno.EINVAL} else ""
        yield f"{ret}: {name} ({os.strerror(abs(ret))}{note})"


def _text_of_errno(text: str) -> Iterator[str]:
    number = ERRNO_TEXTS.get(text.partition(":")[0])
    if number is not None:
        yield f"{text.partition(':')[0]}: {errno.errorcode[number]}, {number}"


def _block(name: str) -> Iterator[str]:
    last = name.rpartition("/")[2]
    blocks = {
        "pc.ram": "the main memory of a PC machine",
        "ppc_spapr.ram": "the main memory of a pseries machine",
        "mach-virt.ram": "the main memory of an arm virt machine",
        "s390.ram": "the main memory of an s390 machine",
        "pc.bios": "the firmware of a PC machine",
        "pc.rom": "the option ROM area of a PC machine",
        "vga.vram": "the memory of the display card",
        "acpi/tables": "the ACPI tables; their size follows the machine type and its devices",
        "tables": "the ACPI tables; their size follows the machine type and its devices",
    }
    if last in blocks:
        yield f"`{last}`: {blocks[last]}"
    elif last.endswith(".rom"):
        card = last.removesuffix(".rom")
        yield f"`{last}`: the option ROM of a card ({card}); its size is that of the ROM file"
    elif re.fullmatch(r"ram-node\d+|dimm\d+|mem\d*", last):
        yield f"`{last}`: a memory backend with this id (-object memory-backend-…,id={last})"


def _compat(pvr: int) -> Iterator[str]:
    name = numbered("pvrs").get(pvr)
    if name is not None:
        yield f"{pvr:#010x}: max-cpu-compat={name}"


# ---- by rule


def _pci_config(named: _Named) -> Iterator[str]:
    if "offset" not in named:
        return
    value = {name: int(text, 16) for name, text in named.items()}
    offset, read, here = value["offset"], value["read"], value["device"]
    checked = value["cmask"] & ~value["wmask"] & ~value["w1cmask"]
    yield f"offset {offset:#x}: {pci_register(offset)}"
    differing = (read ^ here) & checked & 0xFF
    yield f"the stream has {read:#04x}, this device {here:#04x}; compared bits that differ: {differing:#04x}"


def _features(named: _Named) -> Iterator[str]:
    if "features" not in named:
        return
    missing = int(named["features"], 16) & ~int(named["allowed"], 16)
    bits = [bit for bit in range(missing.bit_length()) if missing >> bit & 1]
    common = virtio_bits("any")
    own = [bit for bit in bits if bit not in common]
    if not bits:
        yield "every feature is allowed here: the two numbers do not differ in that direction"
        return
    for bit in bits:
        if bit in common:
            yield _feature(bit, *common[bit])
    devices = [name for name in virtio_devices() if all(bit in virtio_bits(name) for bit in own)]
    for name in devices if own else []:
        texts = [_feature(bit, *virtio_bits(name)[bit]) for bit in own]
        yield f"if it is virtio-{name}: " + "; ".join(texts) if len(devices) > 1 else "; ".join(texts)
    if own and not devices:
        yield "bits without a name here: " + ", ".join(map(str, own))


def _feature(bit: int, name: str, switch: str) -> str:
    return f"bit {bit}: {name}" + (f" (property {switch})" if switch else "")


def _queue(named: _Named) -> Iterator[str]:
    if "guest" in named:
        delta = _signed(int(named["guest"], 16) - int(named["host"], 16))
        if delta < 0:
            yield (
                f"queue {named['queue']}: the ring in guest memory is {-delta} entries behind what the "
                "device had taken: guest memory is older than the device's state"
            )
        else:
            yield (
                f"queue {named['queue']}: {delta} entries are said to wait, more than the "
                f"{int(named['size'], 16)} that the ring holds: memory and state are not of one moment"
            )
    elif "last_avail" in named:
        taken = _signed(int(named["last_avail"], 16) - int(named["used"], 16))
        if taken < 0:
            yield (
                f"queue {named['queue']}: {-taken} more requests are marked done in memory than were taken: "
                "guest memory is newer than the device's state"
            )
        else:
            size = int(named["size"], 16)
            yield f"queue {named['queue']}: {taken} requests under way, more than {size} can be"


def _signed(difference: int) -> int:
    return (difference + 0x8000) % 0x10000 - 0x8000


def _ram_flags(named: _Named) -> Iterator[str]:
    if "flags" in named:
        flags = int(named["flags"], 16)
        names = [name for bit, name in numbered("ram_flags").items() if flags & bit]
        yield f"flags {flags:#x}: " + (", ".join(names) if names else "none: no record begins so")


def _msr(named: _Named) -> Iterator[str]:
    if "msr" in named:
        number = int(named["msr"], 16)
        name = numbered("msrs").get(number)
        yield f"MSR {number:#x}: {name or 'not in our list; see the manual of the processor'}"


def _tsc(named: _Named) -> Iterator[str]:
    if "vm_khz" in named:
        vm, host = int(named["vm_khz"]), int(named["host_khz"])
        if host:
            yield f"the frequencies differ by {abs(vm - host)} kHz ({abs(vm - host) * 1_000_000 // host} ppm)"


def _sizes(named: _Named) -> Iterator[str]:
    if "incoming" in named and "local" in named:
        incoming, local = int(named["incoming"], 16), int(named["local"], 16)
        yield f"in the stream {memory_size(incoming)}, here {memory_size(local)}"


_BY_RULE: Mapping[str, Callable[[_Named], Iterator[str]]] = {
    "pci-config": _pci_config,
    "virtio-features": _features,
    "virtio-queue-index": _queue,
    "ram-flags": _ram_flags,
    "msr": _msr,
    "tsc-frequency": _tsc,
    "ram-size": _sizes,
}
