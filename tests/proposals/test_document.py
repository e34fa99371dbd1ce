"""docs/proposals.md: every rule and hook has an example, and each one has the result shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmstate.proposals.files import read_proposals, with_proposals
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.changes import HOOK_NAMES, RULE_NAMES
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import migrate

PAGE = (Path(__file__).parents[2] / "docs" / "proposals.md").read_text("utf-8")
_TEXTS = re.findall(r"```text\n(.*?)```", PAGE.split("## Declarations")[0], re.DOTALL)
PRELUDE = next(text for text in _TEXTS if "import" in text)
DECLARED = {"Capability", "Difference", "MachineType", "Subsection", "Host"}
EXAMPLES = {
    section.partition("\n")[0]: section for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
}
REST = "-nodefaults -m 256"


def printed(section, folder):
    """The lines that the page shows after an example: both command lines, the outcome, each side's lines."""
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]
    source, destination = re.search(r"^(.+) → (.+)$", section, re.MULTILINE).groups()
    file = folder / "mine.py"
    file.write_text(PRELUDE + "\n" + code)
    catalogue = with_proposals(CATALOGUE, *read_proposals(file))
    verdict = migrate(*(parse(f"{side} {REST}", catalogue) for side in (source, destination)))
    lines = [f"{source} → {destination}", str(verdict.outcome)]
    lines += [f"source: {line}" for line in verdict.source_messages]
    lines += [f"destination: {line}" for line in verdict.messages]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_the_result_shown(name, tmp_path):
    shown = re.findall(r"```text\n(.*?)```", EXAMPLES[name], re.DOTALL)
    assert shown == [printed(EXAMPLES[name], tmp_path)]


def test_every_rule_and_hook_has_an_example():
    assert set(EXAMPLES) == RULE_NAMES | HOOK_NAMES | DECLARED | {"description"}


def test_examples_are_short():
    for section in EXAMPLES.values():
        assert re.search(r"```python\n(.*?)```", section, re.DOTALL)[1].count("\n") <= 6
