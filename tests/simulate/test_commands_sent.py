"""The commands in a simulated stream, compared with those of real QEMUs."""

from __future__ import annotations

import shlex

import pytest

from tests.support import corpus
from vmstate.simulate.migration import save
from vmstate.stream import open_stream
from vmstate.stream.constants import SectionType
from vmstate.stream.items import CommandItem, Section

CAPTURED = [
    "7.2-pseries-7.2",
    "10.0-pseries-10.0",
    "10.0-pseries-6.2-smp4",
    "11.1-pseries-11.1",
    "11.1-pseries-5.2",
]


def framing(data: bytes) -> list[str]:
    """Return the commands and the kinds of sections around them; equal neighbours count once."""
    items = (item for item in open_stream(data).items if isinstance(item, CommandItem | Section))
    names = [item.name if isinstance(item, CommandItem) else SectionType(item.kind).name for item in items]
    return [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]


@pytest.mark.parametrize("name", CAPTURED)
def test_a_machine_type_sends_the_commands_of_the_real_one(name):
    row = corpus.manifest()[name]
    line = shlex.join([f"qemu-{row['release']}", *row["args"]])
    assert framing(save(line)) == framing(corpus.load(name))
