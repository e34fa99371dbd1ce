"""The hosts that run each machine type with each release: fixtures/tables/kvm-hosts.txt, with reasons."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from vmstate.errors import ConfigurationError
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.tables.accelerators import Host, host_from, read_host, shipped_host, shipped_hosts
from vmstate.shipped import shipped

TABLE = Path(__file__).resolve().parents[2] / "fixtures" / "tables" / "kvm-hosts.txt"
SAYS = {
    "type": "unsupported machine type",
    "none": "Could not access KVM kernel module",
    "cpu": "Unable to find CPU definition: host",
    "sync": "Register sync failed",
    "htm": "KVM implementation does not support Transactional Memory",
    "cfpc": "Requested safe cache capability level not supported",
    "sbbc": "Requested safe bounds check capability level not supported",
    "ibs": "Requested safe indirect branch capability level",
    "ld": "No large decrementer support",
    "ccf": "Requested count cache flush assist capability level not supported",
    "fwnmi": "Firmware Assisted Non-Maskable Interrupts(FWNMI) not supported by KVM.",
    "ail": "KVM implementation does not support cap-ail-mode-3",
    "vsmt": "Failed to set KVM's VSMT mode to 1",
    "page": "KVM doesn't support page shift 24/12",
}


def rows():
    kind, releases = "", []
    for line in TABLE.read_text().splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "type":
            kind = words[1]
        elif words[0] == "release":
            releases = words[1:]
        else:
            yield kind, words[0], dict(zip(releases, words[1:], strict=True))


ROWS = list(rows())


def test_the_table_has_every_host_that_is_shipped():
    assert {host for _, host, _ in ROWS} == set(shipped_hosts())


@pytest.mark.parametrize(("kind", "host", "cells"), ROWS, ids=[f"{k}-{h}" for k, h, _ in ROWS])
def test_a_host_runs_the_machines_that_its_sources_say(kind, host, cells):
    found = {}
    for release, cell in cells.items():
        start = build(parse(f"{host}: qemu-{release} -nodefaults -machine {kind},accel=kvm"))
        printed = next((line for line in start.messages if not line.startswith("warning: ")), "")
        expected = SAYS.get(cell, "")
        as_expected = (start.machine is None) == (cell in SAYS) and expected in printed
        found[release] = cell if as_expected else printed
    assert found == cells


@pytest.mark.parametrize(
    ("key", "value"),
    [("flavour", "xen"), ("compat_register", True), ("gtse_capability", 1), ("level", 3)],
)
def test_a_host_has_only_what_a_host_can_have(key, value):
    with pytest.raises(ConfigurationError, match=f"host mine: {key} is one of"):
        host_from("mine", {"family": "POWER9", "pvr": 0x004E1202, key: value})


@pytest.mark.parametrize("name", shipped_hosts())
def test_the_first_line_of_a_host_describes_it(name):
    path = shipped("hosts") / f"{name}.toml"
    assert path.read_text().startswith("# ")
    assert read_host(path) == shipped_host(name)


def test_the_answer_about_gtse_depends_on_what_the_kernel_knows():
    def answer(capability, on):
        declared = {"family": "POWER9", "pvr": 1, "gtse_capability": capability, "lpcr_gtse": on}
        return host_from("mine", declared).gtse_answer

    assert [answer("absent", on) for on in (True, False)] == [0, 0]
    assert [answer("as-posted", on) for on in (True, False)] == [1, 0]
    on, off = (answer("redesigned", on) for on in (True, False))
    assert 0 not in {on, off}
    assert on != off


@pytest.mark.parametrize(
    ("release", "options", "host", "says"),
    [
        ("2.11.2", "cap-ibs=fixed", "p9-hv-dd23", "try a different value for cap-ibs"),
        ("3.1", "cap-ibs=fixed-ibs", "p9-hv-dd23", "not supported by kvm, try cap-ibs=fixed-ccd"),
        ("3.1", "cap-ibs=workaround", "p10-hv", None),
        ("3.1", "cap-ibs=workaround", "p9-hv", '"workaround" not valid, try cap-ibs=broken'),
        ("3.1", "cap-ibs=fixed-ccd", "p9-hv-dd23", ""),
        ("4.1", "cap-ibs=fixed-na", "p9-hv", "not supported by kvm, try cap-ibs=workaround"),
        ("11.1", "cap-ibs=fixed-na", "p10-hv", ""),
        ("7.2", "cap-nested-hv=on", "p9-hv", ""),
        (
            "7.2",
            "cap-nested-hv=on,max-cpu-compat=power8",
            "p9-hv",
            "Nested-HV only supported on POWER9 and later",
        ),
        ("7.2", "cap-nested-hv=on", "p9-nested-old", "KVM implementation does not support Nested-HV"),
        ("5.2", "cap-nested-hv=on", "p9-nested-old", "KVM implementation does not support Nested KVM-HV"),
        ("7.2", "cap-rpt-invalidate=on", "p8-hv", "H_RPT_INVALIDATE only supported on Radix"),
        (
            "7.2",
            "cap-rpt-invalidate=on",
            "p9-nested-old",
            "KVM implementation does not support H_RPT_INVALIDATE",
        ),
        ("10.0", "cap-dawr1=on", "p9-hv", "DAWR1 supported only on POWER10 and later CPUs"),
        ("10.0", "cap-dawr1=on", "p10-hv", ""),
        ("10.0", "cap-nested-papr=on", "p10-hv", "KVM implementation does not support Nested-PAPR"),
        ("7.2", "cap-hpt-max-page-size=16M", "p8-hv-huge", ""),
        (
            "7.2",
            "cap-hpt-max-page-size=16M",
            "p8-hv",
            "Can't support 16384 kiB guest pages with 64 kiB host pages",
        ),
        ("7.2", "cap-fwnmi=off,cap-hpt-max-page-size=16M", "p8-pr", "KVM doesn't support page shift 24/12"),
        ("7.2", "cap-fwnmi=off,cap-hpt-max-page-size=64k", "p8-pr", ""),
    ],
)
def test_the_answers_of_ioctls_decide_on_source_and_destination(release, options, host, says):
    text = f"{host}: qemu-{release} -nodefaults -machine pseries,accel=kvm,{options}"
    start = build(parse(text))
    if says is None:  # the processor is not known to this release
        assert start.machine is None
    elif says:
        assert start.machine is None
        assert any(says in line for line in start.messages), start.messages
    else:
        assert start.machine is not None, start.messages


def test_the_document_of_hosts_names_every_host_and_every_key():
    text = (TABLE.parents[2] / "docs" / "hosts.md").read_text()
    assert [name for name in shipped_hosts() if f"- `{name}`: " not in text] == []
    keys = {field.name for field in fields(Host)} - {"name"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
