"""A stream to put into containers."""

from __future__ import annotations

import random

import pytest


@pytest.fixture(scope="session")
def stream() -> bytes:
    """Return bytes like a stream: a magic, compressible text, incompressible bytes."""
    noise = random.Random(2).randbytes(200_000)
    return b"QEVM\0\0\0\3" + b"spapr/htab" * 20_000 + noise + bytes(300_000)
