"""libvirt's save image, built by hand octet by octet: both byte orders, cookies, formats, damage."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest

from tests.support.wrappings import COMPRESSIONS, XML, needs_lzop
from vmstate.containers import layer, open_input, rewrap
from vmstate.containers.libvirt import FORMATS, HEADER_SIZE, ROOM, save_image
from vmstate.errors import EncodeError
from vmstate.stream import open_stream

RECORDED = Path(__file__).resolve().parents[2] / "fixtures" / "containers"
COOKIE = b"<qemuSaveCookie/>"


def by_hand(
    body: bytes,
    *,
    magic: bytes = b"LibvirtQemudSave",
    order: str = "<",
    version: int = 2,
    running: int = 1,
    fmt: int = 0,
    cookie: bytes = b"",
    data_len: int | None = None,
    cookie_offset: int | None = None,
    unused: bytes = bytes(56),
) -> bytes:
    texts = XML + b"\0" + (cookie + b"\0" if cookie else b"")
    texts += bytes(1000 - len(texts))
    length = len(texts) if data_len is None else data_len
    offset = (len(XML) + 1 if cookie else 0) if cookie_offset is None else cookie_offset
    return magic + struct.pack(order + "5I", version, length, running, fmt, offset) + unused + texts + body


def rules(image: bytes) -> list[str]:
    return [finding.rule for finding in open_input(image).findings]


@pytest.mark.parametrize(("order", "name"), [("<", "little"), (">", "big")])
def test_both_byte_orders_are_recognised_by_the_version(stream, order, name):
    opened = open_input(by_hand(stream, order=order, cookie=COOKIE, running=0))
    assert opened.data == stream
    assert opened.findings == ()
    assert opened.origin == HEADER_SIZE + 1000
    assert opened.layers[0].as_json() == {
        "container": "libvirt",
        "byte_order": name,
        "complete": True,
        "version": 2,
        "was_running": False,
        "format": "raw",
        "data_len": 1000,
        "xml": XML.decode(),
        "cookie": COOKIE.decode(),
    }


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_save_image_is_rewritten_identically_and_keeps_its_header_around_another_stream(stream, order):
    image = by_hand(stream, order=order, cookie=COOKIE)
    opened = open_input(image)
    assert b"".join(rewrap(opened.layers, [stream])) == image
    assert b"".join(opened.rewrap(b"QEVM other")) == image[: HEADER_SIZE + 1000] + b"QEVM other"


def test_our_layout_is_that_of_libvirt(stream):
    texts = XML + b"\0" + COOKIE + b"\0"
    by_libvirt = (
        b"LibvirtQemudSave"
        + struct.pack(">5I", 2, len(texts) + ROOM, 1, 3, len(XML) + 1)
        + bytes(56)
        + texts
        + bytes(ROOM)
    )
    assert save_image(XML, COOKIE, format_name="xz", byte_order="big").prefix == by_libvirt


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_compression_of_libvirt_is_read(stream, name):
    body = b"".join(rewrap([layer(name)], [stream], len(stream)))
    opened = open_input(by_hand(body, fmt=FORMATS.index(name)))
    assert opened.data == stream
    assert [found.container for found in opened.layers] == ["libvirt", name]
    assert opened.findings == ()
    assert opened.origin is None


@needs_lzop
def test_lzop_rewrites_to_what_lzop_reads(stream):
    opened = open_input(by_hand(b"".join(rewrap([layer("lzop")], [stream])), fmt=4))
    assert open_input(b"".join(opened.rewrap(b"QEVM" + stream))).data == b"QEVM" + stream


def test_zstd_around_a_save_image_around_gzip(stream):
    image = by_hand(gzip.compress(stream, mtime=0), fmt=1)
    opened = open_input(b"".join(rewrap([layer("zstd")], [image], len(image))))
    assert opened.data == stream
    assert [found.container for found in opened.layers] == ["zstd", "libvirt", "gzip"]


def test_sparse_is_a_plain_stream_whose_place_in_the_file_is_known(stream):
    opened = open_input(by_hand(stream, fmt=6))
    assert (opened.data, opened.origin, opened.findings) == (stream, HEADER_SIZE + 1000, ())


def test_version_1_is_never_compressed(stream):
    opened = open_input(by_hand(stream, version=1, fmt=1))
    assert opened.data == stream
    assert opened.findings == ()


def test_an_incomplete_image_is_read_and_reported(stream):
    opened = open_input(by_hand(stream, magic=b"LibvirtQemudPart"))
    assert opened.data == stream
    assert [finding.rule for finding in opened.findings] == ["container.incomplete"]
    assert b"".join(rewrap(opened.layers, [stream])) == by_hand(stream, magic=b"LibvirtQemudPart")


def test_a_format_that_does_not_match_the_body_is_reported_and_the_body_read_for_what_it_is(stream):
    opened = open_input(by_hand(gzip.compress(stream), fmt=0))
    assert opened.data == stream
    assert [finding.rule for finding in opened.findings] == ["container.libvirt.format"]
    assert rules(by_hand(stream, fmt=5)) == ["container.libvirt.format"]


def test_an_unknown_format_is_reported_and_the_body_recognised(stream):
    opened = open_input(by_hand(gzip.compress(stream), fmt=7))
    assert opened.data == stream
    assert [finding.rule for finding in opened.findings] == ["container.libvirt.format"]


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        (by_hand(b"")[:50], "container.truncated"),
        (by_hand(b"")[:500], "container.truncated"),
        (by_hand(b"QEVM", data_len=0xFFFFFFFF), "container.truncated"),
        (by_hand(b"QEVM", version=3), "container.libvirt.header"),
        (by_hand(b"QEVM", data_len=0), "container.libvirt.header"),
        (by_hand(b"QEVM", cookie_offset=5000), "container.libvirt.header"),
        (by_hand(b"QEVM", unused=bytes(55) + b"\1"), "container.libvirt.unused"),
    ],
)
def test_a_damaged_header_is_a_finding_and_rewrites_identically(image, rule):
    opened = open_input(image)
    assert rule in [finding.rule for finding in opened.findings]
    assert b"".join(rewrap(opened.layers, [opened.data])) == image


def test_xml_that_does_not_fit_is_an_encode_error():
    with pytest.raises(EncodeError, match="take 47 bytes"):
        save_image(XML, data_len=10)
    with pytest.raises(EncodeError, match="unknown save format"):
        save_image(XML, format_name="rar")


@pytest.mark.parametrize(
    ("file", "layers"),
    [("libvirt-9.0-raw.save.zst", ["zstd", "libvirt"]), ("libvirt-9.0-bzip2.save", ["libvirt", "bzip2"])],
)
def test_images_of_a_real_libvirt_are_read_completely(file, layers):
    opened = open_input(RECORDED / file)
    stream = open_stream(opened.data)
    image = next(found.metadata for found in opened.layers if found.container == "libvirt")
    assert [found.container for found in opened.layers] == layers
    assert (opened.findings, stream.findings) == ((), [])
    assert stream.configuration.machine == "pseries-7.2"
    assert image.xml.startswith(b"<domain type='qemu'>")
    assert image.cookie == b"<cookie>\n  <slirpHelper/>\n</cookie>\n"
    assert save_image(image.xml, image.cookie, format_name=image.format_name, was_running=False) == image


def test_images_of_a_real_libvirt_are_rewritten_identically():
    opened = open_input(RECORDED / "libvirt-9.0-bzip2.save")
    assert b"".join(rewrap(opened.layers, [opened.data])) == bytes(opened.wrapped)
