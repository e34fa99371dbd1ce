"""``pc-dimm``: a memory module (hw/mem/pc-dimm.c).  It sends no section, but its memory is a RAM block."""

from __future__ import annotations

from collections.abc import Container, Iterable

from vmstate.describe.history import History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.board import LMB_SIZE, Board, RamBlock
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, not_modelled, number_of
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption
from vmstate.pseries.rules.memory import block_name, block_size

PC_DIMM = "pc-dimm"
ANY_SLOT = -1

_NO_SLOTS = History(
    "memory hotplug is not enabled, please add maxmem option",
    ("3.0", "no slots where allocated, please specify the 'slots' option"),
)
#: What else is checked was compared with QEMU from this release on.
_COMPARED = Span(since="5.2")


def check(machine: Machine, option: DeviceOption) -> None:
    """Check a module as ``pc_dimm_realize``, ``spapr_memory_pre_plug`` and ``pc_dimm_pre_plug`` do."""
    modules = [one for one in machine.earlier(option) if one.driver == option.driver]
    backend = machine.find_object(option.get("memdev"))
    if _COMPARED.covers(machine.release):
        _check_backend(option, backend, modules)
    if backend is None:
        raise NotModelled(f"{option.text}: no such -object memory-backend-ram: not modelled")
    if not machine.flags.dr_lmb_enabled:
        raise Refused(f"{option.text}: Memory hotplug not supported for this machine")
    size = block_size(backend)
    if _COMPARED.covers(machine.release) and size % LMB_SIZE:
        raise Refused(f"{option.text}: Hotplugged memory size must be a multiple of 256 MB")
    if machine.ram_slots == 0:
        raise Refused(f"{option.text}: {_NO_SLOTS.at(machine.release)}")
    _check_slot(machine, option, modules)
    if _COMPARED.covers(machine.release):
        _check_space(machine, option, size, sum(block_size(machine.backend_of(one)) for one in modules))


def _check_backend(option: DeviceOption, backend: DeviceOption | None, modules: list[DeviceOption]) -> None:
    wanted = option.get("memdev")
    if wanted is None:
        raise Refused(f"{option.text}: 'memdev' property must be set")
    if backend is None:
        raise Refused(f"{option.text}: Device '{wanted}' not found")
    if any(one.get("memdev") == wanted for one in modules):
        raise Refused(f"{option.text}: can't use already busy memdev: {wanted}")


def _check_slot(machine: Machine, option: DeviceOption, modules: Iterable[DeviceOption]) -> None:
    """Check that the slot exists and is free; by default the first free (``pc_dimm_get_free_slot``)."""
    taken: set[int] = set()
    for other in modules:
        slot = number_of(other, "slot", ANY_SLOT)
        taken.add(_first_free(machine, taken) if slot == ANY_SLOT else slot)
    slot = number_of(option, "slot", ANY_SLOT)
    if slot == ANY_SLOT:
        if _first_free(machine, taken) == machine.ram_slots:
            raise Refused(f"{option.text}: no free slots available")
    elif not 0 <= slot < machine.ram_slots:
        most = machine.ram_slots - 1
        raise Refused(f"{option.text}: invalid slot number {slot}, valid range is [0-{most}]")
    elif slot in taken:
        raise Refused(f"{option.text}: slot {slot} is busy")


def _first_free(machine: Machine, taken: Container[int]) -> int:
    return next((n for n in range(machine.ram_slots) if n not in taken), machine.ram_slots)


def _check_space(machine: Machine, option: DeviceOption, size: int, used: int) -> None:
    space = machine.maxram_size - machine.ram_size
    if used + size > space:
        text = "in use of total space for memory devices"
        raise Refused(f"{option.text}: not enough space, currently {used:#x} {text} {space:#x}")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a module; its RAM block is named after its back end."""
    backend = board.machine.backend_of(option)
    board.plug_memory(option, RamBlock(block_name(board.machine, backend), block_size(backend)))


SLOT = Property(PC_DIMM, "slot", "-1", "int32", by_global=False)
PROPERTIES = (
    Property(PC_DIMM, "memdev", "", "link<memory-backend>", by_global=False),
    not_modelled(PC_DIMM, "addr", "uint64", "0"),
    not_modelled(PC_DIMM, "node", "uint32", "0"),
    SLOT,
    not_modelled(PC_DIMM, "size", "uint64"),
)
DRIVERS = (
    Driver(
        PC_DIMM,
        plug,
        bus="",
        check=check,
        properties=PROPERTIES,
        examples=("-object memory-backend-ram,id=m{0},size=256M -device pc-dimm,memdev=m{0},id=d{0}",),
    ),
)
