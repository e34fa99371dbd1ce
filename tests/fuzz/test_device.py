"""A user's own device: errors that its C code would make are found, and nothing else."""

from __future__ import annotations

import pytest

from vmstate.fuzz.device import Device, opened_device
from vmstate.fuzz.faults import Kind
from vmstate.fuzz.plan import Base, Plan
from vmstate.fuzz.tally import Tally
from vmstate.fuzz.worker import Batch, Worker

START = """
from types import SimpleNamespace
from vmstate.describe import *
"""

NESTED = """
PORT = VMStateDescription("serial/port", 1, 1, fields=[UInt8("n"), UInt8("fifo")["n"], UInt8("next")])
DESCRIPTION = VMStateDescription("serial", 1, 1, fields=[Struct("port", PORT), UInt32("baud")])

def device():
    return SimpleNamespace(port=SimpleNamespace(n=2, fifo=[0] * 256, next=1), baud=9600)

def use(serial):
    serial.port.fifo[serial.port.next - 1]
"""

FIFO = """
DESCRIPTION = VMStateDescription(
    "fifo", 1, 1, fields=[Int32("size"), Buffer("data", "size"), UInt8("next")],
    post_load=lambda fifo, version_id: -22 if fifo.size > 64 else 0,
)

def device():
    return SimpleNamespace(size=16, data=bytearray(64), next=0)

def use(fifo):
    fifo.data[fifo.next % 64]
"""

ENDLESS = """
DESCRIPTION = VMStateDescription("loop", 1, 1, fields=[UInt8("step")])

def device():
    return SimpleNamespace(step=1)

def use(loop):
    at = 0
    while at < 8:
        at += loop.step
"""

CHANNELS = """
class Channel:
    def __init__(self):
        self.address = self.length = 0

class Dma:
    def __init__(self):
        self.used, self.channels = 2, [Channel() for _ in range(8)]

CHANNEL = VMStateDescription("dma/channel", 1, 1, fields=[UInt32("address"), UInt16("length")])
DESCRIPTION = VMStateDescription("dma", 1, 1, fields=[UInt8("used"), Struct("channels", CHANNEL)["used"]])
device = Dma
"""


def campaign(text: str, runs: int = 600, only: tuple[str, ...] = ()) -> Tally:
    text = START + text
    base = Base.of("device", opened_device("device.py", text).stream())
    worker = Worker(Plan((base,), device=("device.py", text), only=only, timeout=0.5))
    return worker.batch(Batch(0, runs))


def signatures(tally: Tally) -> set[str]:
    return {found.signature for found in tally.found.values()}


def test_an_index_into_an_array_of_a_nested_struct_is_checked():
    assert signatures(campaign(NESTED)) == {"IndexError in device.py use: index # of an array"}


def test_a_repeated_section_has_the_same_room_as_the_first():
    tally = campaign(NESTED, only=("section-duplicate", "packaged-within", "payload-shorter"))
    assert "serial: accept" in tally.outcomes
    assert tally.found == {}


def test_a_buffer_has_the_length_of_its_memory_not_of_the_data():
    assert signatures(campaign(FIFO)) == {"overflow of data in fifo"}
    assert campaign(FIFO, only=("bytes",)).outcomes["fifo: accept"] > 0


def test_an_array_of_structs_in_a_class_has_the_room_of_the_class():
    tally = campaign(CHANNELS)
    (found,) = tally.found.values()
    assert (found.kind, found.signature) == (Kind.OVERFLOW, "overflow of channels in dma")
    assert found.changed <= 2, "of the many recipes that show it, the one that changes least is kept"


def test_endless_code_is_interrupted_and_named():
    tally = campaign(ENDLESS, only=("field-filled", "field-edge"), runs=30)
    (found,) = tally.found.values()
    assert (found.kind, found.signature) == (Kind.HANG, "no end in device.py use")
    assert "vmstate/fuzz" not in found.text, "the trace is the device's own"


@pytest.mark.parametrize("size", [16, 64])
def test_a_buffer_with_a_size_sends_that_many_bytes(size):
    device = opened_device("device.py", START + FIFO.replace("size=16", f"size={size}"))
    assert isinstance(device, Device)
    assert len(device.stream()) == len(opened_device("device.py", START + FIFO).stream()) + size - 16
