"""Vendors' packages of QEMU: their types start, differ from upstream's where they say so, and migrate."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

from vmstate.errors import ConfigurationError, DeclarationError, NotModelled
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.tables.machine_class import ClassFlags, MachineType
from vmstate.pseries.tables.packages import Package
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import migrate

PACKAGES = {package.name: package for package in CATALOGUE.packages}
OWN = [(package.name, type_.name) for package in CATALOGUE.packages for type_ in package.types]
#: The levels that TCG accepts, of the capabilities that a release has.
QUIET = {"cfpc": "broken", "sbbc": "broken", "ibs": "broken", "ccf-assist": "off", "htm": "off"}


def line(package: str, type_: str) -> str:
    """A command line under TCG with every capability that TCG cannot give at its lowest level."""
    binary = CATALOGUE.fork(package).binary(PACKAGES[package].base)
    levels = "".join(f",cap-{c.name}={QUIET[c.name]}" for c in binary.capabilities if c.name in QUIET)
    return f"{PACKAGES[package].program} -nodefaults -machine {type_}{levels}"


def verdict(source: str, destination: str):
    return migrate(parse(source), parse(destination))


@pytest.mark.parametrize(("package", "type_"), OWN)
def test_every_type_of_a_package_starts_without_a_word_and_migrates_to_itself(package, type_):
    answer = verdict(line(package, type_), line(package, type_))
    assert (answer.outcome, answer.source_messages, answer.messages) == (Outcome.ACCEPT, [], [])


@pytest.mark.parametrize("package", PACKAGES)
def test_pseries_means_the_default_type_of_the_package(package):
    named = PACKAGES[package]
    assert build(parse(line(package, "pseries"))).machine.type_name == named.default_type
    assert named.has_type(named.default_type)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_where_it_was_read(package):
    source = PACKAGES[package].source
    assert source.startswith("qemu")
    assert ".patch" in source
    assert re.search(r", 20[0-9]{2}-[01][0-9]-[0-3][0-9]\b", source)


# ---- what a type is, against the upstream type that it is like


def differences(package: str, type_: str, other: str) -> dict[str, object]:
    """Flags, levels and properties of a type that differ from those of another, as the package has both.

    A property that only one of them sets is None in the other.
    """
    named = PACKAGES[package]
    binary = CATALOGUE.fork(package).binary(named.base)
    own, its = binary.machine_class(type_), binary.machine_class(other)
    found = {
        f.name: getattr(own.flags, f.name)
        for f in fields(ClassFlags)
        if getattr(own.flags, f.name) != getattr(its.flags, f.name)
    }
    found |= {f"cap-{n}": level for n, level in own.default_caps.items() if level != its.default_caps[n]}
    for key in sorted({*own.compat_values, *its.compat_values}):
        if own.compat_values.get(key) != its.compat_values.get(key):
            found[".".join(key)] = own.compat_values.get(key)
    return found


@pytest.mark.parametrize(
    ("package", "type_"),
    [
        (package.name, type_)
        for package in CATALOGUE.packages
        if not package.only_own_types
        for type_ in package.types
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_ubuntus_types_are_upstreams_except_for_the_protected_one(package, type_):
    expected = {"cap-cfpc": 1, "cap-sbbc": 1, "cap-ibs": 3} if type_.name.endswith("bionic-sxxm") else {}
    assert differences(package, type_.name, type_.like or "pseries-2.12-sxxm") == expected


def test_up_to_cosmic_ubuntu_has_dynamic_dma_windows_in_2_6():
    for package in (name for name in PACKAGES if name.startswith("ubuntu-")):
        binary = CATALOGUE.fork(package).binary(PACKAGES[package].base)
        ddw = [binary.machine_class(f"pseries-{version}").flags.ddw for version in ("2.5", "2.6", "2.7")]
        early = package in {"ubuntu-artful", "ubuntu-bionic", "ubuntu-cosmic"}
        assert ddw == [False, early, True], package


_MAX = {"max_cpus": 384}


@pytest.mark.parametrize(
    ("type_", "like", "expected"),
    [
        ("rhel8.6.0", "6.2", {}),
        ("rhel8.5.0", "6.0", {}),
        ("rhel8.4.0", "5.2", {}),
        ("rhel8.3.0", "5.1", {}),
        ("rhel8.2.0", "4.2", {"cap-ccf-assist": 1}),
        ("rhel8.1.0", "4.1", {}),
        # The size of the balloon's configuration is of 4.0 and 3.1 in upstream's types only.
        (
            "rhel8.0.0",
            "3.1",
            {"cap-cfpc": 1, "cap-sbbc": 1, "cap-ibs": 1, "virtio-balloon-device.qemu-4-0-config-size": None},
        ),
        ("rhel7.6.0", "2.12", {"virtio-balloon-device.qemu-4-0-config-size": None}),
        (
            "rhel7.5.0",
            "2.10",
            {
                "cap-htm": 0,  # as pseries-2.12; upstream's 2.11 and older have it
                "e1000.migrate_tso_props": None,  # RHEL's is called e1000-82540em, and not built for POWER
                "virtio-balloon-device.qemu-4-0-config-size": None,
            },
        ),
        (
            "rhel7.4.0",
            "2.9",
            {
                "has_power9_support": False,
                "e1000.migrate_tso_props": None,
                "virtio-balloon-device.qemu-4-0-config-size": None,
            },
        ),
    ],
)
def test_a_type_of_rhel_differs_from_the_upstream_type_of_its_age_in_what_red_hat_says(type_, like, expected):
    found = differences("rhel-8.9", f"pseries-{type_}", f"pseries-{like}")
    assert found == {**_MAX, **expected}


# ---- Launchpad 1832622, comment 29: tested on POWER9 DD2.2 with 1:2.11+dfsg-1ubuntu7.18

BROKEN = "cap-ibs=broken"
FLUSH = "cap-ibs=workaround,cap-ccf-assist=off"
ASSISTED = "cap-ibs=workaround,cap-ccf-assist=on"
IBS = "warning: cap-ibs lower level (0) in incoming stream than on destination (1)"
CCF = "warning: cap-ccf-assist lower level (0) in incoming stream than on destination (1)"


def bionic(levels: str) -> str:
    return (
        "p9-hv: qemu-2.11.1+ubuntu-bionic -nodefaults -cpu host -machine "
        f"pseries-bionic,accel=kvm,cap-htm=off,max-cpu-compat=power9,{levels}"
    )


@pytest.mark.parametrize(
    ("source", "destination", "messages"),
    [(BROKEN, FLUSH, [IBS]), (BROKEN, ASSISTED, [IBS, CCF]), (BROKEN, BROKEN, [])],
)
def test_the_pairs_of_launchpad_1832622_come_out(source, destination, messages):
    answer = verdict(bionic(source), bionic(destination))
    assert (answer.outcome, answer.source_messages, answer.messages) == (Outcome.ACCEPT, [], messages)


@pytest.mark.parametrize(("source", "destination"), [(FLUSH, BROKEN), (ASSISTED, BROKEN), (ASSISTED, FLUSH)])
def test_a_guest_with_more_protection_is_refused_as_its_comment_0_says(source, destination):
    answer = verdict(bionic(source), bionic(destination))
    assert answer.outcome == Outcome.REJECT
    assert answer.messages[-2] == "error while loading state for instance 0x0 of device 'spapr'"


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (
            "cap-cfpc=fixed",
            "Requested safe cache capability level not supported by kvm, try cap-cfpc=workaround",
        ),
        (
            "cap-ibs=fixed-ccd",
            "Requested safe indirect branch capability level not supported by kvm, try cap-ibs=workaround",
        ),
    ],
)
def test_bionic_refuses_levels_in_the_words_of_its_backports(level, message):
    assert build(parse(bionic(level))).messages == (message,)


def test_bionic_numbers_the_flush_assist_after_its_own_last_capability():
    binary = CATALOGUE.fork("ubuntu-bionic").binary(PACKAGES["ubuntu-bionic"].base)
    assert [c.name for c in binary.capabilities] == ["htm", "vsx", "dfp", "cfpc", "sbbc", "ibs", "ccf-assist"]
    assert "cap-ccf-assist" not in CATALOGUE.binary(PACKAGES["ubuntu-bionic"].base).capability


# ---- what is RHEL's own


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "-machine pseries-rhel8.6.0,cap-hpt-max-page-size=4096",
            "Require at least 64kiB hpt-max-page-size",
        ),
        (
            "-machine pseries-rhel8.6.0 -smp 385",
            "Invalid SMP CPUs 385. The max CPUs supported by machine 'pseries-rhel8.6.0' is 384",
        ),
    ],
)
def test_rhel_refuses_what_red_hat_does_not_support(arguments, message):
    assert build(parse(f"qemu-6.2+rhel-8.9 -nodefaults {arguments}")).messages[-1] == message


def test_power9_in_an_older_mode_starts_with_rhel_7_4():
    options = "cap-htm=off,cap-cfpc=broken,max-cpu-compat=power8"
    start = build(parse(f"qemu-6.2+rhel-8.9 -nodefaults -machine pseries-rhel7.4.0,{options} -cpu power9"))
    assert not start.refused


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("-machine pseries-6.2", "qemu-6.2.rhel-8.9 has no such type"),
        ("-device e1000", "-device e1000 is not modelled: qemu-6.2.rhel-8.9 is not known to have it"),
        ("-cpu 970", "-cpu 970 is not modelled"),
        ("-machine pseries,x-svm-allowed=on", "machine property x-svm-allowed is not modelled"),
        ("-machine pseries-rhel7.4.0 -cpu power9", "machine pseries-rhel7.4.0 does not support POWER9"),
        ("-machine pseries-rhel7.4.0,max-cpu-compat=power9", "does not support POWER9"),
    ],
)
def test_what_rhel_does_not_have_or_was_not_read_is_not_judged(arguments, text):
    with pytest.raises(NotModelled, match=text):
        build(parse(f"qemu-6.2+rhel-8.9 -nodefaults {arguments}"))


# ---- programs and types by name


def test_upstream_asked_for_a_vendors_type_names_the_vendors_program():
    with pytest.raises(ConfigurationError, match=r"name the vendor's program: .*qemu-6\.2\+rhel-8\.9"):
        build(parse("qemu-6.2 -machine pseries-rhel8.2.0"))
    with pytest.raises(ConfigurationError, match=r"name the vendor's program: qemu-4\.2\+ubuntu-focal$"):
        build(parse("qemu-4.2 -machine pseries-focal"))


def test_a_type_that_nobody_declared_ends_with_what_to_do():
    for program in ("qemu-7.2", "qemu-6.2+ubuntu-jammy"):
        with pytest.raises(ConfigurationError, match=r"declare the type with --with \(docs/downstream.md\)"):
            build(parse(f"{program} -machine pseries-mine8"))


def test_a_package_is_of_one_release_whatever_stable_number_is_given():
    assert str(parse("qemu-2.11.1+ubuntu-bionic").release) == str(parse("qemu-2.11+ubuntu-bionic").release)
    with pytest.raises(ConfigurationError, match=r"QEMU 7.2 is not qemu-6.2\+ubuntu-jammy: qemu 1:6.2"):
        parse("qemu-7.2+ubuntu-jammy")


def test_a_program_without_a_release_in_its_name_may_be_a_package():
    side = parse("/usr/bin/qemu-system-ppc64 -machine pseries-focal", release="4.2+ubuntu-focal")
    assert side.text == "qemu-4.2.1+ubuntu-focal -machine pseries-focal"


def test_an_unknown_name_lists_the_packages():
    with pytest.raises(ConfigurationError, match=r"no such proposal or package: 'nosuch'.*rhel-8\.9"):
        parse("qemu-7.2+nosuch")


def test_a_package_is_not_declared_without_its_source_or_its_default_type():
    with pytest.raises(DeclarationError, match="source"):
        Package("mine", "7.2.0", "", "pseries-7.2", ())
    with pytest.raises(DeclarationError, match="default type"):
        Package("mine", "7.2.0", "mine.src.rpm", "pseries-7.2", (), only_own_types=True)


def test_a_type_without_a_version_in_its_name_needs_one_that_it_is_like():
    with pytest.raises(DeclarationError):
        _ = MachineType("pseries-mine", "pseries-7.2").version


# ---- docs/downstream.md

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "downstream.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def table() -> list[str]:
    """The rows of the page's table."""
    rows = []
    for package in CATALOGUE.packages:
        names = [type_.name.removeprefix("pseries-") for type_ in package.types]
        only = ", no others" if package.only_own_types else ""
        rows.append(
            f"| `{package.program}` | {', '.join(names)}{only} | {package.default_type} | {package.base} "
            f"| {package.source} |"
        )
    return rows


def test_the_page_lists_every_package():
    assert [line for line in PAGE.splitlines() if line.startswith("| `qemu-")] == table()


def test_the_example_of_a_vendors_own_package_has_twenty_lines_at_most():
    (example,) = (text for kind, name, text in BLOCK.findall(PAGE) if name)
    assert len(example.splitlines()) <= 20


def test_the_commands_of_the_page_print_what_it_says(tmp_path):
    command = tmp_path / "bin" / "vmstate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vmstate "$@"\n')
    command.chmod(0o755)
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "PATH": f"{command.parent}:{os.environ['PATH']}"}
    blocks = BLOCK.findall(PAGE)
    for _, name, text in blocks:
        if name:
            (tmp_path / name).write_text(text)
    asked = [(text, answer) for (kind, _, text), (_, _, answer) in pairwise(blocks) if kind == "sh"]
    assert len(asked) == 2
    for text, answer in asked:
        done = subprocess.run(
            ["bash", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.stdout == answer, done.stderr
