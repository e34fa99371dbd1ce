"""Linux's calls at CAS: its table of processors and its option vectors, by version.

arch/powerpc/kernel/prom_init.c ``ibm_architecture_vec``.  Read in the source, or extracted from the kernel's
image: 3.10, 4.1, 4.8, 4.9, 5.2, 6.1, 6.12, 7.2, 7.3-rc7; between them by the dates of the changes.  Linux
versions have the form of QEMU releases, so History and Span serve for them too.
"""

from __future__ import annotations

from functools import cache

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Release, Span
from vmstate.errors import ConfigurationError, DeclarationError
from vmstate.pseries.board.connectors import DrcType
from vmstate.pseries.cas.client_architecture import PvrEntry
from vmstate.pseries.cas.guest_kernels import GuestKernel
from vmstate.pseries.tables.option_vectors import VECTOR_5, bytes_of_bits

OLDEST, NEWEST = Release.parse("3.10"), Release.parse("7.3")
#: Versions to name as examples: those between which something changed.
LINUX_SHOWN = (
    "3.10",
    "3.16",
    "4.4",
    "4.9",
    "4.12",
    "4.14",
    "4.19",
    "5.4",
    "5.10",
    "5.15",
    "6.1",
    "6.12",
    "7.2",
    "7.3",
)

_ALL, _FAMILY = 0xFFFFFFFF, 0xFFFF0000


@dataclass(frozen=True)
class _Pvr:
    mask: int
    value: int
    span: Span = ALWAYS


#: In the table's order.  The last entry ends the table and is never matched: up to 7.2 it is "2.04 and
#: earlier", from 7.3 on 2.05.
_PVRS = (
    _Pvr(0xFFFE0000, 0x003A0000),
    _Pvr(_ALL, 0x0F000001, Span("7.3")),
    _Pvr(_FAMILY, 0x003E0000),
    _Pvr(_FAMILY, 0x003F0000),
    _Pvr(_FAMILY, 0x004B0000),
    _Pvr(_FAMILY, 0x004C0000, Span("4.7")),
    _Pvr(_FAMILY, 0x004D0000, Span("3.14")),
    _Pvr(_FAMILY, 0x004E0000, Span("4.11")),
    _Pvr(_FAMILY, 0x00800000, Span("5.9")),
    _Pvr(_FAMILY, 0x00820000, Span("6.9")),
    _Pvr(_FAMILY, 0x00830000, Span("7.3")),
    _Pvr(_ALL, 0x0F000008, Span("7.3")),
    _Pvr(_ALL, 0x0F000007, Span("6.9")),
    _Pvr(_ALL, 0x0F000006, Span("5.9")),
    _Pvr(_ALL, 0x0F000005, Span("4.11")),
    _Pvr(_ALL, 0x0F000004),
    _Pvr(_ALL, 0x0F000003),
    _Pvr(_ALL, 0x0F000002, Span(until="7.3")),
    _Pvr(0xFFFFFFFE, 0x0F000001, Span(until="7.3")),
    _Pvr(0xFFFFFFFD, 0x0F000002, Span("7.3")),
)

#: Architectures: 2.00 to 2.07, then 3.00, 3.1 and 3.2 in a separate byte.
_VECTOR_1 = History("00ff", ("4.11", "00ff80"), ("5.9", "00ffc0"), ("7.3", "00ffe0"))
#: Open Firmware: real mode, and how much memory the first area must have, in MiB.
_FIRST_AREA = History(256, ("4.16", 512), ("6.15", 768))
_VECTOR_3, _VECTOR_4, _VECTOR_6 = "00e0", "0001", "000002"

