"""Starts of a simulated QEMU: outcome and stderr are those recorded with real releases."""

from __future__ import annotations

import pytest

from tests.support.recorded import starts
from vmstate.errors import ConfigurationError
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration, parse

RELEASES = tuple(starts())


@pytest.mark.parametrize("release", RELEASES)
def test_every_recorded_start_is_predicted_to_the_line(release):
    recorded = starts()[release]
    assert len(recorded) >= 90
    wrong = []
    for arguments, (started, lines, complete) in recorded.items():
        start = build(configuration(release, arguments))
        printed = list(start.messages)
        same_lines = printed == lines if complete else printed == lines[: len(printed)]
        if start.refused is started or not same_lines:
            wrong.append((" ".join(arguments), lines, printed))
    assert wrong == []


def test_the_error_for_an_unmodelled_option_names_it():
    with pytest.raises(ConfigurationError, match="option -loadvm is not modelled"):
        parse("qemu-7.2 -loadvm x")
    with pytest.raises(ConfigurationError, match="vfio-pci is not modelled"):
        build(parse("qemu-7.2 -nodefaults -device vfio-pci,host=1:0.0"))
    with pytest.raises(ConfigurationError, match=r"QEMU 2\.8 is not modelled"):
        parse("qemu-2.8 -machine pseries")
    with pytest.raises(ConfigurationError, match="no such host"):
        parse("p9: qemu-7.2 -machine pseries,accel=kvm")
    with pytest.raises(ConfigurationError, match="machine powernv9 is not modelled"):
        build(parse("qemu-7.2 -machine powernv9"))


def test_a_line_without_its_stable_number_is_the_newest_of_that_line():
    assert str(parse("qemu-7.2").release) == "7.2.22"
    assert str(parse("qemu-system-ppc64-10.0 -S").release) == "10.0.13"
    assert str(parse("qemu-10.0.2").release) == "10.0.2"
    assert str(parse("/opt/q/qemu-2.11.0 -S").release) == "2.11.0"


def test_a_command_line_is_read_back_unchanged():
    text = "qemu-7.2.22 -nodefaults -machine pseries,cap-htm=off --cpu power9 -m 256,maxmem=1G,slots=2"
    assert parse(text).text == text


def test_two_bad_properties_are_reported_in_the_order_of_the_hash_from_6_1_on():
    two = "-machine pseries,cap-cfpc=none,cap-dawr1=on"
    assert build(parse(f"qemu-6.0 {two}")).messages == ('Invalid capability mode "none" for cap-cfpc',)
    assert build(parse(f"qemu-6.1 {two}")).messages == ("Property 'pseries-6.1-machine.cap-dawr1' not found",)


def test_a_machine_knows_its_topology():
    command = "qemu-10.0 -nodefaults -machine pseries,cap-htm=off,vsmt=8 -cpu power9 -smp 8,threads=4"
    machine = build(parse(command)).machine
    assert machine is not None
    assert [machine.topology.vcpu_id(index) for index in range(8)] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert machine.topology.max_servers == 16


def test_dual_becomes_xics_where_no_power9_is_possible():
    def irq(arguments: str) -> str:
        machine = build(parse(f"qemu-7.2 -nodefaults -machine pseries,cap-htm=off{arguments}")).machine
        assert machine is not None
        return machine.irq

    assert irq("") == "dual"
    assert irq(" -cpu power8") == "xics"
    assert irq(",max-cpu-compat=power8") == "xics"
    assert irq(",ic-mode=xive") == "xive"
