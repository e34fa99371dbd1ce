"""Results as JUnit XML, for continuous integration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from vmstate.dataclass import dataclass

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Failure:
    """Why a case failed: its kind, one line, and all that is known."""

    kind: str
    message: str
    text: str = ""


@dataclass(frozen=True)
class Case:
    """One result.  ``error``: why there is none; ``skipped``: why none was asked for; ``output``: lines."""

    name: str
    failures: tuple[Failure, ...] = ()
    error: str = ""
    skipped: str = ""
    output: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Suite:
    """The cases of one kind."""

    name: str
    cases: tuple[Case, ...]


def junit(suites: Iterable[Suite]) -> bytes:
    """Return the suites as XML; characters that XML cannot hold become question marks."""
    root = Xml.Element("testsuites")
    for suite in suites:
        _add(root, suite)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _add(root: Xml.Element, suite: Suite) -> None:
    counts = {
        "tests": len(suite.cases),
        "failures": sum(1 for case in suite.cases if case.failures),
        "errors": sum(1 for case in suite.cases if case.error),
        "skipped": sum(1 for case in suite.cases if case.skipped),
    }
    seconds = sum(case.seconds for case in suite.cases)
    words = {name: str(count) for name, count in counts.items()}
    name = _plain(suite.name)
    element = Xml.SubElement(root, "testsuite", {"name": name, **words, "time": f"{seconds:.3f}"})
    for case in suite.cases:
        attributes = {"name": _plain(case.name), "classname": name, "time": f"{case.seconds:.3f}"}
        one = Xml.SubElement(element, "testcase", attributes)
        if case.error:
            Xml.SubElement(one, "error", {"message": _plain(case.error)})
        if case.skipped:
            Xml.SubElement(one, "skipped", {"message": _plain(case.skipped)})
        for failure in case.failures:
            words = {"type": _plain(failure.kind), "message": _plain(failure.message)}
            Xml.SubElement(one, "failure", words).text = _plain(failure.text)
        if case.output:
            Xml.SubElement(one, "system-out").text = _plain(case.output)


def _plain(text: str) -> str:
    return _NOT_XML.sub("?", text)
