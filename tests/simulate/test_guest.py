"""Booted guests: captured streams, calls to real QEMU, and loads, compared with the simulated guest."""

from __future__ import annotations

import json

import pytest

from tests.support import corpus
from tests.support.booted import guest_state
from tests.support.machines import command
from tests.support.recorded import answer, rows, side
from vmstate.cli import main
from vmstate.errors import ConfigurationError
from vmstate.pseries.cas.client_architecture import ArchitectureCall
from vmstate.pseries.cas.negotiation import NO_XICS, platform_support
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration, parse
from vmstate.pseries.tables.compat import LOGICAL_2_07, LOGICAL_3_00, LOGICAL_3_10
from vmstate.pseries.tables.option_vectors import bitmap_of, bits_of_bitmap
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.guest import boot, call_cas, migrate_guest
from vmstate.simulate.instance import Instance

BOOTED = sorted(name for name in corpus.manifest() if "-booted-" in name)
OTHER_RUN_STATES = ("guest-panicked", "paused")
#: Neither the kernel nor the console of the older streams was recorded: the negotiated options mean a kernel
#: between 5.15 and 6.8.
OLDER = "linux-6.1"


def source(name):
    row = corpus.manifest()[name]
    console = [] if "guest" in row else ["-serial", "null"]
    return configuration(row["release"], [*row["args"], *console])


def guest_of(name):
    return corpus.manifest()[name].get("guest", OLDER)


def running(text):
    start = build(parse(text) if isinstance(text, str) else text)
    assert start.machine is not None, start.messages
    return Instance(start.machine)


def after(text, guest):
    instance = running(text)
    return boot(instance, guest), instance


@pytest.mark.parametrize("name", BOOTED)
def test_a_booted_guest_leaves_the_same_state_in_real_and_simulated_streams(name):
    real = guest_state(corpus.load(name))
    _, instance = after(source(name), guest_of(name))
    simulated = guest_state(instance.save())
    if real.run_state.decode() in OTHER_RUN_STATES:
        real = type(real)(**{**vars(real), "run_state": simulated.run_state})
    assert simulated == real


def test_streams_of_booted_and_of_simulated_guests_load_alike():
    wrong, count = [], 0
    for row in (*rows("loads"), *rows("booted-loads")):
        if "-booted-" in row["stream"]:
            verdict = migrate_guest(source(row["stream"]), side(row["destination"]), guest_of(row["stream"]))
            count += 1
            if (str(verdict.outcome), verdict.messages) != answer(row["load"]):
                wrong.append(row["load"]["stderr"])
    # The contents of the guest's SLB are not simulated.
    assert [
        lines for lines in wrong if not any("Bad page size encoding in SLB" in line for line in lines)
    ] == []
    assert (count, len(wrong)) == (226, 1)


def predicted(row):
    start = build(configuration(row["release"], row["args"]))
    assert start.machine is not None
    instance = Instance(start.machine)
    outcome = call_cas(instance, ArchitectureCall.parse(bytes.fromhex(row["call"])))
    messages = [*start.messages, *outcome.messages]
    if outcome.ended:
        return {"ended": True, "messages": messages}
    seen = guest_state(instance.save())
    return {
        "ended": False,
        "messages": messages,
        "refused": outcome.refused,
        "ov5": None if seen.ov5 is None else sorted(bits_of_bitmap(seen.ov5)),
        "modes": [seen.modes.get(cpu) for cpu in sorted(seen.lpcr)],
        "pcr": [seen.pcr[cpu] for cpu in sorted(seen.lpcr)],
        "htab": seen.htab.hex(),
        "patb_entry": seen.table,
    }


CALLS = list(rows("cas-calls"))


@pytest.mark.parametrize("release", sorted({row["release"] for row in CALLS}))
def test_calls_of_a_bare_guest_end_as_in_real_qemu(release):
    asked = [row for row in CALLS if row["release"] == release]
    wrong = [(row, predicted(row)) for row in asked if predicted(row) != row["answer"]]
    assert wrong == []


