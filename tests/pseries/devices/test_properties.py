"""The properties of every driver: nothing missing, nothing made up, and what each does."""

import json
from pathlib import Path

import pytest

from tests.support.properties_page import PAGE, page
from vmstate.describe.history import Release, at
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.board.properties import Effect
from vmstate.pseries.devices import drivers
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.tables.builds import lacks
from vmstate.qemu import find_all
from vmstate.qemu.properties import properties_of
from vmstate.simulate.migration import migrate

RECORDED = sorted((Path(__file__).parents[3] / "fixtures" / "properties").glob("*.json"))
QUIET = "-machine pseries-7.2,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off -m 256"
SWITCH = {"true": "on", "false": "off"}


def has(release, driver):
    """Return True if that release's program has the driver, with its modules installed."""
    return driver.span.covers(release) and not lacks(release, driver.module, found=True)


def declared(driver, release):
    found = (driver.property(name, release) for name in driver.all_properties)
    return {one.name: one for one in found if one is not None and one.listed}


def check(driver, release, listed):
    ours = declared(driver, release)
    assert sorted(ours) == sorted(listed), driver.name
    assert {n: at(p.kind, release) for n, p in ours.items()} == {n: kind for n, (kind, _) in listed.items()}
    for name, (_, default) in listed.items():
        mine = ours[name].default
        if default is None or callable(mine) or (driver.name, name) == ("qemu-xhci", "msi"):
            continue
        mine = at(mine, release)
        if ours[name].effect is not Effect.HARMLESS or mine:
            assert mine == SWITCH.get(default, default), (driver.name, name)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_driver_has_the_properties_that_its_release_lists(path):
    release = Release.parse(path.stem)
    for name, listed in json.loads(path.read_text()).items():
        check(drivers()[name], release, listed)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_release_has_the_drivers_that_it_is_said_to_have(path):
    there = {name for name, one in drivers().items() if has(Release.parse(path.stem), one)}
    listed = json.loads(path.read_text())
    assert {name for name, properties in listed.items() if properties} == there


@pytest.mark.qemu
@pytest.mark.parametrize("name", sorted(drivers()))
def test_a_driver_has_the_properties_that_a_real_qemu_lists(name):
    for binary in find_all():
        driver = drivers()[name]
        listed = properties_of(binary, name)
        assert bool(listed) == has(binary.release, driver)
        if listed:
            check(driver, binary.release, listed)


def test_a_property_says_why_it_is_harmless_and_only_then():
    for driver in drivers().values():
        for several in driver.all_properties.values():
            for one in several:
                assert bool(one.why) == (one.effect is Effect.HARMLESS), (driver.name, one.name)


def test_of_one_name_a_release_has_one_property():
    for path in RECORDED:
        release = Release.parse(path.stem)
        for driver in drivers().values():
            for several in driver.all_properties.values():
                assert sum(one.span.covers(release) for one in several) <= 1, several


def test_the_page_lists_them():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.support.properties_page"


def outcome(source, destination="", release="7.2"):
    sides = (f"qemu-{release} -nodefaults {QUIET} {options}" for options in (source, destination or source))
    return migrate(*sides)


@pytest.mark.parametrize(
    ("release", "option", "line"),
    [
        ("7.2", "VGA,foo=1", "Property 'VGA.foo' not found"),
        ("7.2", "VGA,mmio=YES", "Parameter 'mmio' expects 'on' or 'off'"),
        ("7.2", "VGA,vgamem_mb=foo", "Parameter 'vgamem_mb' expects integer"),
        ("7.2", "VGA,vgamem_mb=-1", "Parameter 'vgamem_mb' expects uint32_t"),
        ("7.2", "pci-ohci,num-ports=16", "OHCI num-ports=16 is too big (limit is 15 ports)"),
        (
            "7.2",
            "virtio-rng-pci,disable-legacy=foo",
            "Parameter 'disable-legacy' does not accept value 'foo'",
        ),
        ("7.2", "virtio-rng-pci,packed=on,zz=1,aa=1", "Property 'virtio-rng-pci.aa' not found"),
        ("7.2", "virtio-balloon-pci,vectors=2", "Property 'virtio-balloon-pci.vectors' not found"),
        (
            "7.2",
            "virtio-rng-pci,iommu_platform=on",
            "VIRTIO_F_IOMMU_PLATFORM was supported by neither legacy nor transitional device",
        ),
    ],
)
def test_a_device_refuses_what_its_release_refuses(release, option, line):
    verdict = outcome(f"-device {option}", release=release)
    assert verdict.outcome == "source-refused"
    assert verdict.source_messages[-1] == f"-device {option}: {line}"


