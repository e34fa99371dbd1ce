"""Predictions of what real QEMUs said under KVM HV, nested KVM HV and KVM PR (fixtures/kvm)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.booted import guest_state
from tests.support.recorded import VERDICTS, answer, rows
from tests.support.share import ALL
from vmstate.containers import open_input
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration, configuration
from vmstate.pseries.tables.accelerators import read_host
from vmstate.simulate.guest import boot, migrate_guest
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import load, migrate

#: What boots in the hosts; its streams are of stopped guests, and the LPCR is the kernel's own.
GUEST = "linux-6.1"
NOT_COMPARED = {"lpcr", "run_state"}
KVM = VERDICTS.parent / "kvm"
HOSTS = {path.stem: read_host(path) for path in sorted((KVM / "hosts").glob("*.toml"))}
ROWS = list(rows("kvm"))
#: One row in so many is asked here, besides those below; ``tools/kvm-lab --recorded`` asks all.
SAMPLE = 1 if ALL else 8


def said(row: dict[str, Any]) -> str:
    """Return what the host's QEMUs said in the end."""
    found = row["load"] if row.get("save", {"ok": True})["ok"] else row["save"]
    return json.dumps(
        [row["host"], "stream" in row, "guest" in row, found.get("verdict"), found["stderr"][-2:]]
    )


#: Each thing that a host says, once.
TELLING = {said(row): number for number, row in enumerate(ROWS)}
ASKED = [ROWS[number] for number in sorted({*TELLING.values(), *range(0, len(ROWS), SAMPLE)})]


def side(host: str | None, recorded: dict[str, object]) -> Configuration:
    arguments = ["-nodefaults", *recorded["args"]]
    return configuration(recorded["release"], arguments, host=HOSTS[host] if host else None)


@pytest.mark.parametrize("host", HOSTS)
def test_migrations_on_a_host_end_as_recorded_with_the_same_lines(host):
    chosen = [row for row in ASKED if row["host"] == host and "stream" not in row and "guest" not in row]
    assert chosen
    for row in chosen:
        verdict = migrate(side(host, row["source"]), side(host, row["destination"]))
        ours = (str(verdict.outcome), verdict.source_messages, verdict.messages)
        if row["save"]["ok"]:
            outcome, lines = answer(row["load"])
            assert ours == (outcome, row["save"]["stderr"], lines), row
        else:
            assert ours == ("source-refused", row["save"]["stderr"], []), row


LOADED = dict.fromkeys(row["host"] for row in ASKED if "stream" in row)


@pytest.mark.parametrize("host", LOADED)
def test_streams_load_on_a_host_as_recorded_with_the_same_lines(host):
    chosen = [row for row in ASKED if row["host"] == host and "stream" in row]
    assert chosen
    for row in chosen:
        with open_input(KVM / "streams" / f"{row['stream']}.mig.zst") as stream:
            verdict = load(stream.data, side(host, row["destination"]))
        assert (str(verdict.outcome), verdict.messages) == answer(row["load"]), row


def test_a_guest_that_ends_its_qemu_ends_the_simulated_one_with_the_same_lines():
    chosen = [row for row in ROWS if "guest" in row and not row["save"]["ok"]]
    assert chosen
    for row in chosen:
        source, destination = (side(row["host"], row[name]) for name in ("source", "destination"))
        verdict = migrate_guest(source, destination, GUEST)
        assert (str(verdict.outcome), verdict.source_messages) == ("source-refused", row["save"]["stderr"])


BOOTED = [
    row
    for row in map(json.loads, (KVM / "streams" / "manifest.jsonl").read_text().splitlines())
    if row["booted_seconds"] is not None
]


@pytest.mark.parametrize("row", BOOTED, ids=lambda row: row["name"])
def test_a_guest_that_booted_under_kvm_leaves_the_same_state_as_a_simulated_one(row):
    with open_input(KVM / "streams" / f"{row['name']}.mig.zst") as stream:
        real = vars(guest_state(bytes(stream.data)))
    arguments = ["null" if word.startswith("file") else word for word in row["args"]]
    instance = Instance(build(configuration(row["release"], arguments, host=HOSTS[row["host"]])).machine)
    boot(instance, GUEST)
    simulated = vars(guest_state(instance.save()))
    compared = real.keys() - NOT_COMPARED
    assert {name: simulated[name] for name in compared} == {name: real[name] for name in compared}
