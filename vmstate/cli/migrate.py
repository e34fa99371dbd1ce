"""``vmstate migrate``: simulate a migration between two command lines, or a file of many."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vmstate.cli.common_options import add_workers
from vmstate.cli.expecting import add_expect, add_junit, expectation_lines, given, unexpected
from vmstate.cli.not_judged import not_judged
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style
from vmstate.cli.with_option import add_with, catalogue_of
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.expectations import Expectation
from vmstate.front.verdict_text import explanation_lines, remedy_lines, verdict_lines
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.pseries.startup.libvirt_log import last_start
from vmstate.savevm.verdict import Outcome, Verdict, cannot_judge
from vmstate.simulate.migration import migrate

if TYPE_CHECKING:
    from vmstate.simulate.remedies import Remedy

EXAMPLES = (
    (
        "from one release to another, and back",
        "vmstate migrate --both-ways 'qemu-10.0 -machine pseries-10.0' 'qemu-11.1 -machine pseries-10.0'",
    ),
    (
        "of a guest that has booted Linux",
        "vmstate migrate --guest linux-6.1 'qemu-7.2 -m 256' 'qemu-10.0 -machine pseries-7.2 -m 256'",
    ),
    (
        "what would make it work",
        "vmstate migrate --explain 'qemu-7.2' 'qemu-7.2 -machine pseries-7.2,cap-vsx=off'",
    ),
    ("many, with what is expected of each", "vmstate migrate --batch rows.jsonl --junit results.xml"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = (
        "%(prog)s [OPTION …] SOURCE DESTINATION\n"
        "%(prog)s [OPTION …] --batch FILE\n"
        "%(prog)s [OPTION …] --libvirt SOURCE.log [DESTINATION.log]"
    )
    parser.add_argument(
        "source", metavar="SOURCE", nargs="?", help="e.g. 'qemu-7.2 -nodefaults -machine pseries-7.2 -m 256'"
    )
    parser.add_argument("destination", metavar="DESTINATION", nargs="?", help="likewise")
    add_with(parser)
    _add_libvirt(parser)
    parser.add_argument(
        "--guest",
        metavar="KERNEL",
        help="boot a guest on the source first: 'linux-6.1', 'linux-6.12 disable_radix', a TOML file",
    )
    parser.add_argument(
        "--events",
        metavar="EVENT[;EVENT]…",
        help="what happens on the source before that, in order, as in QEMU's monitor: 'device_add "
        "power9_v2.0-spapr-cpu-core,id=c1,core-id=1; system_reset; device_del c1'; 'migrate QEMU …' migrates "
        "the machine, and what follows happens there",
    )
    parser.add_argument(
        "--both-ways", action="store_true", help="also migrate from the destination to the source"
    )
    parser.add_argument("--trace", action="store_true", help="show every check that ran, in order")
    parser.add_argument(
        "--explain", action="store_true", help="explain the verdict, and find changes that would make it work"
    )
    parser.add_argument(
        "--batch",
        metavar="FILE",
        help='judge many: one {"source": …, "destination": …, "guest": …, "events": […], "expect": …} a '
        'line; "-" is the standard input',
    )
    add_workers(parser, 1)
    add_expect(parser, "the migration, or of each row of a batch that does not say it")
    add_junit(parser, "the results of --batch")


def _add_libvirt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--libvirt",
        action="store_true",
        help="source and destination are libvirt's logs of the guest (/var/log/libvirt/qemu/GUEST.log): take "
        "the last command line of each, or that of one log for both; of a domain XML, "
        "`virsh domxml-to-native qemu-argv` makes a command line",
    )
    parser.add_argument(
        "--release",
        metavar="A[,B]",
        help="QEMU's release on the source, and on the destination, for programs without one in their name "
        "(4.2+ubuntu-focal: a vendor's); a libvirt log usually has it",
    )
    parser.add_argument(
        "--host", metavar="A[,B]", help="with --libvirt: the KVM host of the source, and of the destination"
    )


def run(options: argparse.Namespace) -> Report:
    """Judge one pair, or each line of a batch file."""
    expectation = given(options)
    if options.batch is not None:
        from vmstate.cli.batches import judge_batch

        return judge_batch(options, "migrate")
    sides = _logged_sides(options) if options.libvirt else _given_sides(options)
    ways = [(sides[0], sides[1]), (sides[1], sides[0])][: 2 if options.both_ways else 1]
    unknown: list[NotModelled] = []
    verdicts = [_judge(a, b, unknown, options) for a, b in ways]
    lines = _lines(ways, verdicts, options, expectation)
    wrong = [one for verdict in verdicts for one in unexpected(expectation, verdict)]
    if unknown and (expectation is None or wrong):
        return not_judged(unknown, lines, _result(ways, verdicts, options, expectation))
    accepted = all(v.outcome == Outcome.ACCEPT for v in verdicts)
    return Report(
        lines=lines,
        result=lambda: _result(ways, verdicts, options, expectation),
        ok=accepted if expectation is None else not wrong,
    )


def _given_sides(options: argparse.Namespace) -> list[Configuration]:
    if options.source is None or options.destination is None:
        raise ConfigurationError("two command lines are required: source and destination (or --batch FILE)")
    if options.host is not None:
        raise ConfigurationError(
            "--host is for --libvirt; a command line begins with its host: 'p9-hv: qemu-7.2 …'"
        )
    texts = (options.source, options.destination)
    catalogue = catalogue_of(options, *texts, options.release)
    return [
        parse(text, catalogue, release) for text, release in zip(texts, _pair(options.release), strict=True)
    ]


def _logged_sides(options: argparse.Namespace) -> list[Configuration]:
    """Return the last starts of two libvirt logs, or that of one log on both sides."""
    if options.source is None:
        raise ConfigurationError("--libvirt needs a log: of the source's libvirt, then of the destination's")
    paths = (options.source, options.destination or options.source)
    given = zip(paths, _pair(options.release), _pair(options.host), strict=True)
    return [_logged_side(options, *side) for side in given]


def _logged_side(
    options: argparse.Namespace, path: str, release: str | None, host: str | None
) -> Configuration:
    try:
        start = last_start(Path(path).read_text(encoding="utf-8", errors="surrogateescape"))
        text = start.command if host is None else f"{host}: {start.command}"
        side = parse(text, catalogue_of(options, text, release), release or start.release)
    except ConfigurationError as error:
        raise type(error)(f"{path}: {error}") from None
    if host is None and _USES_KVM.search(side.text):
        raise ConfigurationError(f"{path}: this QEMU uses KVM: give its host with --host")
    return side


_USES_KVM = re.compile(r"-enable-kvm\b|-accel kvm\b|\baccel=kvm\b")


def _pair(text: str | None) -> list[str | None]:
    """Split ``A[,B]``; one name is for both sides."""
    if text is None:
        return [None, None]
    parts = text.split(",")
    if len(parts) > 2 or not all(parts):
        raise ConfigurationError(f"expected A or A,B, found {text!r}")
    return [parts[0], parts[-1]]


def _judge(
    source: Configuration,
    destination: Configuration,
    unknown: list[NotModelled],
    options: argparse.Namespace,
) -> Verdict:
    """Judge one way; where it cannot be judged, the reason is added to ``unknown``."""
    try:
        return _migrate(source, destination, options, trace=options.trace)
    except NotModelled as reason:
        unknown.append(reason)
        return cannot_judge(reason)


def _migrate(
    source: Configuration, destination: Configuration, options: argparse.Namespace, *, trace: bool = False
) -> Verdict:
    if options.guest is None and options.events is None:
        return migrate(source, destination, trace=trace)
    from vmstate.pseries.cas.guests import guest as named_guest
    from vmstate.simulate.guest import migrate_guest
    from vmstate.simulate.history import events_of, migrate_history

    guest = None if options.guest is None else named_guest(options.guest)
    if options.events is not None:
        events, catalogue = events_of(options.events), source.catalogue
        return migrate_history(source, destination, events, guest=guest, catalogue=catalogue, trace=trace)
    assert guest is not None
    return migrate_guest(source, destination, guest, trace=trace)


def _remedies(source: Configuration, destination: Configuration, options: argparse.Namespace) -> list[Remedy]:
    from vmstate.simulate.remedies import remedies

    return remedies(source, destination, judge=lambda a, b: _migrate(a, b, options))


Ways = list[tuple[Configuration, Configuration]]
_UNHELPED = {Outcome.ACCEPT, Outcome.NOT_MODELLED}


def _lines(
    ways: Ways, verdicts: list[Verdict], options: argparse.Namespace, expectation: Expectation | None
) -> Iterator[str]:
    style = Style.of(sys.stdout)
    for (source, destination), verdict in zip(ways, verdicts, strict=True):
        yield f"{source.text}  →  {destination.text}"
        yield from verdict_lines(verdict, style.paint, trace=options.trace)
        if options.explain:
            yield from explanation_lines(verdict)
            if verdict.outcome not in _UNHELPED:
                yield from remedy_lines(_remedies(source, destination, options))
        yield from expectation_lines(expectation, unexpected(expectation, verdict), style.paint)


def _result(
    ways: Ways, verdicts: list[Verdict], options: argparse.Namespace, expectation: Expectation | None
) -> object:
    from vmstate.simulate.batch import compared

    results = []
    for (source, destination), verdict in zip(ways, verdicts, strict=True):
        sides = {"source": source.text, "destination": destination.text}
        one = {**sides, **verdict.as_json(), **compared(verdict, expectation)}
        if options.trace:
            one["trace"] = [check.as_json() for check in verdict.trace]
        if options.explain and verdict.outcome not in _UNHELPED:
            one["remedies"] = [remedy.as_json() for remedy in _remedies(source, destination, options)]
        results.append(one)
    return {"migrations": results}
