"""``vmstate replay``: load a stream in a real QEMU, and compare the verdict with the simulated one."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, progress
from vmstate.containers import Opened, open_input
from vmstate.errors import ConfigurationError, Finding, Severity
from vmstate.fuzz.corpus import Corpus, Replayed, replayed
from vmstate.fuzz.junit import junit
from vmstate.fuzz.targets import Real, Simulated, Target
from vmstate.qemu import QemuCommand, RealOutcome, RealVerdict, identify, replay
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.migration import load


def configure(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--junit", metavar="OUT.xml", help="also write the results of --corpus as JUnit XML")
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
    parser.add_argument(
        "qemu",
        nargs="+",
        metavar="COMMAND",
        help="after --: the destination's command line",
    )


def run(options: argparse.Namespace) -> Report:
    """Load the stream in the real QEMU, then in the simulated one of its release; report differences."""
    if options.corpus is not None:
        if options.stream is not None:  # it belongs to the command line
            options.qemu = [options.stream, *options.qemu]
        return _corpus(options, QemuCommand.parse(options.qemu))
    if options.stream is None:
        raise ConfigurationError("a stream is required (or --corpus FOLDER)")
    command = QemuCommand.parse(options.qemu)
    with open_input(options.stream) as opened:
        real = replay(
            _for_qemu(options.stream, opened),
            command,
            capabilities=options.capability,
            timeout=options.timeout,
        )
        simulated = _simulated(opened, command)
        findings = [*opened.findings, *differences(real, simulated)]
    simulated_json = simulated.as_json() if isinstance(simulated, Verdict) else None
    result = {**real.as_json(), "simulated": simulated_json}
    agreed = not any(finding.rule in (_OUTCOME, _MESSAGES) for finding in findings)
    return Report(
        lines=_lines(real, simulated),
        result=result,
        findings=findings,
        ok=real.outcome == RealOutcome.ACCEPT and agreed,
    )


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


def _lines(real: RealVerdict, simulated: Verdict | ConfigurationError) -> Iterator[str]:
    style = Style.of(sys.stdout)
    yield style.paint("green" if real.outcome == RealOutcome.ACCEPT else "red", f"real QEMU: {real.outcome}")
    yield from (f"  {message}" for message in real.messages)
    if isinstance(simulated, Verdict):
        yield f"simulated: {simulated.outcome}"


def _corpus(options: argparse.Namespace, command: QemuCommand) -> Report:
    """Replay all streams and recipes of a folder; print a table, and write JUnit XML if requested."""
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
        for one in replayed(corpus, targets):
            results.append(one)
            tick(len(results))
    for target in targets:
        target.close()
    if options.junit is not None:
        Path(options.junit).write_bytes(junit(targets[0].name, results))
    fine = all(one.passed for one in results)
    return Report(_table(results), [one.as_json() for one in results], findings, ok=fine)


def _table(results: Sequence[Replayed]) -> Iterator[str]:
    style = Style.of(sys.stdout)
    width = max(len(one.name) for one in results)
    for one in results:
        outcomes = ", ".join(f"{ran.target} {ran.answer.outcome}" for ran in one.runs) or one.error
        line = f"{one.name:<{width}}  {outcomes}"
        yield line if one.passed else style.paint("red", line)
        yield from (f"    {fault.kind}: {fault.signature}" for fault in one.faults)
    passed = sum(one.passed for one in results)
    yield f"{passed} of {len(results)} passed"
