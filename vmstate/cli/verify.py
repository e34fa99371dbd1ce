"""``vmstate verify``: check everything about streams that needs no destination."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vmstate.cli.common_options import add_limit
from vmstate.cli.report import Report, failure
from vmstate.cli.terminal import progress
from vmstate.compare.verify import Verified
from vmstate.dataclass import dataclass, replace
from vmstate.errors import Finding, Severity, VmstateError
from vmstate.front.opening import open_stream_file
from vmstate.front.verification import verify

EXAMPLES = (
    ("check one stream, or many", "vmstate verify guest.mig other.mig"),
    ("only the exit status", "vmstate verify --quiet guest.mig"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("streams", metavar="STREAM", nargs="+", help='streams; "-" is the standard input')
    add_limit(parser)


@dataclass(frozen=True)
class _Result:
    name: str
    size: int
    verified: Verified
    unusable: bool = False


def run(options: argparse.Namespace) -> Report:
    """Verify each stream; the status is 2 if one cannot be opened."""
    results = [_one(name, options.limit) for name in options.streams]
    several = len(results) > 1
    findings = [
        replace(finding, message=f"{result.name}: {finding.message}") if several else finding
        for result in results
        for finding in result.verified.findings
    ]
    return Report(
        _lines(results),
        {"streams": [_as_json(result) for result in results]},
        findings,
        unusable=any(result.unusable for result in results),
    )


def _one(name: str, limit: int | None) -> _Result:
    try:
        given = open_stream_file(name, limit=limit, whole=False)
        size = len(given.data)
        with progress("verifying", size) as tick:
            return _Result(name, size, verify(given, tick=tick))
    except (VmstateError, OSError) as error:
        return _Result(name, 0, Verified(tuple(failure(error).findings)), unusable=True)


def _lines(results: list[_Result]) -> Iterator[str]:
    for result in results:
        verified = result.verified
        if result.unusable:
            yield f"{result.name}: unusable"
            continue
        word = "fine" if verified.fine else "not fine"
        counts = _counts(verified.findings)
        facts = [f"{result.size} bytes", f"{verified.sections} sections"]
        if verified.described:
            facts.append(f"{verified.described} described by the vmdesc")
        if verified.agreed:
            facts.append(f"{verified.agreed} just as we declare them")
        if verified.releases:
            facts.append(f"as by QEMU {_range(verified)}")
        yield f"{result.name}: {word}: {', '.join(facts)}{counts}"


def _range(verified: Verified) -> str:
    first, last = str(verified.releases[0]), str(verified.releases[-1])
    return first if first == last else f"{first} … {last}"


def _counts(findings: tuple[Finding, ...]) -> str:
    parts = []
    for severity in Severity:
        count = sum(finding.severity == severity for finding in findings)
        if count:
            plural = "" if count == 1 or severity == Severity.INFO else "s"
            parts.append(f"{count} {severity}{plural}")
    return f"; {', '.join(parts)}" if parts else ""


def _as_json(result: _Result) -> dict[str, object]:
    verified = result.verified
    return {
        "stream": result.name,
        "ok": verified.fine and not result.unusable,
        "bytes": result.size,
        "sections": verified.sections,
        "described": verified.described,
        "agreed": verified.agreed,
        "releases": [str(release) for release in verified.releases],
        "findings": [finding.as_json() for finding in verified.findings],
    }
