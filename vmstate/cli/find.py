"""``vmstate find``: find sections, fields and values in a stream, each with its whole path."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

from vmstate.cli.common_options import add_limit, not_negative
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError, Finding, Severity
from vmstate.front.known import known_meanings
from vmstate.front.opening import open_stream_file
from vmstate.front.stream_file import StreamFile
from vmstate.tree.as_json import summary_json
from vmstate.tree.flat import line_of
from vmstate.tree.paths import PathError, Place, find
from vmstate.tree.search import is_glob, search, search_value

_MOST = 200
_EPILOG = """\
A glob fits a whole path, or its last parts: * stands for any text, ? for any character.  Case counts only if
the glob has a capital letter.  A register of Arm may be named: SCTLR_EL1."""

EXAMPLES = (
    ("a field by its name", "vmstate find guest.mig nip"),
    ("whatever is about a PVR, and all capabilities", "vmstate find guest.mig '*pvr*' 'spapr/cap/*'"),
    ("every field and array element of a value", "vmstate find guest.mig --value 0x4e1202"),
    ("names are values too", "vmstate find guest.mig 'cpu*' --value power8"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument(
        "globs", metavar="GLOB", nargs="*", help="paths to look for: nip, '*pvr*', cpu.env.n*"
    )
    parser.add_argument("--value", metavar="VALUE", help="only fields with this value, as edit takes it")
    parser.add_argument(
        "--most",
        type=not_negative,
        default=_MOST,
        metavar="N",
        help=f"at most N things ({_MOST}); 0: all",
    )
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Find what the globs fit; the status is 1 if nothing does."""
    if not options.globs and options.value is None:
        raise ConfigurationError("nothing to look for: give a GLOB, or --value VALUE")
    given = open_stream_file(options.stream, limit=options.limit, whole=False)
    places = _found(given, options.globs or ["*"], options.value)
    shown = list(islice(places, options.most or None))
    count = len(shown) + sum(1 for _ in places)
    meanings = known_meanings()
    lines = [line_of(given.contents, place, meanings, most=64) for place in shown]
    if len(shown) < count:
        lines.append(f"… {count - len(shown)} more (--most)")
    findings = list(given.findings)
    if not shown:
        findings.append(_nothing(given, options))
    result = {
        "found": [{"path": one.path, **summary_json(given.contents, one.node)} for one in shown],
        "count": count,
    }
    return Report(lines, result, findings, ok=bool(shown))


def _found(given: StreamFile, globs: list[str], value: str | None) -> Iterator[Place]:
    """Yield each place once, in the order of the globs."""
    if len(globs) == 1:
        yield from _places(given, globs[0], value)
        return
    seen: set[str] = set()
    for glob in globs:
        for place in _places(given, glob, value):
            if place.path not in seen:
                seen.add(place.path)
                yield place


def _places(given: StreamFile, glob: str, value: str | None) -> Iterator[Place]:
    if value is not None:
        return search_value(given.contents, glob, value, known_meanings())
    if not is_glob(glob):
        try:
            return iter(find(given.contents, glob))
        except PathError:
            pass
    return search(given.contents, glob)


def _nothing(given: StreamFile, options: argparse.Namespace) -> Finding:
    wanted = ", ".join(map(repr, options.globs))
    if options.value is not None:
        inside = f" in {wanted}" if wanted else ""
        message = f"{given.name}: nothing{inside} has the value {options.value!r}"
    else:
        message = f"{given.name}: nothing fits {wanted}"
    return Finding("find.nothing", Severity.WARNING, message)