_ALWAYS_ASKED = (
    "LPAR",
    "SPLPAR",
    "DRCONF_MEMORY",
    "LARGE_PAGES",
    "DONATE_DEDICATE_CPU",
    "MSI",
    "FORM1_AFFINITY",
    "PRRN",
    "PFO_HW_RNG",
    "PFO_HW_842",
    "PFO_HW_ENCR",
)
#: Bits of vector 5 that came later; radix and XIVE are requested if the machine has them.
_ASKED_SINCE = {
    "SUB_PROCESSORS": "4.8",
    "HP_EVT": "4.11",
    "HPT_RESIZE": "4.11",
    "DRMEM_V2": "4.16",
    "DRC_INFO": "5.5",
    "FORM2_AFFINITY": "5.15",
}
_INDEX = {bit.name: bit.index for bit in VECTOR_5.values()}
#: Bytes of vector 5; before 4.8 the bit for sub-processors was three bytes too early.
_VECTOR_5_BYTES = History(18, ("4.8", 21), ("4.11", 26))
_MISPLACED = Span(until="4.8")
_MISPLACED_BIT = 17 * 8 + 7
_MOST_CPUS = {8: 0, 9: 0, 10: 0x08, 11: 0}  # bytes 9 to 12, a number: 2048, as distributions build it

_RADIX, _RADIX_NEEDS_GTSE = Span("4.11"), Span(until="5.9")
_XIVE = Span("4.14")
#: What the kernel itself adds and removes (arch/powerpc/platforms/pseries/dlpar.c handle_dlpar_errorlog);
#: slots and host bridges are left to programs.  Seen in Debian's 6.1, 6.12 and 7.2.
_ANSWERS = frozenset({DrcType.CPU, DrcType.LMB})
_ANSWERS_SEEN = Span("6.1", "7.3")
_SWITCHES = (("disable_radix", _RADIX), ("xive", _XIVE), ("radix_hcall_invalidate", Span("5.9")))


@cache
def linux(version: str) -> GuestKernel:
    """Return Linux of that version, as distributions build it for pseries.

    Raises ConfigurationError for a malformed or unknown version.
    """
    try:
        release = Release.parse(version)
    except DeclarationError:
        raise ConfigurationError(f"not a version of Linux: {version!r}; an example is 6.1") from None
    if not OLDEST <= release < Release(NEWEST.major, NEWEST.minor + 1):
        known = f"{OLDEST.major}.{OLDEST.minor} to 7.3"
        raise ConfigurationError(f"Linux {version} is not known; known versions: {known}")
    return GuestKernel(
        name=f"linux-{version}",
        pvrs=tuple(PvrEntry(pvr.mask, pvr.value) for pvr in _PVRS if pvr.span.covers(release)),
        vectors=(
            bytes.fromhex(_VECTOR_1.at(release)),
            _vector_2(_FIRST_AREA.at(release)),
            bytes.fromhex(_VECTOR_3),
            bytes.fromhex(_VECTOR_4),
            _vector_5(release),
            bytes.fromhex(_VECTOR_6),
        ),
        radix=_RADIX.covers(release),
        radix_needs_gtse=_RADIX_NEEDS_GTSE.covers(release),
        xive=_XIVE.covers(release),
        switches=tuple(name for name, span in _SWITCHES if span.covers(release)),
        linux=release,
        answers=_ANSWERS if _ANSWERS_SEEN.covers(release) else None,
    )


def _vector_2(first_area: int) -> bytes:
    return b"\x20\0\0" + b"\xff" * 20 + first_area.to_bytes(4, "big") + b"\xff" * 4 + bytes([0, 48])


def _vector_5(release: Release) -> bytes:
    names = [*_ALWAYS_ASKED, *(name for name, since in _ASKED_SINCE.items() if Span(since).covers(release))]
    bits = {_INDEX[name] for name in names}
    if _MISPLACED.covers(release):
        bits.add(_MISPLACED_BIT)
    data = bytearray(bytes_of_bits(bits, _VECTOR_5_BYTES.at(release)))
    for place, value in _MOST_CPUS.items():
        data[place] = value
    return bytes(data)
