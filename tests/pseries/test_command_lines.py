"""Command lines: every option is known, JSON is read where QEMU reads it, and each refusal is QEMU's own.

The lines of QEMU are those of 5.2.0, 7.2.22 and 10.0.13, asked for each of these command lines.
"""

from __future__ import annotations

import pytest

from tools import option_table
from vmstate.errors import ConfigurationError
from vmstate.pseries.catalogue import CATALOGUE
from vmstate.pseries.options import Opt, parse_json
from vmstate.pseries.registration import register
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.pseries.startup.option_table import OPTIONS, Treatment
from vmstate.simulate.migration import migrate

QUIET = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
PLAIN = f"-nodefaults -machine pseries,{QUIET} -m 256"
BACKEND = "-object memory-backend-ram,id=mm,size=256M"
RESERVED = (
    "object name 'ppc_spapr.ram' is reserved for the default RAM backend, it can't be used for any other "
    "purposes. Change the object's 'id' to something else"
)
OTHER_SIZE = "Size specified by -m option must match size of explicitly specified 'memory-backend' property"
UNEVEN = (
    "-m 512 -object memory-backend-ram,id=m0,size=128M -object memory-backend-ram,id=m1,size=384M "
    "-numa node,memdev=m0 -numa node,memdev=m1"
)
PARTIAL = (
    "warning: All CPU(s) up to maxcpus should be described in NUMA config, ability to start up with partial "
    "NUMA mappings is obsoleted and will be removed in future"
)
DUPLICATES = '-device \'{"driver":"virtio-rng-pci","id":"r"}\' -device \'{"driver":"e1000","id":"r"}\''


def started(release: str, more: str):
    return build(parse(f"qemu-{release} {PLAIN} {more}"))


def blocks(release: str, more: str) -> list[str]:
    machine = started(release, more).machine
    assert machine is not None
    ram = next(entry.device for entry in register(machine.boot()) if entry.device.idstr == "ram")
    return [block.name for block in ram.blocks]


def devices(release: str, more: str) -> list[str]:
    machine = build(parse(f"qemu-{release} -machine pseries,{QUIET} -m 256 {more}")).machine
    assert machine is not None
    found = [entry.device.idstr for entry in register(machine.boot())]
    return [name.rpartition("/")[2] for name in found if name.startswith("pci@")]


def test_json_gives_values_as_text_and_keys_in_the_order_of_a_qdict():
    text = '{"driver": "e1000", "addr": "0x2", "reg": 8192, "on": true, "list": [1, 2], "x": null}'
    found = parse_json(text)
    assert sorted(found, key=lambda opt: opt.name) == [
        Opt("addr", "0x2", json="string"),
        Opt("driver", "e1000", json="string"),
        Opt("list", "[1, 2]", json="array"),
        Opt("on", "on", json="boolean"),
        Opt("reg", "8192", json="integer"),
        Opt("x", "null", json="null"),
    ]
    for wrong in ("", "[1]", '{"a": 1, "a": 2}', '{"a": NaN}', "{'a': 1}", '{"a": 1} x'):
        with pytest.raises(ValueError):  # noqa: PT011 - the message is that of json
            parse_json(wrong)


