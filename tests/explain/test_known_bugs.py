"""Known bugs: data with sources, named from lines and from verdicts whose releases fit."""

from __future__ import annotations

import pytest

from vmstate.describe.history import Release
from vmstate.explain.known_bugs import bugs_of_verdict, known_bugs
from vmstate.explain.log import explain_log

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


PIIX4 = ["Missing section footer for 0000:00:01.3/piix4_pm", LOADED]


@pytest.mark.parametrize(
    ("source", "destination", "bugs"),
    [
        ("6.2", "7.0", ["piix4-acpi-index"]),
        (None, "7.0", ["piix4-acpi-index"]),
        ("7.0", "7.0", []),
        ("6.2", "6.1", []),
    ],
)
def test_a_verdict_names_a_bug_if_the_releases_fit(source, destination, bugs):
    assert verdict(PIIX4, "0000:00:01.3/piix4_pm", source, destination) == bugs


def test_a_verdict_names_no_bug_of_another_section():
    assert verdict(PIIX4, "cpu", "6.2", "7.0") == []
