"""Devices in modules, devices whose names choose their interfaces, and other names of devices."""

import pytest

from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.migration import migrate

QUIET = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -m 256"
UNKNOWN = "-device virtio-gpu-pci: 'virtio-gpu-pci' is not a valid device model name"


def line(release, machine, options):
    return f"qemu-{release} -nodefaults -machine pseries-{machine},{QUIET} {options}"


@pytest.mark.parametrize("release", ["10.0.2", "10.0.13", "11.1.3"])
def test_a_build_with_modules_that_are_not_found_refuses_and_the_check_says_why(release):
    command = line(release, "7.2", "-device virtio-gpu-pci")
    start = build(parse(command))
    assert start.messages[-1] == UNKNOWN
    verdict = migrate(command, command)
    assert "this build" in verdict.decided_by.message
    assert verdict.source_messages[-1] == UNKNOWN


@pytest.mark.parametrize("release", ["7.2.22", "10.0.13", "11.1.3"])
def test_the_environment_finds_the_modules_but_none_has_virtio_vga_for_pseries(release):
    found = "QEMU_MODULE_DIR=/usr/lib/qemu LC_ALL=C "
    assert not build(parse(found + line(release, "7.2", "-device virtio-gpu-pci"))).refused
    assert build(parse(found + line(release, "7.2", "-device virtio-vga"))).refused


def test_7_2_22_was_recorded_where_its_modules_are_installed():
    assert not build(parse(line("7.2.22", "7.2", "-device virtio-gpu-pci"))).refused


@pytest.mark.parametrize("release", ["5.2.0", "7.2.0", "10.2.0"])
@pytest.mark.parametrize("card", ["virtio-gpu-pci", "virtio-vga"])
def test_other_builds_have_the_devices_built_in(release, card):
    assert not build(parse(line(release, "5.2", f"-device {card}"))).refused


def test_the_text_of_a_command_line_keeps_the_folder_of_modules():
    text = parse("QEMU_MODULE_DIR=/m qemu-7.2.22 -device virtio-gpu-pci").text
    assert text == "QEMU_MODULE_DIR=/m qemu-7.2.22 -device virtio-gpu-pci"


@pytest.mark.parametrize("device", ["virtio-rng-pci", "virtio-balloon-pci", "virtio-scsi-pci"])
def test_the_name_of_a_form_chooses_the_interfaces_also_on_old_types(device):
    """Types up to 2.6 switch virtio 1 off, but only for the driver whose properties choose."""
    plain, both, modern = (
        line("7.2.22", "2.6", f"-device {device}{form}")
        for form in ("", "-transitional", "-non-transitional")
    )
    assert migrate(plain, plain).outcome == migrate(both, both).outcome == "accept"
    for other in (plain, modern):
        assert migrate(both, other).messages[0].startswith("get_pci_config_device: Bad config data")


def test_a_form_has_no_properties_for_its_interfaces():
    device = "-device virtio-net-pci-transitional,disable-legacy=on"
    refusal = f"{device}: Property 'virtio-net-pci-transitional.disable-legacy' not found"
    assert build(parse(line("7.2.22", "7.2", device))).messages == (refusal,)


def test_a_default_for_the_interfaces_is_refused_by_each_form_and_later_by_every_machine():
    """From 9.0 on a machine makes one of each network card, to see whether it has a back end."""
    default = "-global virtio-pci.disable-modern=on"
    lacks = f"can't apply global {default.split()[1]}: Property '{{}}.disable-modern' not found"
    form = "virtio-rng-pci-transitional"
    assert not build(parse(line("7.2.22", "7.2", default))).refused
    refused = build(parse(line("7.2.22", "7.2", f"{default} -device {form}")))
    assert refused.messages == (f"-device {form}: {lacks.format(form)}",)
    refused = build(parse(line("10.0.13", "10.0", default)))
    assert refused.messages == (lacks.format("virtio-net-pci-non-transitional"),)


def test_an_alias_is_the_driver():
    alias, driver = (line("7.2.22", "7.2", f"-device {name}") for name in ("virtio-rng", "virtio-rng-pci"))
    assert migrate(alias, driver).outcome == migrate(driver, alias).outcome == "accept"


def test_a_machine_with_virtio_crypto_cannot_be_saved():
    crypto = "-object cryptodev-backend-builtin,id=c -device virtio-crypto-pci,cryptodev=c"
    verdict = migrate(line("7.2.22", "7.2", crypto), line("7.2.22", "7.2", ""))
    assert (verdict.outcome, verdict.source_messages) == ("source-refused", [])
    assert "non-migratable device 'pci@800000020000000:00.0/virtio-crypto'" in verdict.decided_by.message