@pytest.mark.parametrize(
    ("release", "arguments", "lines"),
    [
        ("7.2.22", "-machine memory-backend=nn", ["Memory backend 'nn' not found"]),
        (
            "5.2.0",
            "-object memory-backend-ram,id=mm,size=512M -machine memory-backend=mm",
            [OTHER_SIZE],
        ),
        (
            "7.2.22",
            "-object memory-backend-ram,id=mm,size=512M -machine memory-backend=mm",
            ["Machine memory size does not match the size of the memory backend"],
        ),
        (
            "7.2.22",
            "-numa node,nodeid=0",
            ["total memory for NUMA nodes (0x0) should equal RAM size (0x10000000)"],
        ),
        (
            "7.2.22",
            "-numa node,nodeid=0,mem=256",
            [
                "-numa node,nodeid=0,mem=256: Parameter -numa node,mem is not supported by this machine type",
                "Use -numa node,memdev instead",
            ],
        ),
        (
            "7.2.22",
            UNEVEN,
            ["Node 0 memory size 0x8000000 is not aligned to 256 MiB"],
        ),
        (
            "7.2.22",
            f"{BACKEND} -numa node,nodeid=0,cpus=0-1,memdev=mm",
            ["-numa node,nodeid=0,cpus=0-1,memdev=mm: CPU index (1) should be smaller than maxcpus (1)"],
        ),
        (
            "7.2.22",
            "-device virtio-rng-pci,id=a -set device.b.max-bytes=7",
            ['-set device.b.max-bytes=7: there is no device "b" defined'],
        ),
        ("7.2.22", "-set device", ['-set device: can\'t parse: "device"']),
        ("7.2.22", '-device \'{"id":"x"}\'', ['-device {"id":"x"}: Parameter \'driver\' is missing']),
        (
            "5.2.0",
            '-device \'{"driver":"e1000","id":"x"}\'',
            ['-device {"driver":"e1000","id":"x"}: \'{"driver":"e1000"\' is not a valid device model name'],
        ),
        ("5.2.0", '-netdev \'{"type":"user","id":"n"}\'', ["Parameter 'id' is missing"]),
        (
            "7.2.22",
            "-chardev null,id=c -chardev null,id=c",
            ["-chardev null,id=c: Duplicate ID 'c' for chardev"],
        ),
        (
            "7.2.22",
            '-netdev \'{"type":"user","id":"n"}\' -netdev user,id=n',
            ["-netdev user,id=n: Duplicate ID 'n'"],
        ),
        (
            "7.2.22",
            '-blockdev \'{"driver":"null-co"}\'',
            ['-blockdev {"driver":"null-co"}: \'node-name\' must be specified for the root node'],
        ),
        ("7.2.22", "-boot foo=1", ["Parameter 'boot.foo' is unexpected"]),
        ("5.2.0", "-boot foo=1", ["-boot foo=1: Invalid parameter 'foo'"]),
        ("7.2.22", "-boot order=z", ["Invalid boot device 'z'"]),
        ("7.2.22", "-audiodev driver=none", ["-audiodev driver=none: Parameter 'id' is missing"]),
        (
            "7.2.22",
            "-object memory-backend-ram,id=mm",
            ["-object memory-backend-ram,id=mm: Parameter 'size' is missing"],
        ),
        (
            "7.2.22",
            f"{BACKEND},nonsense=1",
            [f"{BACKEND},nonsense=1: Invalid parameter 'nonsense'"],
        ),
        ("7.2.22", "-icount 11", ["-icount 11: icount: Invalid shift value"]),
        ("7.2.22", "-icount align=on", ["-icount align=on: Please specify shift option when using align"]),
        ("7.2.22", "-icount foo=1", ["-icount foo=1: Invalid parameter 'foo'"]),
        ("7.2.22", "-append x", ["-append only allowed with -kernel option"]),
        ("5.2.0", "-initrd x", ["-initrd only allowed with -kernel option"]),
        ("7.2.22", "-smbios type=1", ["-smbios type=1: Option not supported for this target"]),
        ("7.2.22", "-uuid xyz", ["-uuid xyz: failed to parse UUID string: wrong format"]),
        ("7.2.22", "-tb-size 5", ["-tb-size: invalid option"]),
        ("7.2.22", "-overcommit foo=1", ["-overcommit foo=1: Invalid parameter 'foo'"]),
        ("7.2.22", "-rtc foo=1", ["-rtc foo=1: Invalid parameter 'foo'"]),
        ("7.2.22", "-name foo,bar=1", ["-name foo,bar=1: Invalid parameter 'bar'"]),
        (
            "7.2.22",
            DUPLICATES,
            ['-device {"driver":"e1000","id":"r"}: Duplicate device ID \'r\''],
        ),
        ("7.2.22", "-device usb-kbd,bus=usb.0", ["-device usb-kbd,bus=usb.0: Bus 'usb.0' not found"]),
        (
            "7.2.22",
            "-object memory-backend-ram,id=ppc_spapr.ram,size=256M",
            [RESERVED],
        ),
    ],
)
def test_a_refusal_is_in_qemus_words(release, arguments, lines):
    start = started(release, arguments)
    assert (start.refused, list(start.messages)) == (True, lines)


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "10.0.2"])
def test_guest_memory_is_named_after_its_back_end(release):
    assert blocks(release, "") == ["ppc_spapr.ram"]
    assert blocks(release, f"{BACKEND} -machine memory-backend=mm") == ["mm"]
    assert blocks(release, f"{BACKEND} -numa node,nodeid=0,memdev=mm") == ["mm"]
    nodes = "-object memory-backend-ram,id=m0,size=256M -numa node,memdev=mm -numa node,memdev=m0"
    assert blocks(release, f"-m 512 {BACKEND} {nodes}") == ["mm", "m0"]


