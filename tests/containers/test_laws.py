"""Laws: a wrapped stream is unwrapped again, in any nesting, from any source; any bytes can be opened."""

from __future__ import annotations

import importlib.util
import io
import itertools
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wrappings import COMPRESSIONS, nested
from vmstate.containers import CONTAINERS, Opened, layer, open_input, pieces, rewrap
from vmstate.containers.libvirt import save_image
from vmstate.errors import VmstateError

# Without the programs' start-up time and the ambiguity of a stream that looks like a container itself.
slow = {"lzop"} if importlib.util.find_spec("lz4") else {"lzop", "lz4"}
fast = st.sampled_from([name for name, entry in CONTAINERS.items() if entry.made and name not in slow])
nestings = st.lists(fast, max_size=4).filter(  # libvirt has no format for these two in a save image
    lambda names: not {("libvirt", "libvirt"), ("libvirt", "lz4")} & set(itertools.pairwise(names))
)
streams = st.binary(max_size=3000).map(lambda body: b"QEVM" + body)
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def wrap(stream: bytes, *names: str) -> bytes:
    return b"".join(rewrap(nested(*names), [stream], len(stream)))


@relaxed
@given(streams, nestings)
def test_a_wrapped_stream_is_unwrapped_again_without_findings(stream, names):
    opened = open_input(wrap(stream, *names))
    assert bytes(opened.data) == stream
    assert [found.container for found in opened.layers] == names
    assert opened.findings == ()


@relaxed
@given(streams, nestings)
def test_an_unchanged_stream_is_written_as_the_original_file(stream, names):
    file = wrap(stream, *names)
    opened = open_input(file)
    assert b"".join(opened.rewrap(bytes(opened.data))) == file
    assert b"".join(rewrap(opened.layers, [opened.data], len(opened.data))) == file


@relaxed
@given(streams, streams, nestings)
def test_a_changed_stream_is_written_in_the_same_layers(stream, changed, names):
    opened = open_input(wrap(stream, *names))
    again = open_input(b"".join(opened.rewrap(changed)))
    assert bytes(again.data) == changed
    assert again.layers == opened.layers


@relaxed
@given(
    st.binary(max_size=600),
    st.sampled_from([b"", *(magic for e in CONTAINERS.values() for magic in e.magics)]),
)
def test_any_bytes_open_or_give_our_own_error(body, magic):
    data = magic + body
    try:
        opened = open_input(data, limit=1 << 20)
    except VmstateError:
        return
    assert isinstance(opened, Opened)
    assert len(opened.data) <= 1 << 20


@relaxed
@given(streams, fast, st.data())
def test_a_damaged_container_opens_or_gives_our_own_error(stream, name, data):
    file = bytearray(wrap(stream, name))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        open_input(bytes(file), limit=1 << 20)
    except VmstateError:
        return


@relaxed
@given(streams, fast, st.data())
def test_what_was_decompressed_before_a_cut_is_a_prefix_of_the_stream(stream, name, data):
    file = wrap(stream, name)
    cut = data.draw(st.integers(0, len(file) - 1))
    opened = open_input(file[:cut])
    if opened.layers:
        assert stream.startswith(bytes(opened.data))
        assert opened.findings or name == "libvirt"


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_compression_round_trips_a_stream(stream, name):
    opened = open_input(b"".join(rewrap([layer(name)], pieces(stream, 7777), len(stream))))
    assert opened.data == stream
    assert opened.findings == ()
    assert opened.origin is None


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_map_a_pipe_a_file_object_and_bytes_give_the_same(tmp_path, stream, name):
    file = b"".join(rewrap([layer(name)], [stream], len(stream)))
    path = tmp_path / "stream"
    path.write_bytes(file)
    reading, writing = os.pipe()
    feeder = threading.Thread(target=lambda: (os.write(writing, b""), _feed(writing, file)))
    feeder.start()
    with os.fdopen(reading, "rb") as pipe, path.open("rb") as opened_file:
        views = [open_input(s).data for s in (file, path, str(path), pipe, opened_file, io.BytesIO(file))]
    feeder.join()
    assert all(view == stream for view in views)


def _feed(descriptor: int, data: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        for piece in pieces(data, 1000):
            pipe.write(piece)


@relaxed
@given(
    st.binary(max_size=500).filter(lambda t: b"\0" not in t), st.binary(max_size=200), streams, st.booleans()
)
def test_a_save_image_gives_back_its_xml_and_cookie(xml, cookie, stream, big):
    cookie = cookie.replace(b"\0", b"")
    image = save_image(xml, cookie, byte_order="big" if big else "little")
    opened = open_input(image.prefix + stream)
    metadata = opened.layers[0].metadata
    assert (metadata.xml, metadata.cookie) == (xml, cookie)
    assert opened.data == stream
    assert metadata == image
