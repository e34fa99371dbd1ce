"""Decompression of a stream, compared with the programs of each format."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measure import Row, best_child, best_of

from vmstate.containers import layer, open_input, pieces, rewrap
from vmstate.outputs import save

TITLE = "Taking a stream out of its containers"

PROGRAMS = {"zstd": "zstd", "gzip": "gzip", "xz": "xz", "bzip2": "bzip2", "lzop": "lzop"}


def stream(megabytes: int) -> bytes:
    """Return data of which half compresses well, and half does not."""
    noise = random.Random(1)
    return b"QEVM" + b"".join(noise.randbytes(1 << 19) + b"page" * (1 << 17) for _ in range(megabytes))


def rows(*, smoke: bool) -> Iterator[Row]:
    megabytes, repeat = (1, 1) if smoke else (16, 3)
    content = stream(megabytes)
    with tempfile.TemporaryDirectory() as folder:
        for kind, program in PROGRAMS.items():
            if kind == "lzop" and shutil.which("lzop") is None:
                continue
            path = Path(folder, kind)
            save(path, rewrap([layer(kind)], pieces(content), len(content)))
            seconds = best_of(lambda file=path: open_input(file).close(), repeat)
            there = shutil.which(program)
            baseline = best_child([program, "-dc", str(path)], repeat).seconds if there else None
            yield Row(f"{kind}, {megabytes} MB of stream", seconds, None, baseline, f"`{program} -dc`")
