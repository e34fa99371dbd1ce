"""Predictions of what real QEMUs said under KVM HV, nested KVM HV and KVM PR (fixtures/kvm)."""

from __future__ import annotations

import pytest

from tests.support.recorded import VERDICTS, answer, rows
from vmstate.containers import open_input
from vmstate.pseries.startup.command_line import Configuration, configuration
from vmstate.pseries.tables.accelerators import read_host
from vmstate.simulate.migration import load, migrate

KVM = VERDICTS.parent / "kvm"
HOSTS = {path.stem: read_host(path) for path in sorted((KVM / "hosts").glob("*.toml"))}
ROWS = list(rows("kvm"))


def side(host: str | None, recorded: dict[str, object]) -> Configuration:
    arguments = ["-nodefaults", *recorded["args"]]
    return configuration(recorded["release"], arguments, host=HOSTS[host] if host else None)


@pytest.mark.parametrize("host", HOSTS)
def test_migrations_on_a_host_end_as_recorded_with_the_same_lines(host):
    chosen = [row for row in ROWS if row["host"] == host and "stream" not in row]
    assert len(chosen) > 50
    for row in chosen:
        verdict = migrate(side(host, row["source"]), side(host, row["destination"]))
        said = (str(verdict.outcome), verdict.source_messages, verdict.messages)
        if row["save"]["ok"]:
            outcome, lines = answer(row["load"])
            assert said == (outcome, row["save"]["stderr"], lines), row
        else:
            assert said == ("source-refused", row["save"]["stderr"], []), row


@pytest.mark.parametrize("host", [*HOSTS, None])
def test_streams_load_on_a_host_as_recorded_with_the_same_lines(host):
    chosen = [row for row in ROWS if row["host"] == host and "stream" in row]
    assert chosen
    for row in chosen:
        with open_input(KVM / "streams" / f"{row['stream']}.mig.zst") as stream:
            verdict = load(stream.data, side(host, row["destination"]))
        assert (str(verdict.outcome), verdict.messages) == answer(row["load"]), row
