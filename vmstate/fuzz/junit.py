"""Results as JUnit XML, for continuous integration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from vmstate.fuzz.corpus import Replayed

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(suite: str, results: Sequence[Replayed]) -> bytes:
    """Return the results as one test suite: a case for each entry, a failure for each fault."""
    failed = sum(1 for one in results if one.faults)
    errors = sum(1 for one in results if one.error)
    seconds = sum(run.seconds for one in results for run in one.runs)
    root = Xml.Element("testsuites")
    counts = {"tests": len(results), "failures": failed, "errors": errors}
    texts = {name: str(count) for name, count in counts.items()}
    element = Xml.SubElement(root, "testsuite", {"name": suite, **texts, "time": f"{seconds:.3f}"})
    for one in results:
        took = sum(run.seconds for run in one.runs)
        attributes = {"name": _plain(one.name), "classname": suite, "time": f"{took:.3f}"}
        case = Xml.SubElement(element, "testcase", attributes)
        if one.error:
            Xml.SubElement(case, "error", {"message": _plain(one.error)})
        for fault in one.faults:
            message = _plain(f"{fault.kind}: {fault.signature}")
            failure = Xml.SubElement(case, "failure", {"type": str(fault.kind), "message": message})
            failure.text = _plain(fault.text)
        out = Xml.SubElement(case, "system-out")
        out.text = _plain("\n".join(line for run in one.runs for line in run.lines()))
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def _plain(text: str) -> str:
    """Replace the characters that XML cannot hold."""
    return _NOT_XML.sub("?", text)