@pytest.mark.parametrize(
    ("machine", "cpu", "guest", "mode", "mmu", "interrupts"),
    [
        ("pseries-7.2", "power9", "linux-6.1", LOGICAL_3_00, "radix", "xive"),
        ("pseries-7.2", "power9", "linux-4.9", LOGICAL_2_07, "hash", "xics"),
        ("pseries-7.2", "power9", "linux-4.12", LOGICAL_3_00, "radix", "xics"),
        ("pseries-7.2", "power10", "linux-5.4", LOGICAL_3_00, "radix", "xive"),
        ("pseries-7.2", "power10", "linux-6.1", LOGICAL_3_10, "radix", "xive"),
        ("pseries-7.2,max-cpu-compat=power8", "power10", "linux-6.1", LOGICAL_2_07, "hash", "xics"),
        ("pseries-7.2", "power9", "linux-6.1 disable_radix xive=off", LOGICAL_3_00, "hash", "xics"),
        ("pseries-7.2,ic-mode=xive", "power9", "linux-6.1 xive=off", LOGICAL_3_00, "radix", "xive"),
        ("pseries-2.9", "power8", "linux-6.1", LOGICAL_2_07, "hash", "xics"),
    ],
)
def test_what_a_kernel_negotiates(machine, cpu, guest, mode, mmu, interrupts):
    outcome, _ = after(command(machine, rest=f"-cpu {cpu} -m 512"), guest)
    assert (outcome.compat_pvr, outcome.mmu, outcome.interrupts) == (mode, mmu, interrupts)
    assert outcome.messages == ()


def test_an_old_kernel_on_a_machine_with_only_xive_ends_qemu():
    only_xive = command("pseries-7.2,ic-mode=xive", rest="-cpu power9 -m 512")
    verdict = migrate_guest(only_xive, only_xive, "linux-4.9")
    assert verdict.outcome == Outcome.SOURCE_REFUSED
    assert verdict.source_messages == [NO_XICS]


def test_a_guest_with_a_negotiated_mode_can_migrate_where_a_raw_one_cannot():
    here = command("pseries-7.2,ic-mode=xics,max-cpu-compat=power8", rest="-cpu power9 -m 512")
    there = command("pseries-7.2,ic-mode=xics", rest="-cpu power8 -m 512")
    assert migrate_guest(here, there, "linux-6.1").outcome == Outcome.ACCEPT
    newer = command("pseries-7.2,ic-mode=xics", rest="-cpu power9 -m 512")
    assert (
        migrate_guest(newer, there, "linux-6.1")
        .messages[0]
        .startswith("Compatibility PVR 0x0f000005 not valid for CPU")
    )


def test_2_9_announces_no_support_and_4_2_reboots_for_xive():
    assert (
        platform_support(running("qemu-2.9.1 -nodefaults -machine pseries-2.9 -cpu POWER9 -m 512").machine)
        == {}
    )
    options = "cap-htm=off,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
    dual = f"-nodefaults -machine pseries-4.1,{options} -cpu power9 -m 512"
    assert after(f"qemu-4.2.1 {dual}", "linux-6.1")[0].rebooted
    assert not after(f"qemu-5.2 {dual}", "linux-6.1")[0].rebooted


def test_a_migration_of_a_booted_guest_on_the_command_line(capsys):
    machine = command("pseries-7.2", rest="-cpu power9 -m 512")
    assert main(["migrate", "--guest", "linux-6.12 disable_radix", machine, machine]) == 0
    assert "accepted" in capsys.readouterr().out
    assert main(["migrate", "--guest", "minix", machine, machine]) == 2
    assert "no such kernel" in capsys.readouterr().err


def test_a_batch_of_booted_guests(capsys, tmp_path):
    machine = command("pseries-7.2,ic-mode=xive", rest="-cpu power9 -m 512")
    file = tmp_path / "rows.jsonl"
    guests = ("linux-6.1", "linux-4.9", "minix")
    lines = [json.dumps({"source": machine, "destination": machine, "guest": guest}) for guest in guests]
    file.write_text("\n".join(lines))
    main(["migrate", "--batch", str(file)])
    answers = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [answer.get("outcome") for answer in answers] == ["accept", "source-refused", None]
    assert "no such kernel" in answers[2]["error"]


def test_a_malformed_guest_is_refused():
    with pytest.raises(ConfigurationError):
        boot(running(command("pseries-7.2")), "linux-6.1 'unclosed")


def test_the_stream_has_the_bitmap_of_the_negotiated_bits():
    outcome, instance = after(command("pseries-7.2", rest="-cpu power9 -m 512"), "linux-6.1")
    assert guest_state(instance.save()).ov5 == bitmap_of(outcome.ov5)
