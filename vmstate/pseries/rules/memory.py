"""Guest memory: its blocks, and the sizes of the hash page table and real mode area (hw/ppc/spapr.c)."""

from __future__ import annotations

from vmstate.describe.history import History, Release, reached
from vmstate.errors import NotModelled
from vmstate.pseries.machine import Machine
from vmstate.pseries.options import DeviceOption, is_on, parse_size

_SMALLEST, _LARGEST = 18, 46

#: The reach of the one special segment of real mode.
_REAL_MODE_LIMIT = 1 << 40
#: Since this release there is always a NUMA node, and the area is a power of two within the first.
_NODE_SINCE = "4.2"


def hash_table_shift(ram_size: int) -> int:
    """Return log2 of the hash table's size in bytes (``spapr_hpt_shift_for_ramsize``).

    It is 1/128 of the memory rounded up to a power of two, within limits.
    """
    return min(max((ram_size - 1).bit_length() - 7, _SMALLEST), _LARGEST)


def first_shift(machine: Machine) -> int:
    """Return the shift of the table at the start: for the maximal memory, unless it can grow (2.10 on)."""
    fixed = machine.resize_hpt in {"default", "disabled"}
    return hash_table_shift(machine.maxram_size if fixed else machine.ram_size)


#: For a kernel that fails with EOPNOTSUPP, as Linux does from 5.10 on; before, the guest's host crashed.
_NO_HASH_GUESTS = History(
    "Failed to allocate KVM HPT of order {shift} (try smaller maxmem?): Operation not supported",
    ("5.2", "HPT not supported in nested guests"),
)


def hash_table_refusal(machine: Machine, shift: int) -> str | None:
    """Return QEMU's line if its KVM cannot make a table of this size; None if it can.

    hw/ppc/spapr.c ``spapr_reallocate_hpt``, target/ppc/kvm.c ``kvmppc_reset_htab``.
    """
    if machine.host is None or machine.host.has_hash_guests:
        return None
    return _NO_HASH_GUESTS.at(machine.release).format(shift=shift)


#: The pages that KVM may use for a guest in real mode, as shifts.
_REAL_MODE_PAGES = (12, 16, 24)
#: Before, the area was made as small as the table allows.
_AREA_IS_CHECKED = History(False, ("5.0", True))
_MIB = 20


def real_mode_refusal(machine: Machine, shift: int) -> str | None:
    """Return QEMU's line if a hash guest's real mode area is beyond the reach of its table; None if not.

    hw/ppc/spapr.c ``spapr_setup_hpt``, target/ppc/kvm.c ``kvmppc_vrma_limit``: the largest page that fits in
    one of the memory's decides.
    """
    if machine.host is None or not _AREA_IS_CHECKED.at(machine.release):
        return None
    behind = max(machine.host.page_sizes)
    best = max((page for page in _REAL_MODE_PAGES if 1 << page <= behind), default=0)
    limit = 1 << best + shift - 7
    area = min(machine.ram_size, machine.flags.rma_limit or _REAL_MODE_LIMIT)
    if area <= limit:
        return None
    return f"Unable to create {area >> _MIB}MiB RMA (VRMA only allows {limit >> _MIB}MiB"


def real_mode_size(ram_size: int, type_limit: int, release: Release) -> int:
    """Return the bytes of the real mode area, which a guest reaches untranslated (``spapr_rma_size``).

    ``type_limit``: the machine type's, 0 for none.
    """
    size = 1 << ram_size.bit_length() - 1 if reached(_NODE_SINCE, release) else ram_size
    return min(size, _REAL_MODE_LIMIT, type_limit or _REAL_MODE_LIMIT)


#: Back ends whose memory can be named on the command line.
MEMORY_BACKENDS = frozenset({"memory-backend-ram", "memory-backend-file", "memory-backend-memfd"})
#: In older machine types the name of a file's block, shared or not, is its path in the object tree.
_NAMED_BY_PATH_UNTIL = "4.0"


def block_name(machine: Machine, backend: DeviceOption) -> str:
    """Return the name of a memory back end's RAM block: its id, or its path in the object tree.

    backends/hostmem.c ``host_memory_backend_get_name``.
    """
    given = backend.get("x-use-canonical-path-for-ramblock-id")
    if given is None:
        by_path = backend.driver != "memory-backend-ram" and machine.older_than(_NAMED_BY_PATH_UNTIL)
    else:
        by_path = is_on(given)
    return f"/objects/{backend.id}" if by_path else str(backend.id)


def block_size(backend: DeviceOption) -> int:
    """Return the bytes of a memory back end.  Raises ConfigurationError for a size that cannot be read."""
    text = backend.get("size") or "0"
    size = parse_size(text)
    if not size:
        raise NotModelled(f"{backend.text}: size={text}: not a size that is modelled")
    return size
