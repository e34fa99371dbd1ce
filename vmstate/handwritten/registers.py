"""Buffers that are registers of well-known hardware, and single numbers with a wire type of their own."""

from __future__ import annotations

import struct

from vmstate.describe import Node, WireArray, WireRecords
from vmstate.describe.infos import Info, Scalar
from vmstate.describe.words import BitFields, Words
from vmstate.errors import StreamError
from vmstate.handwritten.content import Content
from vmstate.handwritten.layout import Layout, Register, at_least, be32, raw, u8


def _named(text: str) -> tuple[Register, ...]:
    return tuple(u8(name) for name in text.split())


# ---- VGA, as <video/vga.h> of Linux names them

_SEQUENCER = Layout("vga sr", *_named("reset clocking_mode plane_mask char_map memory_mode"))
_GRAPHICS = Layout(
    "vga gr",
    *_named("set_reset set_reset_enable compare data_rotate plane_read mode misc compare_mask bit_mask"),
)
_ATTRIBUTES = Layout(
    "vga ar",
    *(u8(f"palette{number:x}") for number in range(16)),
    *_named("mode overscan plane_enable pel color_page"),
)
_CRTC = Layout(
    "vga cr",
    *_named(
        "h_total h_disp h_blank_start h_blank_end h_sync_start h_sync_end v_total overflow preset_row "
        "max_scan cursor_start cursor_end start_hi start_lo cursor_hi cursor_lo v_sync_start v_sync_end "
        "v_disp_end offset underline v_blank_start v_blank_end mode line_compare"
    ),
)
_COLOR = struct.Struct(">BBB")


def _palette(data: memoryview, start: int, end: int) -> list[Node]:
    if (end - start) % _COLOR.size:
        raise StreamError("not a palette", offset=start)
    colors = WireRecords(("red", "green", "blue"), _COLOR, data[start:end])
    return [Node("colors", "array", "struct", start, end, colors)]


VGA = {
    "sr": Content("buffer", at_least(_SEQUENCER)),
    "gr": Content("buffer", at_least(_GRAPHICS)),
    "ar": Content("buffer", at_least(_ATTRIBUTES)),
    "cr": Content("buffer", at_least(_CRTC)),
    "palette": Content("buffer", _palette),
    "dac_cache": Content("buffer", Layout("vga dac", *_named("red green blue")).nodes),
}

# ---- the clock of a PC (include/hw/rtc/mc146818rtc_regs.h)

_RTC = Layout(
    "rtc",
    *_named(
        "seconds seconds_alarm minutes minutes_alarm hours hours_alarm day_of_week day_of_month month year "
        "a b c d"
    ),
    raw("memory", 0x32 - 14),
    u8("century"),
)
RTC = Content("buffer", at_least(_RTC))

# ---- XIVE: pending and queued bits of each source; the four rings of a thread's context (hw/intc/xive.c)

_RING = Layout(
    "xive ring",
    *_named("nsr cppr ipb lsmfb ack_cnt inc age pipr"),
    be32("word2"),
    be32("word3"),
)
_RINGS = ("user", "os", "hv_pool", "hv_phys")


def _context(data: memoryview, start: int, end: int) -> list[Node]:
    places = range(start, start + len(_RINGS) * _RING.size, _RING.size)
    return [_RING.node(name, data, at, end) for name, at in zip(_RINGS, places, strict=True)]


def _sources(data: memoryview, start: int, end: int) -> list[Node]:
    return [Node("pq", "array", "uint8", start, end, WireArray("B", data[start:end]))]


XIVE_CONTEXT = Content("buffer", _context)
XIVE_SOURCES = Content("buffer", _sources, most=1 << 32)  # its parts are one array

# ---- numbers whose type has the register's name; QEMU's processors write them by functions of their own

_NUMBERS = frozenset(
    {
        *("cpsr", "fpscr", "psr", "psw", "cpu/altivec/vscr", "powered_off", "sreg", "eind", "fpcr", "xcc"),
        *("msr", "fsr", "fpsr", "sr", "rampD", "rampX", "rampY", "rampZ"),
        *("int32_as_uint16", "uint16_from_uint8"),
    }
)
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLAGS = {"n": (31, 1), "z": (30, 1), "c": (29, 1), "v": (28, 1)}


def number_type(kind: str, size: int) -> Info | None:
    """Return the wire type of a register that is one big-endian number; None for another type."""
    return Scalar(kind, _CODES[size]) if kind in _NUMBERS and size in _CODES else None


#: By the name of the description and the field.
NAMES_OF_NUMBERS: dict[tuple[str, str], Words] = {
    ("cpu", "cpsr"): BitFields(
        32,
        {
            **_FLAGS,
            "q": (27, 1),
            "pan": (22, 1),
            "ssbs": (23, 1),
            "ge": (16, 4),
            "d/e": (9, 1),
            "a": (8, 1),
            "i": (7, 1),
            "f": (6, 1),
            "t": (5, 1),
            "mode": (0, 5),
        },
    ),
    # target/ppc/mmu-hash64.h HPTE64_V_*, HPTE64_R_*
    ("spapr/htab", "hptes.pte0"): BitFields(
        64,
        {
            "valid": (0, 1),
            "secondary": (1, 1),
            "large": (2, 1),
            "lock": (3, 1),
            "bolted": (4, 1),
            "avpn": (7, 55),
            "ssize": (62, 2),
        },
    ),
    ("spapr/htab", "hptes.pte1"): BitFields(
        64,
        {
            "pp": (0, 2),
            "n": (2, 1),
            "g": (3, 1),
            "m": (4, 1),
            "i": (5, 1),
            "w": (6, 1),
            "c": (7, 1),
            "r": (8, 1),
            "key_low": (9, 3),
            "rpn": (12, 48),
            "key_high": (60, 2),
            "ts": (62, 1),
            "pp0": (63, 1),
        },
    ),
}