@pytest.mark.parametrize(
    "option", ["VGA,romsize=1048576", "virtio-net-pci,romfile=x.rom", "usb-kbd,attached=off"]
)
def test_a_property_that_is_not_modelled_is_an_error_that_names_it(option):
    with pytest.raises(ConfigurationError, match=option.split(",")[1].split("=")[0]):
        outcome(f"-device nec-usb-xhci -device {option}")


@pytest.mark.parametrize("option", ["VGA,romsize=0xffffffff", "pc-dimm,memdev=m,node=0,slot=-1"])
def test_a_property_with_the_value_that_it_has_anyway_is_accepted(option):
    memory = "-object memory-backend-ram,id=m,size=256M"
    machine = f"qemu-7.2 -nodefaults {QUIET},slots=2,maxmem=1G {memory} -device {option}"
    assert migrate(machine, machine).outcome == "accept"


@pytest.mark.parametrize(
    ("source", "destination", "line"),
    [
        ("virtio-rng-pci,disable-legacy=on", "virtio-rng-pci", "i=0x2 read: 44 device: 5"),
        ("virtio-rng-pci,multifunction=on", "virtio-rng-pci", "i=0xe read: 80 device: 0"),
        ("virtio-rng-pci,modern-pio-notify=on", "virtio-rng-pci", "i=0x34 read: ac device: 98"),
        ("VGA,mmio=off", "VGA", "i=0x8 read: 0 device: 2"),
        ("nec-usb-xhci,msi=off", "nec-usb-xhci", "i=0x70 read: 0 device: 5"),
    ],
)
def test_a_property_that_differs_is_found_in_the_configuration_space(source, destination, line):
    verdict = outcome(f"-device {source}", f"-device {destination}")
    assert verdict.outcome == "reject"
    assert any(line in message for message in verdict.messages)


def test_a_global_of_a_driver_is_the_same_as_its_property():
    there = "-global VGA.mmio=off -global virtio-rng-pci.disable-legacy=on -device VGA -device virtio-rng-pci"
    here = "-device VGA,mmio=off -device virtio-rng-pci,disable-legacy=on"
    assert outcome(there, here).outcome == "accept"
    assert outcome(there, "-device VGA -device virtio-rng-pci").outcome == "reject"


@pytest.mark.parametrize("default", ["VGA.romsize=4096", "virtio-net-pci.netdev=n0", "VGA.foo=1"])
def test_a_global_that_is_not_modelled_is_an_error(default):
    with pytest.raises(ConfigurationError, match="not modelled"):
        outcome(f"-global {default} -device VGA")


def test_a_global_for_which_there_is_no_device_is_a_warning_where_none_can_come_later():
    verdict = outcome("-global VGA.mmio=off -global virtio-rng-pci.packed=on -global pci-ohci.num-ports=2")
    assert tuple(verdict.source_messages) == (
        "warning: global VGA.mmio=off not used",
        "warning: global pci-ohci.num-ports=2 not used",
    )


def test_a_flag_without_a_value_is_a_warning():
    verdict = outcome("-device VGA,nommio", "-device VGA,mmio=off")
    assert verdict.outcome == "accept"
    assert tuple(verdict.source_messages) == (
        "-device VGA,nommio: warning: short-form boolean option 'nommio' deprecated",
        "Please use mmio=off instead",
    )


@pytest.mark.parametrize(
    ("release", "option", "line"),
    [
        (
            "10.0",
            "virtio-net-pci,tx_queue_size=512",
            "Invalid tx_queue_size (= 512), must be a power of 2 between 256 and 256",
        ),
        (
            "7.2",
            "virtio-net-pci,rx_queue_size=300",
            "Invalid rx_queue_size (= 300), must be a power of 2 between 256 and 1024.",
        ),
        ("7.2", "virtio-serial-pci,max_ports=512", "maximum ports supported: 511"),
        ("7.2", "virtio-scsi-pci,virtqueue_size=2", "invalid virtqueue_size property (= 2), must be > 2"),
        ("10.0", "virtio-rng-pci,max-bytes=0", "'max-bytes' parameter must be positive, and less than 2^63"),
        (
            "7.2",
            "virtio-rng-pci,max-bytes=-1",
            "'max-bytes' parameter must be non-negative, and less than 2^63",
        ),
    ],
)
def test_a_device_refuses_numbers_out_of_its_range(release, option, line):
    assert outcome(f"-device {option}", release=release).source_messages[-1] == f"-device {option}: {line}"