def test_processors_outside_of_all_nodes_are_warned_of():
    start = started("7.2.22", f"-smp 1,maxcpus=4 {BACKEND} -numa node,nodeid=0,cpus=0-1,memdev=mm")
    assert list(start.messages) == [
        "warning: CPU(s) not present in any NUMA nodes: CPU 2 [core-id: 2], CPU 3 [core-id: 3]",
        PARTIAL,
    ]
    assert started("7.2.22", f"{BACKEND} -numa node,nodeid=0,cpus=0,memdev=mm").messages == ()


def test_a_file_of_old_machine_types_is_named_by_its_path():
    old = f"-machine pseries-3.1,{QUIET},memory-backend=mm -m 256"
    memfd = "-object memory-backend-memfd,id=mm,size=256M"
    assert blocks("7.2.22", f"{old} {memfd}") == ["/objects/mm"]
    assert blocks("7.2.22", f"{old} {memfd},x-use-canonical-path-for-ramblock-id=off") == ["mm"]
    assert blocks("7.2.22", f"{old} {BACKEND}") == ["mm"]


def test_memory_of_back_ends_comes_before_the_machines_own():
    more = f"-m 256,slots=2,maxmem=1G {BACKEND} -device pc-dimm,memdev=mm"
    assert blocks("7.2.22", more) == ["mm", "ppc_spapr.ram"]


def test_other_names_of_memory_are_other_memory():
    named = f"qemu-7.2 {PLAIN} {BACKEND} -machine memory-backend=mm"
    verdict = migrate(named, f"qemu-7.2 {PLAIN}")
    assert verdict.outcome == "reject"
    assert verdict.messages[0] == 'Unknown ramblock "mm", cannot accept migration'


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "10.0.2"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ["vga", "xhci", "usb-kbd", "usb-ptr"]),
        ("-vga none", []),
        ("-vga none -usb", ["xhci"]),
        ("-vga none -device VGA", ["vga"]),
        ("-machine usb=off", ["vga"]),
        ("-nodefaults -usb", ["xhci"]),
        ("-nodefaults -machine usb=on", ["xhci"]),
        ("-nodefaults -usb -machine usb=off", []),
        ("-nodefaults -vga std", ["vga"]),
        ("-nodefaults -usb -vga std", ["vga", "xhci", "usb-kbd", "usb-ptr"]),
        ("-nodefaults -usb -device VGA", ["xhci", "usb-kbd", "usb-ptr", "vga"]),
        ("-nodefaults -vga none -usb -device VGA", ["xhci", "vga"]),
        ("-nodefaults -vga std -device VGA", ["vga", "vga"]),
    ],
)
def test_the_boards_screen_and_usb(release, arguments, expected):
    assert [name for name in devices(release, arguments) if name != "spapr_pci"] == expected


def test_no_network_card_without_a_network():
    names = [e.device.idstr for e in register(build(parse("qemu-7.2 -m 256 -net none")).machine.boot())]
    assert "v-scsi@71000002/spapr_vscsi" in names
    assert not any("llan" in name or name == "slirp" for name in names)


def test_devices_in_json_are_created_after_the_others_and_networks_before():
    in_json = '-device \'{"driver":"virtio-rng-pci","id":"r"}\''
    assert devices("7.2.22", f"-nodefaults {in_json} -device e1000") == ["e1000", "virtio-rng"]
    hub = '-netdev hubport,hubid=0,id=n1 -netdev \'{"type":"hubport","hubid":1,"id":"n2"}\''
    assert [line for line in started("7.2.22", hub).messages if "netdev" in line] == [
        "warning: netdev n2 has no peer",
        "warning: netdev n1 has no peer",
    ]


