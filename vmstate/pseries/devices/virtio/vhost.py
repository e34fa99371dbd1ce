"""Virtio devices that need another end on the host, and refuse without (hw/virtio/vhost-user-base.c, …).

With that end they are not modelled.
"""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, History, Span
from vmstate.errors import NotModelled
from vmstate.pseries.board.driver import Check, Driver, plug_nothing
from vmstate.pseries.board.properties import Property, harmless
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio_pci import (
    DISABLE_LEGACY,
    DISABLE_MODERN,
    NON_TRANSITIONAL,
    backend,
    check_interfaces,
    forms,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

_REFUSES = "a machine with the device does not start without its other end"
_CHECKED = "5.2"
_BASE = "vhost-user-base: missing chardev"
_NEEDS_KVM = "vhost initialization failed: requires kvm"


@dataclass(frozen=True)
class Lonely:
    """A device: its name, its class, how it refuses without the property ``end``; its other properties.

    ``least``: the lowest number that ``end`` may be, for one that is a number.  ``forms``: it has
    transitional and non-transitional forms; ``choice``: properties choose its interfaces.
    """

    name: str
    owner: str
    end: Property
    line: History[str]
    span: Span = ALWAYS
    properties: tuple[Property, ...] = ()
    least: int | None = None
    forms: bool = False
    choice: bool = True
    extra: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def _of(owner: str, kind: str, *names: str, span: Span = ALWAYS) -> tuple[Property, ...]:
    return harmless(owner, kind, _REFUSES, *names, span=span)


def _chardev(owner: str, kind: str | History[str] = "str") -> Property:
    return Property(owner, "chardev", kind=kind, by_global=False)


_SCSI, _BLK, _USER_SCSI = "vhost-scsi", "vhost-user-blk", "vhost-user-scsi"
_FS, _INPUT, _SND = "vhost-user-fs-device", "vhost-user-input", "vhost-user-snd"
_USER_VSOCK, _VSOCK, _VDPA, _9P = (
    *("vhost-user-vsock-device", "vhost-vsock-device", "vhost-vdpa-device", "virtio-9p-device"),
)
_SEQPACKET = Span("6.2")
LONELY = (
    Lonely(
        "vhost-scsi-pci",
        _SCSI,
        Property(_SCSI, "wwpn", by_global=False),
        History("vhost-scsi: missing wwpn"),
        properties=(
            *_of(_SCSI, "str", "vhostfd"),
            *_of(_SCSI, "int32", "bootindex"),
            *_of(_SCSI, "uint32", "boot_tpgt", "cmd_per_lun", "max_sectors", "num_queues", "vectors"),
            *_of(_SCSI, "uint32", "virtqueue_size"),
            *_of(_SCSI, "bool", "migratable", "seg_max_adjust", "t10_pi"),
            *_of(_SCSI, "bool", "hotplug", span=Span("10.1")),
            *_of(_SCSI, "bool", "worker_per_virtqueue", span=Span("9.0")),
        ),
        forms=True,
    ),
    Lonely(
        "vhost-user-blk-pci",
        _BLK,
        _chardev(_BLK),
        History("vhost-user-blk: chardev is mandatory", ("6.1", "chardev is mandatory")),
        Span("2.12"),
        (
            *_of(_BLK, "int32", "bootindex"),
            *_of(_BLK, "uint32", "class", "queue-size", "vectors"),
            *_of(_BLK, "uint16", "num-queues"),
            *_of(_BLK, "bool", "config-wce"),
            *_of(_BLK, "bool", "discard", "write-zeroes", span=Span("7.2")),
            *_of(_BLK, "bool", "skip-get-vring-base-on-force-shutdown", span=Span("10.1")),
            *_of(_BLK, "bool", "inflight-migration", span=Span("11.0")),
            *_of(_BLK, "bool", "seg-max-adjust", span=Span("11.1")),
        ),
        forms=True,
    ),
    Lonely(
        "vhost-user-scsi-pci",
        _USER_SCSI,
        _chardev(_USER_SCSI),
        History("vhost-user-scsi: missing chardev"),
        Span("2.10"),
        (
            *_of(_USER_SCSI, "int32", "bootindex"),
            *_of(_USER_SCSI, "uint32", "boot_tpgt", "cmd_per_lun", "max_sectors", "num_queues", "vectors"),
            *_of(_USER_SCSI, "uint32", "virtqueue_size"),
            *_of(_USER_SCSI, "bool", "hotplug", "param_change", "t10_pi"),
        ),
        forms=True,
    ),
    Lonely(
        "vhost-user-fs-pci",
        _FS,
        _chardev(_FS),
        History("missing chardev"),
        Span("4.2"),
        (
            *_of(_FS, "int32", "bootindex", span=Span("6.0")),
            *_of(_FS, "uint16", "num-request-queues", "queue-size"),
            *_of(_FS, "str", "tag"),
            *_of(_FS, "uint32", "vectors"),
        ),
        choice=False,
    ),
    Lonely(
        "vhost-user-gpio-pci",
        "vhost-user-gpio-device",
        _chardev("vhost-user-gpio-device"),
        History("vhost-user-gpio: chardev is mandatory", ("9.0", _BASE)),
        Span("7.2"),
        choice=False,
    ),
    Lonely(
        "vhost-user-i2c-pci",
        "vhost-user-i2c-device",
        _chardev("vhost-user-i2c-device"),
        History("vhost-user-i2c: missing chardev", ("9.0", _BASE)),
        Span("6.1"),
        choice=False,
    ),
    Lonely(
        "vhost-user-rng-pci",
        "vhost-user-rng",
        _chardev("vhost-user-rng"),
        History("missing chardev", ("9.0", _BASE)),
        Span("6.2"),
        _of("vhost-user-rng", "uint32", "vectors"),
        choice=False,
    ),
    Lonely(
        "vhost-user-snd-pci",
        _SND,
        _chardev(_SND),
        History(_BASE),
        Span("9.0"),
        _of(_SND, "bool", "controls"),
        choice=False,
    ),
    Lonely(
        "vhost-user-input-pci",
        _INPUT,
        _chardev(_INPUT, History("string", ("9.0", "str"))),
        History(_NEEDS_KVM, ("9.0", _BASE)),
        Span("4.1"),
        (*_of(_INPUT, "str", "serial", span=Span(until="9.0")), *_of(_INPUT, "uint32", "vectors")),
    ),
    Lonely(
        "vhost-vdpa-device-pci",
        _VDPA,
        Property(_VDPA, "vhostdev", by_global=False),
        History("vhost-vdpa-device: vhostdev are missing"),
        Span("8.0"),
        (*_of(_VDPA, "int32", "bootindex"), *_of(_VDPA, "uint16", "queue-size")),
        forms=True,
    ),
    Lonely(
        "vhost-user-vsock-pci",
        _USER_VSOCK,
        _chardev(_USER_VSOCK),
        History("missing chardev"),
        Span("5.1"),
        (
            *_of(_USER_VSOCK, "OnOffAuto", "seqpacket", span=_SEQPACKET),
            *_of(_USER_VSOCK, "uint32", "vectors"),
        ),
        extra=(NON_TRANSITIONAL,),
    ),
    Lonely(
        "vhost-vsock-pci",
        _VSOCK,
        Property(_VSOCK, "guest-cid", "0", "uint64", by_global=False),
        History("guest-cid property must be greater than 2"),
        Span("2.8"),
        (
            *_of(_VSOCK, "OnOffAuto", "seqpacket", span=_SEQPACKET),
            *_of(_VSOCK, "str", "vhostfd"),
            *_of(_VSOCK, "uint32", "vectors"),
        ),
        least=3,
        extra=(NON_TRANSITIONAL,),
    ),
    Lonely(
        "virtio-9p-pci",
        _9P,
        Property(_9P, "fsdev", by_global=False),
        History("9pfs device couldn't find fsdev with the id = NULL"),
        properties=(
            *_of(_9P, "str", "mount_tag"),
            *_of(_9P, "bool", "ioeventfd"),
            *_of(_9P, "uint32", "vectors"),
        ),
        forms=True,
        aliases=("virtio-9p",),
    ),
)


def _check(lonely: Lonely) -> Check:
    def check(machine: Machine, option: DeviceOption) -> None:
        check_interfaces(machine, option)
        given = option.get(lonely.end.name)
        there = given is not None
        if lonely.least is not None:
            there = lonely.end.number(machine, option, driver=option.driver) >= lonely.least
        line = lonely.line.at(machine.release)
        if (
            there
            or not Span(_CHECKED).covers(machine.release)
            or (line == _NEEDS_KVM and machine.host is not None)
        ):
            raise NotModelled(f"{option.text}: {option.driver} is not modelled")
        raise Refused(f"{option.text}: {line}")

    return check


def _drivers(lonely: Lonely) -> tuple[Driver, ...]:
    choice = (DISABLE_LEGACY, DISABLE_MODERN)
    common = (one for one in virtio_pci.PROPERTIES if lonely.choice or one not in choice)
    driver = Driver(
        lonely.name,
        plug_nothing,
        lonely.span,
        check=_check(lonely),
        properties=(lonely.end, *lonely.properties, backend(lonely.owner), *common),
        aliases=lonely.aliases,
    )
    found = forms(driver) if lonely.forms or lonely.extra else (driver,)
    wanted = {driver.name, *(driver.name + form for form in lonely.extra)}
    return found if lonely.forms else tuple(one for one in found if one.name in wanted)


DRIVERS = tuple(driver for lonely in LONELY for driver in _drivers(lonely))
