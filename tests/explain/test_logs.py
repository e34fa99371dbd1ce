"""Logs explained: the first failure leads, wrappers are peeled, hostile input does no harm."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.explain.log import explain_log
from vmstate.explain.peeling import unwrap

TIME = "2024-03-06T16:05:46.118520Z qemu-system-x86_64: "
RNG = f"""\
{TIME}warning: host doesn't support requested feature: CPUID.80000001H:ECX.svm [bit 2]
{TIME}get_pci_config_device: Bad config data: i=0x34 read: c8 device: dc cmask: ff wmask: 0 w1cmask:0
{TIME}Failed to load PCIDevice:config
{TIME}Failed to load virtio-rng:virtio
{TIME}error while loading state for instance 0x0 of device '0000:00:02.5:00.0/virtio-rng'
{TIME}load of migration failed: Invalid argument
2024-03-06 16:05:46.126+0000: shutting down, reason=failed
"""

FOOTER = "Missing section footer for cpu"
ERROR = f"internal error: qemu-kvm: {FOOTER}"
CLOSED = "internal error: qemu unexpectedly closed the monitor: 2024-05-01T12:00:00.1Z qemu-kvm"


def of(lines):
    return [one.known[0].explanation.rule for one in lines]


def test_the_first_failure_leads_and_later_lines_are_its_consequences():
    log = explain_log([RNG])
    assert of([log.lead]) == ["pci-config"]
    assert of(log.consequences()) == ["field-failed", "field-failed", "section-failed", "load-failed"]
    assert of(log.others()) == ["cpu-features"]
    assert log.unknown == 1
    assert "virtio-rng-vectors" in [bug.id for bug in log.bugs]


def test_libvirt_s_own_refusal_leads_where_there_is_no_line_of_qemu():
    missing = "operation failed: guest CPU doesn't match specification: missing features: hle,rtm"
    log = explain_log(
        [f"error: {missing}", "error: operation failed: migration out job: unexpectedly failed"]
    )
    assert of([log.lead]) == ["libvirt-guest-cpu"]
    assert of(log.consequences()) == ["libvirt-job"]


def test_several_texts_are_one_log_in_their_order():
    log = explain_log([f"qemu-kvm: {FOOTER}", "qemu-kvm: load of migration failed: Invalid argument"])
    assert of([log.lead]) == ["footer-missing"]
    assert of(log.consequences()) == ["load-failed"]


def test_without_a_cause_the_first_consequence_leads():
    log = explain_log(["load of migration failed: Input/output error"])
    assert of([log.lead]) == ["load-failed"]


@pytest.mark.parametrize(
    "line",
    [
        FOOTER,
        f"qemu-system-ppc64: {FOOTER}",
        f"/usr/libexec/qemu-kvm: {FOOTER}",
        f"C:\\qemu\\qemu-system-ppc64.exe: {FOOTER}",
        f"2024-05-01T12:00:00.123456Z qemu-kvm: {FOOTER}",
        f"2024-05-01 12:00:00.123+0000: qemu-kvm: {FOOTER}",
        f"Nov 26 21:00:01 node1 libvirtd[123]: {CLOSED}: {FOOTER}",
        f"error: internal error: QEMU unexpectedly closed the monitor (vm='a b'): {FOOTER}",
        f"error: operation failed: job 'migration out' failed: {FOOTER}",
        f"error: internal error: process exited while connecting to monitor: qemu: {FOOTER}",
        f"virError(Code=1, Domain=10, Message='{CLOSED}: {FOOTER}')",
        f"error: unsupported configuration: {FOOTER}",
        f"Migration: [ 98 %]error: operation failed: {FOOTER}",
        f"`qemu-kvm: {FOOTER}`",
        f"Nov 29 12:34:47 n1 pacemaker-execd[1005]:  notice: VM_migrate_to_0:5177:stderr [ error: {FOOTER} ]",
        f"2021-06-01 10:00:03 ERROR: online migrate failure - VM 101 qmp command 'migrate' failed - {FOOTER}",
        f"ERROR nova.virt.libvirt.driver [-] Live Migration failure: {ERROR}: libvirt.libvirtError: {ERROR}",
        f"(qemu) {FOOTER}",
        f"Error: {FOOTER}",
        f"\x1b[1;31mqemu-system-ppc64: {FOOTER}\x1b[0m",
        f'time="2024-05-01T12:00:00Z" level=error msg="qemu-kvm: {FOOTER}"',
        json.dumps({"error": {"class": "GenericError", "desc": FOOTER}}),
        json.dumps({"level": "error", "msg": f"qemu-kvm: {FOOTER}", "timestamp": "2024-05-01"}),
        json.dumps({"MESSAGE": f"qemu-kvm: {FOOTER}", "_PID": "1"}),
        json.dumps({"metadata": {"err": f"Failed: qemu-system-x86_64: {FOOTER}"}, "type": "operation"}),
        json.dumps([{"reason": f"failed\nqemu-kvm: {FOOTER}\nend"}]).strip("[]"),
    ],
)
def test_wrappers_are_peeled(line):
    assert of([explain_log([line]).lead]) == ["footer-missing"]


def test_a_line_that_is_not_of_a_program_is_not_peeled_until_something_fits():
    assert explain_log(["foo: bar: Invalid argument"]).lead is None
    assert explain_log(["error: internal error: Invalid argument"]).lead is None


@given(st.text())
def test_any_text_is_unwrapped_into_lines(text):
    assert all(peeled.texts or len(peeled.line) > 4096 for peeled in unwrap(text))


@pytest.mark.parametrize(
    "text",
    [
        "\x00\x01\xff" * 1000,
        "{" * 100_000,
        '{"msg":' * 10_000,
        "[" * 100_000,
        "a: " * 30_000,
        "error: " * 30_000,
        "\x1b[" * 30_000,
        "qemu-kvm: " * 30_000,
        "Failed to load " * 30_000,
        "error while loading state for instance 0x0 of device '" * 5_000,
        "-device x: " * 30_000,
        ("x" * 2_000_000),
        json.dumps({"msg": FOOTER}) * 1000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_hostile_text_is_answered(text):
    explain_log([text])


def test_a_long_log_keeps_a_bounded_number_of_lines():
    log = explain_log(f"qemu-kvm: Missing section footer for s{n}" for n in range(3000))
    assert len(log.lines) == 1000
    assert log.left_out == 2000


def test_equal_lines_are_told_once():
    log = explain_log([f"qemu-kvm: {FOOTER}\n" * 500])
    assert len(log.lines) == 1
