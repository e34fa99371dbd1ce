"""The end of a program is recognised, and two findings of the same bug have the same signature."""

from __future__ import annotations

import pytest

from vmstate.fuzz.faults import Kind, Run, disagreement, ended, escaped, template
from vmstate.judge.comparison import Answer

LOST = "error while loading state for instance 0x0 of device 'cpu'"


@pytest.mark.parametrize(
    ("returncode", "lines", "kind", "signature"),
    [
        (
            -6,
            ["../../hw/ppc/spapr.c:2363: htab_load: Assertion `kvm_enabled()' failed."],
            Kind.ASSERTION,
            "assertion in hw/ppc/spapr.c htab_load: kvm_enabled()",
        ),
        (
            -6,
            ["**", "ERROR:./include/hw/ppc/xive.h:568:signal_regs: assertion failed: (tctx->regs[QW2] == 0)"],
            Kind.ASSERTION,
            "assertion in hw/ppc/xive.h signal_regs: (tctx->regs[QW2] == #)",
        ),
        (
            -6,
            [
                "Unexpected error in object_property_find() at ../qom/object.c:1304:",
                "Property '.x' not found",
            ],
            Kind.ABORT,
            "abort in qom/object.c object_property_find: Property '.x' not found",
        ),
        (
            -5,
            ["GLib: ../../../glib/gmem.c:136: failed to allocate 18446744047939747840 bytes"],
            Kind.ABORT,
            "SIGTRAP: GLib: ../../../glib/gmem.c:#: failed to allocate # bytes",
        ),
        (-6, ["malloc(): corrupted top size"], Kind.ABORT, "SIGABRT: malloc(): corrupted top size"),
        (-11, [LOST], Kind.CRASH, "SIGSEGV after: error while loading state for instance # of device 'cpu'"),
        (-11, ["warning: TCG doesn't support this"], Kind.CRASH, "SIGSEGV after: no line"),
        (None, [LOST], Kind.HANG, "hang after: error while loading state for instance # of device 'cpu'"),
        (
            1,
            [
                "==81==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000031",
                "WRITE of size 1 at 0x602000000031 thread T0",
                "    #0 0x55a1 in __interceptor_memcpy (/usr/bin/q+0x1)",
                "    #1 0x55a2 in get_buffer ../migration/vmstate-types.c:545",
            ],
            Kind.SANITIZER,
            "AddressSanitizer heap-buffer-overflow in get_buffer",
        ),
        (
            0,
            ["../hw/intc/xics.c:88:21: runtime error: index 77 out of bounds for type 'ICSIRQState [16]'"],
            Kind.SANITIZER,
            "runtime error in hw/intc/xics.c: index # out of bounds for type 'ICSIRQState [#]'",
        ),
    ],
)
def test_an_end_that_is_not_a_refusal_is_named(returncode, lines, kind, signature):
    (fault,) = ended(returncode, lines)
    assert (fault.kind, fault.signature) == (kind, signature)


@pytest.mark.parametrize("returncode", [0, 1])
def test_accepted_and_refused_streams_are_not_findings(returncode):
    assert ended(returncode, [LOST]) == ()


def test_the_same_assertion_of_two_builds_is_one_finding():
    old = ended(-6, ["../../hw/ppc/spapr.c:2363: htab_load: Assertion `kvm_enabled()' failed."])
    new = ended(-6, ["../hw/ppc/spapr.c:2101: htab_load: Assertion `kvm_enabled()' failed."])
    assert old[0].signature == new[0].signature


def test_numbers_of_all_kinds_are_left_out_of_a_line():
    line = "Failed at 0x1F00, -22 of 17; magic: 5145564d; cap-htm higher (1)"
    assert template(line) == "Failed at #, # of #; magic: #; cap-htm higher (#)"
    assert template("virtio-net cpu/vsx2") == "virtio-net cpu/vsx2", "a name keeps its digits"


def test_a_line_of_a_megabyte_is_processed_quickly():
    assert len(template("x1 " * 400_000)) <= 200
    assert ended(-11, ["a/b" * 400_000])[0].kind == Kind.CRASH


def test_an_escaped_exception_is_named_by_its_function():
    def of_the_device():
        raise IndexError("list index 17 out of range")

    with pytest.raises(IndexError) as caught:
        of_the_device()
    fault = escaped(caught.value)
    assert fault.signature == "IndexError in test_faults.py of_the_device: list index # out of range"


def test_a_disagreement_is_named_by_the_deciding_rule_and_the_first_differing_lines():
    real = Run("QEMU 7.2", Answer("reject", ("a 1", "b 2")))
    ours = Run("simulated", Answer("reject", ("a 1", "c 3"), rule="footer-missing"))
    assert disagreement(real, ours, same_outcome=True).signature == "footer-missing: b # | c #"
    short = Run("simulated", Answer("reject", ("a 1",), rule="footer-missing"))
    assert disagreement(real, short, same_outcome=True).signature == "footer-missing: b # | nothing"
    other = Run("simulated", Answer("accept"))
    fault = disagreement(real, other, same_outcome=False)
    assert (fault.kind, fault.signature) == (Kind.OUTCOME, "reject, simulated accept by None: b # | no line")
