"""``pc-dimm``: a memory module (hw/mem/pc-dimm.c).  It sends no section, but its memory is a RAM block."""

from __future__ import annotations

from vmstate.describe.history import History
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import Board, RamBlock
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, not_modelled, number_of
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.rules.memory import block_name, block_size

ANY_SLOT = -1

_NO_SLOTS = History(
    "memory hotplug is not enabled, please add maxmem option",
    ("3.0", "no slots where allocated, please specify the 'slots' option"),
)


def check(machine: Machine, option: DeviceOption) -> None:
    """Check a module as ``spapr_memory_pre_plug`` and ``pc_dimm_pre_plug`` do, except for sizes."""
    if all(backend.id != option.get("memdev") for backend in machine.objects):
        raise NotModelled(f"{option.text}: no such -object memory-backend-ram: not modelled")
    if not machine.flags.dr_lmb_enabled:
        raise Refused(f"{option.text}: Memory hotplug not supported for this machine")
    if machine.ram_slots == 0:
        raise Refused(f"{option.text}: {_NO_SLOTS.at(machine.release)}")
    _check_slot(machine, option)


def _check_slot(machine: Machine, option: DeviceOption) -> None:
    """Return the slot, which must exist and be free; by default the first free (``pc_dimm_get_free_slot``).

    Without one what QEMU says is not modelled.
    """
    taken: set[int] = set()
    for other in machine.devices:
        if other.driver != option.driver:
            continue
        wanted = number_of(other, "slot", ANY_SLOT)
        slot = wanted
        if wanted == ANY_SLOT:
            slot = next((n for n in range(machine.ram_slots) if n not in taken), machine.ram_slots)
        if other is option:
            break
        taken.add(slot)
    if wanted == ANY_SLOT:
        if slot == machine.ram_slots:
            raise NotModelled(f"{option.text}: no slot is free: not modelled")
    elif not 0 <= slot < machine.ram_slots:
        most = machine.ram_slots - 1
        raise Refused(f"{option.text}: invalid slot number {slot}, valid range is [0-{most}]")
    elif slot in taken:
        raise Refused(f"{option.text}: slot {slot} is busy")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a module; its RAM block is named after its back end."""
    wanted = None if option is None else option.get("memdev")
    backend = next(backend for backend in board.machine.objects if backend.id == wanted)
    size = block_size(backend)
    board.ram_blocks.append(RamBlock(block_name(board.machine, backend), size))
    board.plugged_memory += size


SLOT = Property("pc-dimm", "slot", "-1", "int32", by_global=False)
PROPERTIES = (
    Property("pc-dimm", "memdev", "", "link<memory-backend>", by_global=False),
    not_modelled("pc-dimm", "addr", "uint64", "0"),
    not_modelled("pc-dimm", "node", "uint32", "0"),
    SLOT,
    not_modelled("pc-dimm", "size", "uint64"),
)
DRIVERS = (
    Driver(
        "pc-dimm",
        plug,
        bus="",
        check=check,
        properties=PROPERTIES,
        examples=("-object memory-backend-ram,id=m{0},size=256M -device pc-dimm,memdev=m{0},id=d{0}",),
    ),
)
