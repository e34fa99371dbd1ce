"""The virtio queues of a guest, and the pages that ``strip`` keeps for them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmstate
from tests.support import corpus
from tests.support.memory_streams import PAGES, RAM, image, sent, stream
from tests.support.synthetic import PAGE, mapped_stream, named, page
from vmstate.cli import main
from vmstate.front.memory_image import GuestMemory
from vmstate.front.rings import pages_of, queues
from vmstate.stream import open_stream
from vmstate.stream.strip import strip

places = st.sets(st.integers(0, PAGES - 1))


@settings(deadline=None)
@given(sent, places, st.booleans())
def test_pages_that_are_kept_stay_and_all_others_are_zero(pages, kept, mapped):
    if mapped:
        data = mapped_stream({at: pages[at] for at in pages if at < 8})
    else:
        data = stream(b"".join(named(at * PAGE, 0x08, RAM) + pages[at] for at in pages))
    block = "main" if mapped else None
    left = strip(open_stream(data), {0: {at * PAGE for at in kept}}).tobytes()
    whole, after = image(data, block), image(left, block)
    for at in range(len(whole) // PAGE):
        span = slice(at * PAGE, (at + 1) * PAGE)
        assert after[span] == (whole[span] if at in kept else bytes(PAGE))


def test_a_queue_has_the_addresses_that_the_stream_has():
    with vmstate.open(corpus.path("7.2-booted-virtio")) as guest:
        found = {(queue.section, queue.number): queue.parts for queue in queues(guest.contents)}
        net = next(section for section, _ in found if section.endswith("virtio-net"))
        rings = f"{net}.virtio/virtio/virtqueues.vq[0]"
        desc, avail, used = (
            guest[path] for path in (f"{net}.virtio.vq[0].desc", f"{rings}.avail", f"{rings}.used")
        )
    assert found[net, 0] == ((desc, 16 * 256), (avail, 6 + 2 * 256), (used, 6 + 8 * 256))


def test_a_legacy_device_has_its_rings_behind_its_descriptors():
    with vmstate.open(corpus.path("7.2-booted-virtio-legacy")) as guest:
        first = next(iter(queues(guest.contents)))
        (desc, size), (avail, _), (used, _) = first.parts
        assert (avail, used % PAGE, used // PAGE) == (desc + size, 0, (avail + 6 + size // 8) // PAGE + 1)
        kept = pages_of([first], GuestMemory(guest))
    assert kept == {0: set(range(desc, used + PAGE, PAGE))}


def test_strip_says_that_the_queues_went_and_keeps_them_on_request(tmp_path, capsys):
    guest, out = str(corpus.path("7.2-booted-virtio")), str(tmp_path / "out.mig")
    assert main(["strip", guest, "-o", out]) == 0
    assert "75 virtio queues went with its memory" in capsys.readouterr().out
    assert main(["strip", guest, "--keep-rings", "--json", "-o", out]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["result"]["queues"], said["result"]["kept_pages"]) == (75, 81)


@pytest.mark.parametrize("name", ["x86_64-q35-virtio", "s390x-ccw-virtio", "aarch64-virt-virtio-mmio"])
def test_a_guest_that_drives_no_device_has_no_queues(name):
    with vmstate.open(corpus.path(name)) as guest:
        assert list(queues(guest.contents)) == []


@pytest.mark.parametrize(
    ("block", "length", "address"),
    [(b"pc.ram", PAGE, 0), (b"mach-virt.ram", PAGE, 1 << 30), (b"pc.ram", 3 << 30, None)],
)
def test_a_machines_ram_has_its_address_if_it_is_in_one_piece(block, length, address):
    data = stream(named(0, 0x08, block) + page(1), ((block, length),), "some-machine")
    with vmstate.open(data) as opened:
        assert [one.address for one in GuestMemory(opened).blocks] == [address]
