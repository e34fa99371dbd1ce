"""A stream reads the same from a file, a pipe, and any container."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from vmstate.containers import layer, open_input, rewrap
from vmstate.containers.libvirt import save_image
from vmstate.errors import StreamError
from vmstate.stream.opening import open_wrapped

CAPTURED = Path(__file__).resolve().parents[2] / "streams" / "7.2-caps-off.mig.zst"


@pytest.fixture(scope="module")
def bare():
    return bytes(open_input(CAPTURED).data)


def wrapped(bare, name):
    if name == "plain":
        return bare
    if name == "libvirt":
        return save_image(b"<domain/>").prefix + bare
    return b"".join(rewrap([layer(name)], [bare], len(bare)))


def outline(opened_and_stream):
    _, stream = opened_and_stream
    return [(type(item).__name__, item.start, item.end) for item in stream.items], stream.findings


@pytest.mark.parametrize("name", ["plain", "gzip", "zstd", "libvirt"])
def test_a_file_the_standard_input_and_a_named_pipe_give_the_same_sections(tmp_path, monkeypatch, bare, name):
    path, fifo = tmp_path / "stream", tmp_path / "fifo"
    path.write_bytes(wrapped(bare, name))
    os.mkfifo(fifo)
    from_file = open_wrapped(str(path))
    feeder = threading.Thread(target=lambda: fifo.write_bytes(path.read_bytes()))
    feeder.start()
    from_fifo = open_wrapped(str(fifo))
    feeder.join()
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        from_stdin = open_wrapped("-")
        assert outline(from_file) == outline(from_fifo) == outline(from_stdin)
    assert [found.container for found in from_file[0].layers] == ([] if name == "plain" else [name])


def test_a_bare_stream_from_a_pipe_keeps_no_guest_memory_unless_asked_to(tmp_path, bare):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for whole in (False, True):
        feeder = threading.Thread(target=lambda: fifo.write_bytes(bare))
        feeder.start()
        opened, stream = open_wrapped(fifo, whole=whole)
        feeder.join()
        assert bool(stream.elided) != whole
        assert len(opened.data) == len(bare)
        assert (opened.data == bare) == (whole or not stream.elided)


def test_a_missing_file_or_one_without_a_stream_is_our_own_error(tmp_path):
    (tmp_path / "text").write_text("not a stream")
    for name in ("text", "missing", "."):
        with pytest.raises(StreamError):
            open_wrapped(str(tmp_path / name))
