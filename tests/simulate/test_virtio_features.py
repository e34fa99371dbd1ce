"""The features of virtio devices: offered, taken by a Linux guest's drivers, and checked by a destination."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import corpus
from tests.support.machines import command
from tests.support.recorded import answer, rows, side
from tests.support.share import some
from vmstate.errors import NotModelled
from vmstate.pseries.devices.virtio.virtio_pci import VirtioDevice
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import configuration, parse
from vmstate.simulate.guest import boot, migrate_guest
from vmstate.simulate.guest_drivers import agree
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import load, receive

BOOTED = sorted(name for name in corpus.manifest() if "-booted-virtio" in name)
LOADS = list(rows("virtio-loads"))
#: What QEMU finds in the captured streams, whose memory is zero, and not in a guest's.
EMPTY_RING = "Guest index 0x0 inconsistent"


def source(name):
    row = corpus.manifest()[name]
    return configuration(row["release"], row["args"])


def running(text):
    start = build(parse(text))
    assert start.machine is not None, start.messages
    return Instance(start.machine)


def features(instance):
    """The features that guests use, by device."""
    return {
        one.idstr: one.guest_features_64 or one.guest_features_low
        for one in instance.machine.registered(VirtioDevice)
    }


@pytest.mark.parametrize("name", BOOTED)
def test_drivers_take_the_features_that_they_took_when_linux_booted(name):
    captured = receive(corpus.load(name), source(name)).instance
    simulated = Instance(build(source(name)).machine)
    boot(simulated, corpus.manifest()[name]["guest"])
    assert features(simulated) == features(captured)
    for real, ours in zip(
        captured.machine.registered(VirtioDevice), simulated.machine.registered(VirtioDevice), strict=True
    ):
        for field in ("device_status", "started"):
            assert getattr(ours, field) == getattr(real, field), (real.idstr, field)
        assert list(ours.guest_features)[:2] == list(real.guest_features)[:2], real.idstr


@pytest.mark.parametrize("name", BOOTED)
def test_loads_of_a_booted_guest_end_as_in_real_qemu(name):
    own = [row for row in LOADS if row["stream"] == name]
    assert len(own) > 80
    for row in some(own, 3):
        verdict = load(corpus.load(name), side(row["destination"]))
        assert (str(verdict.outcome), verdict.messages) == answer(row["load"]), row["destination"]["args"]


@pytest.mark.parametrize("name", BOOTED)
def test_the_same_guest_without_a_capture_ends_as_in_real_qemu_or_is_not_judged(name):
    own = [row for row in LOADS if row["stream"] == name]
    guest, open_questions = corpus.manifest()[name]["guest"], 0
    for row in own:
        outcome, lines = answer(row["load"])
        try:
            verdict = migrate_guest(source(name), side(row["destination"]), guest)
        except NotModelled:
            open_questions += 1
            continue
        expected = (outcome, [line for line in lines if EMPTY_RING not in line])
        assert (str(verdict.outcome), verdict.messages) == expected, row["destination"]["args"]
    assert open_questions <= 0.1 * len(own)


KINDS = {
    "virtio-net-pci,romfile=": ("mrg_rxbuf", "ctrl_rx", "guest_announce", "ctrl_vlan"),
    "virtio-scsi-pci": ("hotplug", "param_change"),
    "virtio-balloon-pci": ("deflate-on-oom",),
    "virtio-rng-pci": (),
    "virtio-serial-pci": (),
}
COMMON = ("event_idx", "indirect_desc", "packed")


@st.composite
def two_sides(draw):
    """The same device on both sides, with its own choice of features."""
    release, kind = (
        draw(st.sampled_from(["5.2.0", "7.2.22", "10.0.13"])),
        draw(st.sampled_from(sorted(KINDS))),
    )
    sides = []
    for _ in "ab":
        flags = [f"{name}={draw(st.sampled_from(['on', 'off']))}" for name in (*COMMON, *KINDS[kind])]
        device = ",".join([kind, *flags])
        sides.append(command("pseries-5.2", release, f"-m 256 -device {device}"))
    return sides, draw(st.sampled_from(["linux-6.1", "linux-6.12", "linux-7.2", "linux-7.3"]))


@settings(max_examples=40, deadline=None)
@given(two_sides())
def test_a_guest_takes_only_what_is_offered_and_is_accepted_if_the_destination_offers_that(drawn):
    (ours, theirs), guest = drawn
    instance, other = running(ours), running(theirs)
    boot(instance, guest)
    (used,) = features(instance).values()
    (device,) = instance.machine.registered(VirtioDevice)
    assert not used & ~device.host_features
    (local,) = other.machine.registered(VirtioDevice)
    packed = local.packed != device.packed  # packed queues are a subsection, and an unknown one may be there
    verdict = migrate_guest(ours, theirs, guest)
    assert packed or (verdict.outcome == "accept") == (not used & ~local.host_features)


@pytest.mark.parametrize(
    ("device", "status", "started"),
    [
        ("virtio-net-pci,romfile=", 0x0F, True),
        ("virtio-net-pci,romfile=,disable-modern=on", 0x07, True),
        ("virtio-net-pci,romfile=,ctrl_vq=off", 0x83, False),  # Linux refuses what needs the missing queue
        ("virtio-balloon-pci,disable-legacy=on,iommu_platform=on", 0x83, False),
    ],
)
def test_a_driver_starts_a_device_or_gives_up(device, status, started):
    instance = running(command("pseries-7.2", rest=f"-m 256 -device {device}"))
    boot(instance, "linux-6.1")
    (one,) = instance.machine.registered(VirtioDevice)
    assert (one.device_status, one.started) == (status, started)


def test_machine_types_up_to_4_0_do_not_keep_in_mind_that_a_driver_runs():
    started = []
    for kind in ("pseries-4.0", "pseries-4.1"):
        instance = running(command(kind, rest="-m 256 -device virtio-rng-pci"))
        boot(instance, "linux-6.1")
        started += [one.started for one in instance.machine.registered(VirtioDevice)]
    assert started == [False, True]


def test_drivers_of_other_kernels_are_not_known():
    instance = running(command("pseries-7.2", rest="-m 256 -device virtio-rng-pci"))
    boot(instance, "linux-5.15")
    (one,) = instance.machine.registered(VirtioDevice)
    assert agree(one, instance.linux) is None
    assert (one.device_status, one.started) == (0, False)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ("virtio-net-pci,romfile=", "virtio-net-pci,romfile=,mq=on", "byte 0x10 of the configuration space"),
        ("virtio-rng-pci", "virtio-rng-pci,page-per-vq=on", "byte 0x21 of the configuration space"),
        (
            "virtio-rng-pci,disable-legacy=on",
            "virtio-rng-pci,disable-legacy=on,iommu_platform=on",
            "behind an IOMMU",
        ),
    ],
)
def test_where_the_guests_addresses_would_decide_nothing_is_judged(ours, theirs, reason):
    sides = [command("pseries-7.2", rest=f"-m 256 -device {device}") for device in (ours, theirs)]
    with pytest.raises(NotModelled, match=reason):
        migrate_guest(*sides, "linux-6.1")


@pytest.mark.parametrize(
    ("drive", "offered"),
    [  # as real QEMU 7.2 prints them
        ("-blockdev null-co,node-name=d", 0x10179006E54),
        ("-blockdev null-co,node-name=d,read-only=on", 0x10179006E74),
        ("-drive if=none,id=d,driver=null-co,readonly=on", 0x10179006674),
        ("-drive if=none,id=d,driver=null-co,media=cdrom", 0x10179006674),
        ("-drive if=none,id=d,driver=null-co,cache=writethrough", 0x10179006454),
        ("-drive if=none,id=d,driver=null-co,cache=directsync", 0x10179006454),
        ("-drive if=none,id=d,driver=null-co,cache=none", 0x10179006654),
        ("-drive if=none,id=d,driver=null-co,cache=none,cache.writeback=off", 0x10179006454),
    ],
)
def test_a_disks_features_depend_on_its_drive(drive, offered):
    flags = "" if "null-co,node" in drive else ",config-wce=off"
    instance = running(command("pseries-7.2", rest=f"-m 256 {drive} -device virtio-blk-pci,drive=d{flags}"))
    (disk,) = instance.machine.registered(VirtioDevice)
    assert disk.host_features == offered