def test_two_devices_cannot_have_one_place_in_the_boot_order():
    card = "-device virtio-net-pci,romfile=,bootindex"
    verdict = outcome(f"{card}=1 {card}=0x1")
    assert verdict.source_messages[-1].endswith("bootindex=0x1: The bootindex 1 has already been used")


def test_a_usb_device_takes_the_port_that_it_asks_for_and_is_named_by_it():
    controller = "-device nec-usb-xhci -device usb-kbd,port"
    assert outcome(f"{controller}=2").outcome == "accept"
    verdict = outcome(f"{controller}=2", f"{controller}=1")
    assert any("'pci@800000020000000:00.0/2/usb-kbd'" in line for line in verdict.messages)


def test_the_last_free_port_gets_a_hub_which_is_not_modelled():
    with pytest.raises(ConfigurationError, match="USB port"):
        outcome(f"-device nec-usb-xhci {'-device usb-kbd ' * 4}")


RNG = "virtio-rng-pci,addr"


@pytest.mark.parametrize(
    ("release", "first", "second", "line"),
    [
        ("7.2", f"{RNG}=5", f"{RNG}=5", "PCI: slot 5 already occupied by virtio-rng-pci"),
        (
            "5.2",
            f"{RNG}=5",
            f"{RNG}=5",
            "PCI: slot 5 function 0 not available for virtio-rng-pci, in use by virtio-rng-pci",
        ),
        (
            "7.2",
            f"{RNG}=5",
            f"{RNG}=5.1",
            "PCI: single function device can't be populated in function 5.1",
        ),
        (
            "7.2",
            f"{RNG}=5.1",
            f"{RNG}=5",
            "PCI: 5.0 indicates single function, but 5.1 is already populated.",
        ),
    ],
)
def test_a_function_that_is_taken_or_not_announced_is_refused(release, first, second, line):
    machine = QUIET.replace("pseries-7.2", "pseries")
    command = f"qemu-{release} -nodefaults {machine} -device {first} -device {second}"
    assert migrate(command, command).source_messages[-1] == f"-device {second}: {line}"


DISK = "-drive if=none,id=d0,driver=null-co,size=1M -device virtio-blk-pci,drive=d0"
MODULES = "-object memory-backend-ram,id=a,size=256M -object memory-backend-ram,id=b,size=256M"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (f"{DISK},werror=foo", "Parameter 'werror' does not accept value 'foo'"),
        (f"{DISK},logical_block_size=4096", "logical_block_size > physical_block_size not supported"),
        (f"{MODULES} -device pc-dimm,memdev=a -device pc-dimm,memdev=b,slot=0", "slot 0 is busy"),
        (f"{MODULES} -device pc-dimm,memdev=a,slot=2", "invalid slot number 2, valid range is [0-1]"),
    ],
)
def test_disks_and_memory_modules_refuse_what_does_not_go_together(options, line):
    command = f"qemu-7.2 -nodefaults {QUIET},slots=2,maxmem=2G {options}"
    assert migrate(command, command).source_messages[-1].endswith(f": {line}")


@pytest.mark.parametrize(
    "options",
    [
        f"{DISK},werror=stop,rerror=ignore,logical_block_size=4096,physical_block_size=4096",
        f"{MODULES} -device pc-dimm,memdev=a,slot=1 -device pc-dimm,memdev=b",
    ],
)
def test_disks_and_memory_modules_start_with_what_does(options):
    command = f"qemu-7.2 -nodefaults {QUIET},slots=2,maxmem=2G {options}"
    assert migrate(command, command).outcome == "accept"


def test_a_json_value_of_another_type_than_the_property_is_not_modelled():
    def asked(value):
        device = f'\'{{"driver": "virtio-rng-pci", "max-bytes": {value}, "addr": "0x3"}}\''
        return f"qemu-7.2 -nodefaults {QUIET} -device {device}"

    assert migrate(asked("5"), asked("5")).outcome == "accept"
    with pytest.raises(ConfigurationError, match="max-bytes=5: a JSON string"):
        migrate(asked('"5"'), asked("5"))


DISK = (
    "-blockdev driver=null-co,node-name=b0,size=1048576 -device virtio-blk-pci,drive=b0,discard_granularity="
)
EXPLAINED = [
    "Parameter 'discard_granularity' expects a non-negative number below 2^64",
    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-",
    "and exabytes, respectively.",
]
OUT_OF_RANGE = "Value '{}' is out of range for parameter 'discard_granularity'"


