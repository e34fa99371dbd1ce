"""Programs with the patches built in behave as the proposals predict, line by line."""

from __future__ import annotations

import re
from functools import lru_cache

import pytest

from tests.support.recorded import rows
from vmstate.pseries.startup.command_line import parse
from vmstate.scenarios.running import catalogue
from vmstate.simulate.guest import boot
from vmstate.simulate.migration import receive, send

SUBSECTIONS = re.compile(rb"\x05.(spapr/cap/[a-z0-9_]+|cpu/compat)", re.DOTALL)

#: Known differences: a text in the command line or the lines, and the reason.
KNOWN = {
    "spapr_irq_find: Assertion `ics' failed.": "old types with cap-xics=off die before they can refuse",
}


@lru_cache(maxsize=1)  # a stream takes megabytes; rows are sorted by their source
def sent(command, guest):
    before = (lambda instance: boot(instance, guest)) if guest else None
    return send(parse(command, catalogue()), before)


def predicted(row):
    source = sent(row["source"], row.get("guest"))
    if source.stream is None:
        return {"outcome": "source-refused", "source_messages": source.messages, "messages": []}
    verdict = receive(source.stream, parse(row["destination"], catalogue())).verdict
    names = [name.decode() for name in SUBSECTIONS.findall(source.stream)]
    return {
        "outcome": str(verdict.outcome),
        "source_messages": source.messages,
        "messages": verdict.messages,
        "sent": sorted(names),
    }


def recorded(row):
    """Treat a crash as a reject; the C library's messages about it depend on the library.

    A guest that chooses XIVE makes the machine reset, which prints the warnings of the start once more.
    """
    answer = {key: row[key] for key in ("outcome", "source_messages", "messages")}
    if "guest" in row:
        answer["source_messages"] = list(dict.fromkeys(row["source_messages"]))
    if "sent" in row:
        answer["sent"] = sorted(row["sent"])
    if answer["outcome"].startswith("crash"):
        answer["outcome"] = "reject"
        answer["messages"] = [*answer["messages"], "double free or corruption (fasttop)"]
    return answer


def known(row):
    texts = (row["source"], *row["source_messages"])
    return any(part in text for part in KNOWN for text in texts)


@pytest.mark.parametrize("name", ["htm", "makecheck", "compat", "xive", "caps", "downstream", "booted"])
def test_patched_programs_did_what_the_proposals_predict(name):
    asked = sorted((row for row in rows("proposals") if row["set"] == name), key=lambda row: row["source"])
    assert asked
    found = [(row, predicted(row)) for row in asked if not known(row)]
    assert [(row, answer) for row, answer in found if answer != recorded(row)] == []


def test_little_is_left_out():
    asked = list(rows("proposals"))
    assert sum(map(known, asked)) <= 0.01 * len(asked)