@pytest.mark.parametrize("option", [one for one in OPTIONS if one.treatment is Treatment.NO_EFFECT])
def test_an_option_without_effect_is_known_by_its_releases_only(option):
    values = {"name": "g", "rtc": "base=utc", "msg": "timestamp=on", "overcommit": "mem-lock=on"}
    values |= {"boot": "order=cd", "g": "800x600", "watchdog-action": "none", "mon": "m -chardev null,id=m"}
    argument = values.get(option.name, "on")
    argument = "1" if option.name == "seed" else argument
    for release in CATALOGUE.newest:
        start = started(str(release), f"-{option.name} {argument}" if option.arguments else f"-{option.name}")
        gone = f"-{option.name}: invalid option"
        assert (gone in start.messages) is not option.span.covers(release), release


def test_every_option_has_a_reason():
    assert [one.name for one in OPTIONS if not one.why] == []
    assert len({one.name for one in OPTIONS}) == len(OPTIONS) > 150


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        ("pc-q35-8.0", "only pseries is simulated; for this machine ask a real QEMU: `vmstate replay`"),
        ("virt", "only pseries is simulated"),
        ("powernv10", "only pseries is simulated"),
        ("pseries-rhel8.2.0", "upstream has no such type"),
        ("pseries-bionic-sxxm", "upstream has no such type"),
    ],
)
def test_a_machine_that_is_not_simulated_is_not_refused_in_qemus_name(machine, text):
    with pytest.raises(ConfigurationError, match=text):
        build(parse(f"qemu-7.2 -machine {machine}"))


def test_types_of_other_releases_are_refused_by_qemu():
    for machine in ("pseries-99.0", "pseries-9.2", "nosuch"):
        assert build(parse(f"qemu-7.2 -machine {machine}")).messages[0] == "unsupported machine type"


def test_a_file_of_options_is_read_as_options(tmp_path):
    config = tmp_path / "guest.conf"
    config.write_text(
        '# a guest\n[machine]\n  type = "pseries"\n  usb = "on"\n\n[memory]\n  size = "512M"\n'
        '[object "mm"]\n  qom-type = "memory-backend-ram"\n  size = "512M"\n'
        '[device "net0"]\n  driver = "e1000"\n[rtc]\n  base = "utc"\n'
    )
    read = f"-nodefaults -readconfig {config}"
    assert devices("7.2.22", read) == ["xhci", "e1000"]
    start = build(parse(f"qemu-7.2 {read} -machine memory-backend=mm"))
    assert start.machine is not None
    assert (start.machine.ram_size, start.machine.memory_backends[0].id) == (512 << 20, "mm")
    for wrong in ('[nonsense]\na = "b"', "[machine", "a = 1"):
        config.write_text(wrong)
        with pytest.raises(ConfigurationError, match="not modelled"):
            build(parse(f"qemu-7.2 {read}"))
    with pytest.raises(ConfigurationError, match="No such file"):
        build(parse(f"qemu-7.2 -readconfig {tmp_path / 'missing'}"))


def test_set_changes_a_device_that_was_given():
    start = started("7.2.22", "-device e1000,id=a,addr=1 -set device.a.addr=3")
    assert start.machine is not None
    assert start.machine.devices[0].get("addr") == "3"


@pytest.mark.parametrize("release", ["5.2.0", "7.2.22", "10.0.2"])
@pytest.mark.parametrize(
    ("source", "destination", "outcome"),
    [
        ("-icount 1", "-icount 1", "accept"),
        ("-icount auto", "-icount auto", "accept"),
        ("-icount 1,sleep=off", "", "accept"),
        ("", "-icount auto", "accept"),
        ("-icount 1", "-icount auto", "accept"),
        ("-icount 1", "", "reject"),
        ("-icount auto", "-icount 1", "reject"),
        ("-icount 1", "-icount 1,sleep=off", "reject"),
    ],
)
def test_a_timer_that_a_destination_lacks_ends_it(release, source, destination, outcome):
    verdict = migrate(f"qemu-{release} {PLAIN} {source}", f"qemu-{release} {PLAIN} {destination}")
    assert (verdict.outcome, verdict.aborted) == (outcome, outcome == "reject")
    if verdict.aborted:
        assert verdict.messages == ["vmstate_load_state: Assertion `first_elem || !n_elems || !size' failed."]


def test_the_document_of_options_is_current():
    assert option_table.DOCUMENT.read_text() == option_table.document(), "run tools/option_table.py"
