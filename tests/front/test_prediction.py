"""vmstate.load and vmstate.migrate: what they predict, and that they explain it as the commands do."""

from __future__ import annotations

import shlex

import pytest

import vmstate
from tests.support import corpus
from vmstate.cli import main

NAME = "7.2-max-compat-power8"
TYPES = ("qemu-10.0 -nodefaults -machine pseries-10.0", "qemu-11.1 -nodefaults -machine pseries-11.1")


def test_a_migration_between_machine_types_is_rejected_with_reasons():
    verdict = vmstate.migrate(*TYPES)
    assert not verdict.accepted
    assert verdict.outcome == "reject"
    assert "Machine type received" in verdict.messages[-1]
    assert verdict.decided_by is not None
    assert (verdict.decided_by.incoming, verdict.decided_by.local) == ("pseries-10.0", "pseries-11.1")
    assert verdict.source_messages
    assert [one.change for one in verdict.remedies()] == ["-machine pseries-10.0"]
    assert "reject" in repr(verdict)
    assert str(verdict).startswith("rejected\n")


@pytest.mark.parametrize("sides", [TYPES, (TYPES[0], TYPES[0])])
def test_the_explanation_is_the_text_of_the_command(sides, capsys):
    main(["explain", *sides])
    assert vmstate.migrate(*sides).explain() + "\n" == capsys.readouterr().out


def test_json_is_that_of_the_command(capsys):
    import json

    main(["migrate", "--json", "--trace", *TYPES])
    [result] = json.loads(capsys.readouterr().out)["result"]["migrations"]
    for side, text in zip(("source", "destination"), TYPES, strict=True):
        assert result.pop(side).partition(" ")[2] == text.partition(" ")[2]
    verdict = vmstate.migrate(*TYPES, trace=True)
    assert json.loads(json.dumps(verdict.as_json())) == result
    assert any(not check.passed for check in verdict.trace)
    assert vmstate.migrate(*TYPES).trace == []


def test_a_guest_may_have_booted():
    source = "qemu-7.2 -nodefaults -machine pseries-7.2"
    verdict = vmstate.migrate(source, source, guest="linux-6.1")
    assert verdict.accepted
    assert verdict.remedies() == []


def test_a_shipped_proposal_is_known_by_name():
    from vmstate.proposals.files import shipped_proposals

    name = shipped_proposals()[0].name
    with pytest.raises(vmstate.ConfigurationError):
        vmstate.migrate("qemu-4.2+no-such-proposal -machine pseries-4.2", "qemu-4.2 -machine pseries-4.2")
    assert name


@pytest.mark.parametrize("trace", [False, True])
def test_a_stream_is_loaded_from_wherever_it_is(trace, tmp_path):
    on = shlex.join(["qemu-7.2", *corpus.manifest()[NAME]["args"]])
    path = tmp_path / "stream"
    path.write_bytes(corpus.load(NAME))
    with vmstate.open(path) as stream:
        sources = (stream, path, str(path), path.read_bytes())
        verdicts = [vmstate.load(one, on=on, trace=trace) for one in sources]
        assert len({verdict.explain() for verdict in verdicts}) == 1
        assert verdicts[0].accepted
        del stream["spapr"]
        stream["configuration.name"] = "pseries-7.1"
        verdict = vmstate.load(stream, on=on)
    assert not verdict.accepted
    assert verdict.remedies() == []


@pytest.mark.parametrize(
    "text", ["qemu-99.0 -machine pseries", "qemu-7.2 -machine pseries -vga qxl", "", "nonsense"]
)
def test_a_command_line_that_is_not_modelled_is_refused(text):
    with pytest.raises(vmstate.ConfigurationError):
        vmstate.load(corpus.load(NAME), on=text)
    with pytest.raises(vmstate.ConfigurationError):
        vmstate.migrate(text, TYPES[0])
