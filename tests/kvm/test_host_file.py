"""Host files made of what a KVM answers (vmstate/kvm; ``vmstate host``)."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import pytest

from tests.support.recorded import VERDICTS
from vmstate import cli
from vmstate.errors import ConfigurationError
from vmstate.kvm.answers import Answers, Characteristics, Register, VirtualMachine, read_answers
from vmstate.kvm.host_file import KEYS, host_file, observed, values
from vmstate.pseries.tables.accelerators import host_from, shipped_hosts

KVM = VERDICTS.parent / "kvm"
#: Where a KVM ran whose answers do not say it: the first three.
LEVELS = {"p8-pr": 1, "p9-hv": 0, "p9-nested": 1}
RECORDED = sorted((KVM / "answers").glob("*.txt"))


def bit(number: int) -> int:
    return 1 << (63 - number)


def answers(path):
    return read_answers(path.read_text().splitlines())


def a_host(family_pvr: int = 0x004E1202, **changed):
    machine = VirtualMachine({"PPC_MMU_RADIX": 1}, **changed)
    facts = {"mfpvr": f"{family_pvr:#010x}", "platform": "PowerNV", "kernel": "6.1"}
    return observed(Answers(facts, {"NR_VCPUS": 8, "MAX_VCPUS": 64}, {0: machine, 1: machine}))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_host_files_of_recorded_hosts_are_what_their_answers_make(path):
    made = observed(answers(path), level=LEVELS.get(path.stem))
    declared = tomllib.loads("\n".join(host_file(made)))
    assert declared == tomllib.loads((KVM / "hosts" / f"{path.stem}.toml").read_text())
    assert host_from("x", declared) == host_from("x", values(made))


def test_every_recorded_host_has_answers():
    assert {path.stem for path in RECORDED} == {path.stem for path in (KVM / "hosts").glob("*.toml")}


def test_every_line_of_a_host_file_says_where_its_value_comes_from():
    lines = list(host_file(a_host()))
    assert len(lines) == len(KEYS) + 1
    assert all(line.partition("#")[2].strip() for line in lines)


@pytest.mark.parametrize(
    ("pvr", "said", "expected"),
    [
        (0x004E1202, Characteristics(), (0, 0, 0, 0)),
        (0x004E1202, Characteristics(0, 0, 0, bit(1) | bit(2)), (2, 2, 0, 0)),
        (0x004E1202, Characteristics(bit(2), bit(2)), (0, 0, 0, 0)),
        (0x004E1202, Characteristics(bit(2) | bit(4), bit(2) | bit(4)), (1, 0, 0, 0)),
        (0x004D0200, Characteristics(bit(2), bit(2)), (1, 0, 0, 0)),
        (0x004D0200, Characteristics(bit(2), 0), (0, 0, 0, 0)),
        (0x004E1202, Characteristics(bit(0) | bit(9), bit(0) | bit(9)), (0, 1, 0, 1)),
        (0x004E1202, Characteristics(0, bit(1) | bit(7), 0, bit(5)), (0, 0, 16, 0)),
        (0x004E1202, Characteristics(0, bit(7), 0, bit(5)), (0, 0, 0, 0)),
        (0x004E1202, Characteristics(bit(7), bit(7), bit(5), bit(5)), (0, 0, 1, 0)),
        (0x004E1202, Characteristics(bit(7) | bit(1), bit(7) | bit(1)), (0, 0, 3, 0)),
        (0x004E1202, Characteristics(bit(1), bit(1)), (0, 0, 2, 0)),
    ],
)
def test_protections_are_those_that_qemu_makes_of_the_characteristics(pvr, said, expected):
    made = values(a_host(pvr, characteristics=said))
    assert tuple(made[key] for key in ("cfpc", "sbbc", "ibs", "ccf_assist")) == expected


def writes(*taken: int, refused: tuple[int, ...] = (), read: int | None = None) -> list[Register]:
    """Accesses to the compat register: those that it takes, reading each back, and those that it refuses."""
    found = []
    for mode in taken:
        found += [Register("set", "ARCH_COMPAT", mode, "ok")]
        found += [Register("get", "ARCH_COMPAT", mode if read is None else read, "ok")]
    return found + [Register("set", "ARCH_COMPAT", mode, "Invalid argument") for mode in refused]


P8, P9, P10 = 0x0F000004, 0x0F000005, 0x0F000006


@pytest.mark.parametrize(
    ("registers", "register", "limit"),
    [
        (writes(P8, P9, refused=(P10,)), "handled", ""),
        (writes(P8, refused=(P9, P10)), "handled", "power8"),
        (writes(P8, P9, P10, read=0), "ignored", ""),
        (writes(refused=(P8, P9, P10)), "absent", ""),
    ],
)
def test_the_compat_register_says_which_modes_a_guest_can_have(registers, register, limit):
    made = values(a_host(registers=registers))
    assert (made["compat_register"], made["compat_limit"]) == (register, limit)


@pytest.mark.parametrize(("lpcr", "on"), [(0x41F, True), (0x1F, False)])
def test_gtse_is_a_bit_of_the_lpcr(lpcr, on):
    assert values(a_host(registers=[Register("get", "LPCR_64", lpcr, "ok")]))["lpcr_gtse"] is on


def test_answers_that_do_not_say_which_kvm_or_where_need_to_be_completed():
    made = a_host()
    both = replace(made.answers, machines={0: made.machine, 1: made.machine, 2: made.machine})
    with pytest.raises(ConfigurationError, match="give the flavour"):
        observed(both)
    assert observed(both, flavour="pr").flavour == "pr"
    nowhere = replace(made.answers, facts={"mfpvr": "0x004e1202"})
    with pytest.raises(ConfigurationError, match="give the level"):
        observed(nowhere)
    assert observed(nowhere, level=2).level == 2
    with pytest.raises(ConfigurationError, match="no VM was asked for"):
        read_answers(["kernel 6.1"])
    with pytest.raises(ConfigurationError, match="PVR 0x12340000"):
        a_host(0x12340000)


def test_a_kernel_that_creates_no_vm_is_a_host_without_kvm_guests():
    made = observed(answers(KVM / "answers" / "p9-nested-compat8.txt"))
    assert (made.flavour, made.level, values(made)["creates_vm"]) == ("hv", 1, False)
    assert not host_from("x", values(made)).creates_vm
    assert values(a_host())["creates_vm"]


def test_the_command_makes_a_host_that_a_migration_can_use(tmp_path, capsys):
    made = tmp_path / "mine.toml"
    assert cli.main(["host", "--from-answers", str(RECORDED[0]), "--level", "0", "-o", str(made)]) == 0
    line = f"{made}: qemu-7.2 -nodefaults -machine pseries-7.2,accel=kvm,cap-htm=on -cpu host"
    assert cli.main(["migrate", line, "qemu-7.2"]) == 1
    assert "does not support Transactional Memory" in capsys.readouterr().out
    assert cli.main(["host", str(made)]) == 0
    assert "recommended_vcpus  1" in " ".join(capsys.readouterr().out.split("  ")).replace(" 1", "  1")


def test_the_command_lists_and_shows_hosts(capsys):
    assert cli.main(["host", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["result"]["hosts"]) == set(shipped_hosts())
    assert cli.main(["host", "p9-hv", "p8-pr"]) == 0
    assert "0x004e1202" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["p99"],
        ["--answers", "x"],
        ["--from-answers", "x", "--answers", "y"],
        ["p9-hv", "--probe"],
        ["x.toml"],
    ],
)
def test_the_command_refuses_what_it_cannot_do(words, capsys):
    assert cli.main(["host", *words]) == 2
    assert capsys.readouterr().err
