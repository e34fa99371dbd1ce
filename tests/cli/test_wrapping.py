"""``vmstate unwrap`` and ``vmstate wrap``."""

from __future__ import annotations

import json

import pytest

from vmstate.cli import main
from vmstate.containers import open_input, rewrap
from vmstate.containers.libvirt import save_image

STREAM = b"QEVM" + bytes(1000)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "guest.save"
    path.write_bytes(save_image(b"<domain/>").prefix + STREAM)
    return path


def test_unwrap_shows_the_layers_and_writes_the_stream(tmp_path, image, capsys):
    assert main(["unwrap", str(image), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == STREAM
    assert capsys.readouterr().out.splitlines()[-1] == "  stream: 1004 bytes"


def test_unwrap_as_json(image, capsys):
    assert main(["unwrap", "--json", str(image)]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["stream_bytes"] == 1004
    assert result["layers"][0]["xml"] == "<domain/>"


def test_unwrap_reports_what_is_wrong(tmp_path, capsys):
    (tmp_path / "part").write_bytes(save_image(b"<domain/>", complete=False).prefix + STREAM)
    assert main(["unwrap", str(tmp_path / "part")]) == 1
    assert "container.incomplete" in capsys.readouterr().out


def test_unwrap_of_nothing_is_unusable(tmp_path, capsys):
    assert main(["unwrap", str(tmp_path / "missing")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_unwrap_beyond_the_limit_is_unusable(tmp_path, image, capsys):
    assert main(["wrap", str(image), "--as", "zstd", "-o", str(tmp_path / "z")]) == 0
    assert main(["unwrap", "--limit", "100", str(tmp_path / "z")]) == 2
    assert "more than 100 bytes" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["plain", "gzip", "bzip2", "xz", "zstd"])
def test_wrap_compresses(tmp_path, image, kind):
    out = tmp_path / "out"
    assert main(["wrap", str(image), "--as", kind, "-o", str(out)]) == 0
    opened = open_input(out)
    assert opened.data == STREAM
    assert [found.container for found in opened.layers] == ([] if kind == "plain" else [kind])


def test_wrap_like_another_file_uses_its_layers(tmp_path, image):
    other = tmp_path / "other"
    other.write_bytes(b"".join(rewrap(open_input(image).layers, [b"QEVM other"])))
    assert main(["wrap", str(other), "--like", str(image), "-o", str(other)]) == 0
    assert other.read_bytes() == image.read_bytes()[: -len(STREAM)] + b"QEVM other"
