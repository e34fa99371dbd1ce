"""Streams of nothing but guest memory, and the image of it."""

from __future__ import annotations

from hypothesis import strategies as st

import vmstate
from tests.support.synthetic import EOS, PAGE, page, ram_setup, section
from vmstate.front.memory_image import GuestMemory
from vmstate.stream import SectionType, writer

RAM = b"ppc_spapr.ram"
PAGES = 12


def stream(records: bytes, blocks=((RAM, PAGES * PAGE),), machine: str = "pseries-7.2") -> bytes:
    parts = [
        writer.file_header() + writer.configuration(machine),
        section(SectionType.START, 2, ram_setup(list(blocks)), "ram"),
        section(SectionType.END, 2, records + EOS),
        writer.end_of_states(),
    ]
    return b"".join(parts)


def image(data: bytes, block: str | None = None) -> bytes:
    with vmstate.open(data) as opened:
        return b"".join(map(bytes, GuestMemory(opened).image(block)))


sent = st.dictionaries(
    st.integers(0, PAGES - 1), st.integers(0, 3).map(lambda n: page(n) if n else bytes(PAGE))
)
