"""A stream to wrap."""

from __future__ import annotations

import random

import pytest


@pytest.fixture(scope="session")
def stream() -> bytes:
    """Something like a stream: a magic, text that compresses, bytes that do not."""
    noise = random.Random(2).randbytes(200_000)
    return b"QEVM\0\0\0\3" + b"spapr/htab" * 20_000 + noise + bytes(300_000)