@pytest.mark.parametrize("value", ["7.5", "maybe", "0x", "4096x", "-1", "99999999999999999999", "16E", ""])
def test_what_is_no_size_is_refused_in_the_words_of_the_release(value):
    option = f"-device virtio-blk-pci,drive=b0,discard_granularity={value}: "
    for release in ("7.2.22", "10.0.13", "11.1.3"):
        start = build(parse(f"qemu-{release} -nodefaults -machine pseries-5.2 {DISK}'{value}'"))
        assert start.messages[-1] == f"{option}Parameter 'discard_granularity' expects size"
    first, *rest = EXPLAINED
    if value in ("-1", "99999999999999999999", "16E"):
        first, rest = OUT_OF_RANGE.format(value), []
    old = build(parse(f"qemu-5.2.0 -nodefaults -machine pseries-5.2 {DISK}'{value}'"))
    assert old.messages[-1 - len(rest) :] == (option + first, *rest)


@pytest.mark.parametrize("value", ["12k", "1.5k", "0x200", "512B", ".5k", "5."])
def test_what_is_a_size_or_may_be_one_is_not_refused(value):
    with pytest.raises(NotModelled, match="discard_granularity"):
        build(parse(f"qemu-7.2.22 -nodefaults -machine pseries-5.2 {DISK}{value}"))


#: As 5.2.0, 7.2.22, 10.0.13 and 11.1.3 said it; 5.2.0 reads in the order given, the others in a QDict's.
REFUSED_VALUES = (
    (
        "7.2.22",
        "virtio-rng-pci,addr=20,multifunction=x",
        "Property 'virtio-rng-pci.addr' doesn't take value '20'",
    ),
    ("5.2.0", "virtio-rng-pci,multifunction=x,addr=20", "Parameter 'multifunction' expects 'on' or 'off'"),
    (
        "11.1.3",
        "virtio-rng-pci,multifunction=x,addr=5.",
        "Property 'virtio-rng-pci.addr' doesn't take value '5.'",
    ),
    ("10.0.13", "pci-ohci,addr=1f.8", "Property 'pci-ohci.addr' doesn't take value '1f.8'"),
    ("5.2.0", "virtio-rng-pci,hotplugged=12k", "Insufficient permission to perform this operation"),
    ("7.2.22", "spapr-vlan,type=x", "Property 'spapr-vlan.type' is not writable"),
    ("11.1.3", "virtio-rng-pci,parent_bus=", "Property 'virtio-rng-pci.parent_bus' is not writable"),
    (
        "10.0.13",
        "VGA,x-max-bounce-buffer-size=99999999999",
        "Property VGA.x-max-bounce-buffer-size doesn't take value 99999999999 (maximum: 4294967295)",
    ),
    (
        "7.2.22",
        "virtio-blk-pci,drive=d0,opt_io_size=4G",
        "Property virtio-blk-device.opt_io_size doesn't take value 4294967296 (maximum: 4294967295)",
    ),
    (
        "5.2.0",
        "virtio-blk-pci,drive=d0,opt_io_size=4G",
        "Property .opt_io_size doesn't take value 4294967296 (maximum: 4294967295)",
    ),
)


@pytest.mark.parametrize(("release", "device", "line"), REFUSED_VALUES)
def test_a_value_that_is_not_taken_is_refused_in_words_of_the_release(release, device, line):
    drive = "-blockdev null-co,node-name=d0,size=1048576" if "d0" in device else ""
    text = f"qemu-{release} -nodefaults -machine pseries-5.2 {drive} -device {device}"
    assert build(parse(text)).messages[-1] == f"-device {device}: {line}"


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "11.1.3"])
@pytest.mark.parametrize(
    ("device", "owner"),
    [("virtio-net-pci", "virtio-net-device"), ("e1000", "e1000"), ("spapr-vlan", "spapr-vlan")],
)
@pytest.mark.parametrize("value", ["52:54:00:12:34", "52:54:00:12:34:5x", "5254:00:12:34:59", ""])
def test_what_is_no_address_is_refused(release, device, owner, value):
    option = f"-device {device},mac={value}"
    start = build(parse(f"qemu-{release} -nodefaults -machine pseries-5.2 {option}"))
    assert start.messages[-1] == f"{option}: Property '{owner}.mac' doesn't take value '{value}'"


def test_a_drive_without_a_format_says_that_it_guessed():
    text = "qemu-7.2 -nodefaults -drive if=none,id=d0,file.driver=null-co"
    first, second, third = build(parse(text)).messages[:3]
    assert first == "WARNING: Image format was not specified for 'null-co://' and probing guessed raw."
    assert second.endswith("raw images, write operations on block 0 will be restricted.")
    assert third == "         Specify the 'raw' format explicitly to remove the restrictions."
    assert "WARNING" not in " ".join(build(parse(f"{text},format=raw")).messages)
