"""``vmstate replay``: load a stream in a real QEMU, and compare the verdict with the simulated one."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmstate.cli.common_options import add_limit
from vmstate.cli.expecting import add_expect, add_junit, expectation_lines, given
from vmstate.cli.grammar import CommandParser
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, progress
from vmstate.compare.difference import Difference
from vmstate.containers import Opened
from vmstate.errors import ConfigurationError, Finding, Severity
from vmstate.expectations import Ended, Expectation, Tally, beside
from vmstate.front.checks import diff
from vmstate.fuzz.corpus import Corpus, Replayed, replayed
from vmstate.fuzz.targets import Real, Simulated, Target
from vmstate.junit import Suite, junit
from vmstate.outputs import save
from vmstate.qemu import QemuCommand, RealOutcome, RealVerdict, identify, replay
from vmstate.qemu.arrived import Arrived
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.migration import load
from vmstate.stream.opening import open_source

EXAMPLES = (
    (
        "does a real QEMU accept it",
        "vmstate replay guest.mig -- qemu-system-ppc64 -machine pseries-7.2 -m 256",
    ),
    (
        "a folder of streams, as a test",
        "vmstate replay --corpus found --junit out.xml -- qemu-system-ppc64 -m 256",
    ),
    (
        "what has arrived",
        "vmstate replay guest.mig --again --then 'info registers' -- qemu-system-ppc64 -m 256",
    ),
)


def configure(parser: CommandParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "stream", nargs="?", metavar="STREAM", help="a stream, which may be compressed or in a save image"
    )
    parser.add_argument(
        "--corpus", metavar="FOLDER", help="replay all streams and recipes of a folder instead"
    )
    parser.add_argument(
        "--base", action="append", default=[], metavar="STREAM", help="a base stream of recipes"
    )
    add_junit(parser, "the results of --corpus")
    add_expect(parser, "the load, or of each entry of --corpus of which the folder does not say it,")
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="COMMAND",
        help="ask QEMU's monitor something after it has loaded the stream: 'info registers'",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="let QEMU save again what it has loaded, and show what differs from the stream that was sent",
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="PATH",
        help="with --again: what does not count, as for vmstate diff",
    )  # fmt: skip
    parser.add_argument(
        "--capability",
        action="append",
        default=[],
        metavar="NAME",
        help="switch on a migration capability",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="N", help="seconds that QEMU may take (default: 60)"
    )
    add_limit(parser)
    parser.add_program("qemu", "the destination's command line")
    parser.usage = "%(prog)s [OPTION …] STREAM -- COMMAND …\n%(prog)s [OPTION …] --corpus FOLDER -- COMMAND …"


def run(options: argparse.Namespace) -> Report:
    """Load the stream in the real QEMU, then in the simulated one of its release; report differences."""
    if options.corpus is not None:
        if options.stream is not None:
            raise ConfigurationError("--corpus replaces the stream: give one of them")
        return _corpus(options, QemuCommand.parse(options.qemu))
    if options.stream is None:
        raise ConfigurationError("a stream is required (or --corpus FOLDER)")
    command = QemuCommand.parse(options.qemu)
    expectation = given(options)
    if expectation is None and options.stream != "-":
        expectation = beside(Path(options.stream))
    with (
        tempfile.TemporaryDirectory(prefix="vmstate-") as folder,
        open_source(options.stream, limit=options.limit) as opened,
    ):
        arrived = Arrived(options.then, Path(folder) / "again.mig" if options.again else None)
        real = replay(
            _for_qemu(options.stream, opened),
            command,
            capabilities=options.capability,
            timeout=options.timeout,
            after=arrived if options.then or options.again else None,
        )
        simulated = _simulated(opened, command)
        findings = [*opened.findings, *differences(real, simulated)]
        changed = _changed(opened, arrived, options.ignore)
    agreed = not any(finding.rule in (_OUTCOME, _MESSAGES) for finding in findings)
    answer = _Answer(command, real, simulated, expectation, arrived, changed)
    as_wanted = real.outcome == RealOutcome.ACCEPT if expectation is None else not answer.unexpected
    return Report(answer.lines(), answer.as_json(), findings, ok=as_wanted and agreed and not changed)


def _changed(opened: Opened, arrived: Arrived, ignore: Sequence[str]) -> list[Difference]:
    """Return how the stream that QEMU saved again differs from the one that it was sent."""
    if not arrived.saved:
        return []
    return diff(bytes(opened.data), str(arrived.again), (*_CLOCK, *ignore))


#: The clock goes on while QEMU loads and saves.
_CLOCK = ("spapr.tb", "timer")


class _Answer:
    """The answer to one stream: for people, and for programs."""

    def __init__(
        self,
        command: QemuCommand,
        real: RealVerdict,
        simulated: Verdict | ConfigurationError,
        expectation: Expectation | None,
        arrived: Arrived,
        changed: Sequence[Difference],
    ) -> None:
        self._command = command
        self._real = real
        self._simulated = simulated
        self._expectation = expectation
        self._arrived = arrived
        self._changed = changed
        ended = Ended(str(real.outcome), real.messages)
        self.unexpected = [] if expectation is None else list(expectation.differences(ended))

    def lines(self) -> Iterator[str]:
        style = Style.of(sys.stdout)
        real = self._real
        yield style.paint(
            "green" if real.outcome == RealOutcome.ACCEPT else "red", f"real QEMU: {real.outcome}"
        )
        yield from (f"  {message}" for message in real.messages)
        if isinstance(self._simulated, Verdict):
            yield f"simulated: {self._simulated.outcome}"
        yield from expectation_lines(self._expectation, self.unexpected, style.paint)
        for command, answer in zip(self._arrived.commands, self._arrived.answers, strict=False):
            yield style.paint("bold", f"(qemu) {command}")
            yield from answer.split("\n")
        if self._arrived.saved:
            count = len(self._changed)
            said = f"{count} difference{'' if count == 1 else 's'}" if count else "the same as was sent"
            yield f"saved again: {said} (the clock goes on, and is not compared)"
            yield from (f"  {one}" for one in self._changed)

    def as_json(self) -> dict[str, object]:
        simulated = self._simulated.as_json() if isinstance(self._simulated, Verdict) else None
        found: dict[str, object] = {**self._real.as_json(), "simulated": simulated}
        if self._expectation is not None:
            found["expect"] = self._expectation.as_json()
            found["as_expected"] = not self.unexpected
            found["unexpected"] = self.unexpected
        if self._arrived.answers:
            found["then"] = dict(zip(self._arrived.commands, self._arrived.answers, strict=False))
        if self._arrived.saved:
            found["again"] = {
                "same": not self._changed,
                "differences": [one.as_json() for one in self._changed],
            }
        return found


def _for_qemu(name: str, opened: Opened) -> str | memoryview:
    """Return the path of a bare stream, so that it is not copied; otherwise the bytes."""
    return opened.data if opened.layers or name == "-" else name


def _simulated(opened: Opened, command: QemuCommand) -> Verdict | ConfigurationError:
    release = identify(command.program).release
    try:
        return load(opened.data, shlex.join([f"qemu-{release}", *command.arguments]))
    except ConfigurationError as error:
        return error


_OUTCOME, _MESSAGES, _NOT_COMPARED = "replay.outcome", "replay.messages", "replay.not-compared"


def differences(real: RealVerdict, simulated: Verdict | ConfigurationError) -> Sequence[Finding]:
    """Return the differences of the two verdicts as findings, or why they were not compared."""
    if isinstance(simulated, ConfigurationError):
        text = f"the simulator does not model this command line: {simulated}"
        return (Finding(_NOT_COMPARED, Severity.INFO, text),)
    if str(real.outcome) != str(simulated.outcome):
        text = f"real QEMU says {real.outcome}, the simulated one {simulated.outcome}"
        return (Finding(_OUTCOME, Severity.ERROR, text),)
    return tuple(_differing_lines(real.messages, simulated.messages))


def _differing_lines(real: Sequence[str], simulated: Sequence[str]) -> Iterator[Finding]:
    for number in range(max(len(real), len(simulated))):
        theirs = repr(real[number]) if number < len(real) else "nothing more"
        ours = repr(simulated[number]) if number < len(simulated) else "nothing more"
        if theirs != ours:
            text = f"line {number + 1}: real QEMU prints {theirs}, the simulated one {ours}"
            yield Finding(_MESSAGES, Severity.WARNING, text)


def _corpus(options: argparse.Namespace, command: QemuCommand) -> Report:
    """Replay all streams and recipes of a folder; print a table, and write JUnit XML if requested."""
    if options.then or options.again:
        raise ConfigurationError("--then and --again are for one stream, not for --corpus")
    expectation = given(options)
    corpus = Corpus(Path(options.corpus), [Path(path) for path in options.base])
    if not corpus.entries:
        raise ConfigurationError(f"{options.corpus}: no streams or recipes found")
    targets: list[Target] = [Real(command, timeout=options.timeout)]
    try:
        release = identify(command.program).release
        targets.append(Simulated(shlex.join([f"qemu-{release}", *command.arguments])))
    except ConfigurationError as error:
        note = Finding(
            _NOT_COMPARED, Severity.INFO, f"the simulator does not model this command line: {error}"
        )
        findings: tuple[Finding, ...] = (note,)
    else:
        findings = ()
    results: list[Replayed] = []
    with progress("replaying", len(corpus.entries)) as tick:
        for one in replayed(corpus, targets, expectation):
            results.append(one)
            tick(len(results))
    for target in targets:
        target.close()
    if options.junit is not None:
        suite = Suite(targets[0].name, tuple(one.as_case() for one in results))
        save(options.junit, [junit([suite])])
    fine = all(one.fine for one in results)
    answers = {"replays": [one.as_json() for one in results]}
    return Report(_table(results), answers, findings, ok=fine)


def _table(results: Sequence[Replayed]) -> Iterator[str]:
    style = Style.of(sys.stdout)
    width = max(len(one.name) for one in results)
    tally, compared, agreeing = Tally(), 0, 0
    for one in results:
        outcomes = ", ".join(f"{ran.target} {ran.answer.outcome}" for ran in one.runs) or one.error
        line = f"{one.name:<{width}}  {outcomes}{_met(one)}"
        yield line if one.fine else style.paint("red", line)
        yield from (f"    {difference}" for difference in one.unexpected or ())
        yield from (f"    {fault.kind}: {fault.signature}" for fault in one.faults)
        tally.count(None if one.expectation is None else one.unexpected if one.runs else (one.error,))
        compared += one.agrees is not None
        agreeing += one.agrees is True
    yield f"{agreeing} of {len(results)} agree with the simulator" if compared else _ALONE
    yield f"of {len(results)}: {tally}"


_ALONE = "not compared with the simulator"


def _met(one: Replayed) -> str:
    if one.expectation is None or not one.runs:
        return ""
    return ": NOT as expected" if one.unexpected else ": as expected"
