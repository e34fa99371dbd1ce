"""Known bugs: data with sources, named from lines and from verdicts whose releases fit."""

from __future__ import annotations

import shlex

import pytest

from tests.support import corpus
from vmstate.describe.history import Release
from vmstate.explain.known_bugs import bugs_of_verdict, known_bugs
from vmstate.explain.log import explain_log
from vmstate.front.verdict_text import verdict_lines
from vmstate.savevm.verdict import Outcome
from vmstate.simulate.migration import load, migrate

LOADED = "load of migration failed: Invalid argument"


def named(*lines):
    return [bug.id for bug in explain_log(["\n".join(lines)]).bugs]


def test_every_bug_has_a_title_and_a_public_source_and_a_name_of_its_own():
    bugs = known_bugs()
    assert len(bugs) >= 60
    assert len({bug.id for bug in bugs}) == len(bugs)
    for bug in bugs:
        assert bug.title
        assert bug.sources
        assert all(source.startswith("https://") for source in bug.sources)
        assert bool(bug.fix) == bool(bug.fixed_in), bug.id


def test_most_bugs_show_themselves_in_a_line():
    assert sum(bool(bug.lines) for bug in known_bugs()) >= 60


@pytest.mark.parametrize(
    ("line", "bug"),
    [
        ("Missing section footer for cpu", "ppc-cpu-tlb"),
        ("Missing section footer for sd-card", "sd-card"),
        ("Missing section footer for sysbusespscsi", "esp-version"),
        ("Unknown savevm section or instance 'spapr_cpu' 2", "spapr-cpu-after-unplug"),
        ("Unknown savevm section or instance 'serial' 1", "serial-twice"),
        ("error while loading state for instance 0x0 of device 'kvm-tpr-opt'", "kvm-tpr-opt"),
        ("savevm: unsupported version 1 for 'arm_gicv3_its' v0", "gicv3-its-version"),
        ("pre-save failed: qxl", "qxl-pre-save"),
        ("usbredirparser: unserialization must use a pristine parser", "usb-redir-pristine-parser"),
        ("error: failed to set MSR 0x4b564d02 to 0xf3", "kvm-async-page-fault-order"),
        ("Features 0x1c0010130afffa7 unsupported. Allowed features: 0x10179bfffe7", "virtio-net-uso"),
    ],
)
def test_a_bug_is_named_from_its_line(line, bug):
    assert bug in named(f"qemu-kvm: {line}")


def test_a_bug_is_not_named_if_another_section_failed():
    line = "get_pci_config_device: Bad config data: i=0x34 read: 84 device: 98 cmask: ff wmask: 0 w1cmask:0"
    rng = "qemu-kvm: error while loading state for instance 0x0 of device '0000:00:03.0/virtio-rng'"
    assert "virtio-rng-vectors" in named(line, rng)
    assert named(line, rng.replace("virtio-rng", "virtio-blk")) == []


def test_features_without_the_bits_of_a_bug_are_another_matter():
    assert "virtio-net-uso" not in named("Features 0x2 unsupported. Allowed features: 0x0")


def verdict(lines, section, source, destination):
    releases = Release.parse(source) if source else None, Release.parse(destination)
    return [bug.id for bug in bugs_of_verdict(lines, section, *releases)]


RNG = [
    "get_pci_config_device: Bad config data: i=0x34 read: 84 device: 98 cmask: ff wmask: 0 w1cmask:0",
    LOADED,
]
PLACE = "pci@800000020000000:00.0/virtio-rng"


@pytest.mark.parametrize(
    ("source", "destination", "named"),
    [
        ("7.1", "7.2", True),
        ("7.2", "8.1", True),
        ("7.2.22", "8.1", False),
        (None, "7.2", True),
        ("7.1", "7.0", False),
        ("9.0", "9.1", False),
    ],
)
def test_a_verdict_names_a_bug_if_the_releases_fit(source, destination, named):
    assert ("virtio-rng-vectors" in verdict(RNG, PLACE, source, destination)) == named


def test_a_verdict_names_no_bug_of_another_section():
    assert verdict(RNG, PLACE.replace("rng", "blk"), "7.1", "7.2") == []


@pytest.mark.parametrize(("release", "named"), [("7.2.0", True), ("7.2.22", False), ("10.0", False)])
def test_a_migration_names_a_bug_only_where_no_stable_release_can_have_its_fix(release, named):
    line = f"qemu-{release} -nodefaults -machine pseries-7.2 -m 256 -device virtio-rng-pci,vectors"
    verdict = migrate(f"{line}=2", f"{line}=0")
    assert verdict.outcome == "reject"
    assert ("virtio-rng-vectors" in verdict.known_bugs) == named
    assert ("known_bugs" in verdict.as_json()) == bool(verdict.known_bugs)


def test_the_text_of_a_verdict_names_the_bug_with_its_source():
    line = "qemu-7.2.0 -nodefaults -machine pseries-7.2 -m 256 -device virtio-rng-pci,vectors"
    text = "\n".join(verdict_lines(migrate(f"{line}=2", f"{line}=0")))
    assert "known bug virtio-rng-vectors: " in text
    assert "https://bugzilla.redhat.com/show_bug.cgi?id=2155749" in text


@pytest.mark.parametrize(("release", "bugs"), [("11.1", ["idle-processor-stopped"]), ("10.0", [])])
def test_an_accepted_guest_whose_idle_processor_is_stopped_is_named(release, bugs):
    """An idle Linux 6.1 that a real 10.0.13 had saved did not answer again at a real 11.1.3."""
    name = "10.0-booted-power11-as-power10"
    line = shlex.join([f"qemu-{release}", *corpus.manifest()[name]["args"]])
    verdict = load(corpus.load(name), line)
    assert (verdict.outcome, verdict.known_bugs) == (Outcome.ACCEPT, bugs)
