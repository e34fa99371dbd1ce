"""Text for the tables of ``releases``, ``machine`` and ``device``: releases, unknown names, columns."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence

from vmstate.cli.with_option import catalogue_of
from vmstate.describe import Release
from vmstate.errors import ConfigurationError
from vmstate.front.paint import Paint
from vmstate.pseries.catalogue import Catalogue
from vmstate.similar_names import similar


def asked(options: argparse.Namespace, release: str | None) -> tuple[Catalogue, Release | None]:
    """Return the requested catalogue, and the release if one is given: ``10.0``, ``10.0.2``, ``4.2+NAME``.

    Raises ConfigurationError for an unknown one.
    """
    text, _, fork = (release or "").removeprefix("qemu-").partition("+")
    catalogue = catalogue_of(options, release)
    if fork:
        catalogue = catalogue.fork(fork)
    return catalogue, catalogue.release(text) if text else None


def not_known(kind: str, name: str, known: Iterable[str]) -> ConfigurationError:
    """Return the error for an unknown name, with similar names."""
    names = list(known)
    near = similar(name, names, 5)
    hint = f"similar names: {', '.join(near)}" if near else f"known names: {', '.join(names)}"
    return ConfigurationError(f"no such {kind}: {name!r}; {hint}")


def columns(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Yield rows of text in columns of equal width, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{indent}{'  '.join(cells)}".rstrip()


def table(rows: Sequence[Sequence[str]], paint: Paint) -> Iterator[str]:
    """Yield rows in columns, the first of them, with the names of the columns, in bold."""
    first, *rest = columns(rows)
    yield paint("bold", first)
    yield from rest


def since_text(since: Sequence[str]) -> str:
    """Return points of history as text: ``2.12``, or ``2.12 (also stable 2.11.1 on)``."""
    *backports, mainline = since
    if not backports:
        return mainline
    also = ", ".join(f"{point} on" for point in backports)
    return f"{mainline} (also stable {also})"


def span_text(names: Sequence[str]) -> str:
    """Return a run of names as text: ``pseries-2.10 … pseries-11.1``."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def plural(count: int, noun: str) -> str:
    """Return a number and its noun: ``1 release``, ``2 capabilities``."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def runs(names: Sequence[str], order: Sequence[str]) -> list[tuple[str, ...]]:
    """Split ``names`` into runs of neighbours in ``order``."""
    found: list[list[str]] = []
    chosen = set(names)
    before = False
    for name in order:
        if name in chosen:
            if before:
                found[-1].append(name)
            else:
                found.append([name])
        before = name in chosen
    return [tuple(run) for run in found]


def runs_text(names: Sequence[str], order: Sequence[str]) -> str:
    """Return ``names`` as text, run by run in ``order``."""
    return ", ".join(span_text(run) for run in runs(names, order))
