"""Options that several commands have, declared once, so that they mean the same everywhere."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from vmstate.pattern import pattern

if TYPE_CHECKING:
    from vmstate.workers import Workers

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = pattern(r"(\d+)([KMGT]?)(?:i?B)?", re.IGNORECASE)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Declare ``--limit``: the most bytes that a stream may have once it is decompressed."""
    parser.add_argument(
        "--limit",
        type=size,
        metavar="BYTES",
        help="refuse to decompress to more than this: 64M, 2G (default: 256M, or 1000 times the file's size)",
    )


def add_workers(parser: argparse.ArgumentParser, jobs: int | None) -> None:
    """Declare ``--jobs`` and ``--scheduler``; ``jobs``: the default, None for one a core."""
    default = "one for each core" if jobs is None else str(jobs)
    parser.add_argument(
        "--jobs",
        type=at_least_one,
        default=jobs,
        metavar="N",
        help=f"number of processes (default: {default})",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="run on the Dask cluster at this address: tcp://HOST:8786"
    )


def workers_of(options: argparse.Namespace) -> Workers:
    """Return the workers that ``--jobs`` and ``--scheduler`` name."""
    from vmstate.workers import Workers  # imports multiprocessing

    return Workers(options.jobs, options.scheduler)


def at_least_one(text: str) -> int:
    """Read a number from 1 on.  Raises ArgumentTypeError."""
    return _number(text, 1)


def not_negative(text: str) -> int:
    """Read a number from 0 on.  Raises ArgumentTypeError."""
    return _number(text, 0)


def _number(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} on")
    return int(text)


def size(text: str) -> int:
    """Read a number of bytes: 1000, 64K, 64M, 2G, 2GiB.  Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return int(found[1]) << _UNITS[found[2].upper()]
