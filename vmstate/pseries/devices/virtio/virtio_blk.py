"""virtio-blk: disks (hw/block/virtio-blk.c)."""

from __future__ import annotations

from typing import Any

from vmstate.describe import Cursor, Field, History, VMStateDescription, Writer
from vmstate.describe.history import Span
from vmstate.describe.infos import Info
from vmstate.errors import NotModelled
from vmstate.pseries.board.block import (
    ANSWERS,
    DRIVE,
    HOST,
    block,
    check_block_sizes,
    check_drive,
    errors,
    geometry,
)
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Effect, Property, harmless, not_modelled
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.indexes import VERSION_1
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    VirtioDevice,
    VirtioModel,
    backend,
    base,
    checking,
    count,
    feature,
    forms,
    ioeventfd,
    named,
    offered,
    options,
    vectors,
    with_class,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


class BlkRequests(Info):
    """Requests in flight, each after a byte 1; a byte 0 at the end."""

    name = "requests"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> tuple[()]:
        if cur.byte():
            raise cur.unknown("a virtio-blk request in flight is not modelled", offset=cur.pos - 1)
        return ()

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        out.put(b"\0")


BLK = VMStateDescription(
    "virtio-blk-device",
    version_id=2,
    minimum_version_id=2,
    fields=[Field("requests", BlkRequests(), attr="requests")],
)


class VirtioBlk(VirtioDevice):
    """A disk."""

    description = virtio("virtio-blk", 2, BLK, by_hand=True)
    model = VirtioModel(0x1001, 2, 0x010000, 57)
    requests: tuple[()] = ()


NAME, OWNER = "virtio-blk-pci", "virtio-blk-device"
BASE = base(NAME)
MOST_QUEUES = 1024


def _enough(value: str) -> bool:
    return 0 <= int(value, 0) <= MOST_QUEUES or int(value, 0) in (-1, 0xFFFF)


NUM_QUEUES = Property(OWNER, "num-queues", "65535", "uint16", values=_enough)
QUEUE_SIZE = Property(OWNER, "queue-size", "256", "uint16", span=Span("2.12"))
VECTORS = vectors(BASE)
CLASS = Property(BASE, "class", "0", "uint32")
SCSI = feature(OWNER, "scsi", 7, "off", Span(until="9.1"))
DISCARD = feature(OWNER, "discard", 13, History("off", ("4.0", "on")), Span("4.0"))
WRITE_ZEROES = feature(OWNER, "write-zeroes", 14, History("off", ("4.0", "on")), Span("4.0"))
CONFIG_WCE = feature(OWNER, "config-wce", 11)
FEATURES = (CONFIG_WCE, DISCARD, WRITE_ZEROES)
WRITE_CACHE = Property(OWNER, "write-cache", "auto", "OnOffAuto")
ENABLE_WCE = Property(OWNER, "x-enable-wce-if-config-wce", "on", "bool", span=Span("5.0"))
#: SEG_MAX, GEOMETRY, BLK_SIZE, TOPOLOGY; RO, FLUSH of a drive; SCSI without virtio 1; MQ of several queues.
F_ALWAYS, F_RO, F_FLUSH, F_SCSI, F_MQ, F_ANY_LAYOUT = 0x454, 1 << 5, 1 << 9, 1 << 7, 1 << 12, 1 << 27

PROPERTIES = (
    *(NUM_QUEUES, QUEUE_SIZE, VECTORS, CLASS, SCSI, *FEATURES, ENABLE_WCE),
    WRITE_CACHE,
    *block(OWNER),
    *errors(OWNER),
    *geometry(OWNER),
    Property(OWNER, "bootindex", "", "int32", Effect.HARMLESS, "only the order in the device tree"),
    *harmless(OWNER, "str", ANSWERS, "serial"),
    *harmless(OWNER, "bool", ANSWERS, "seg-max-adjust", span=Span("5.0")),
    *harmless(OWNER, "bool", ANSWERS, "report-discard-granularity", span=Span("6.0")),
    *harmless(OWNER, "bool", HOST, "request-merging"),
    *(
        not_modelled(OWNER, name, "uint32", "4194303", Span("4.0"))
        for name in ("max-discard-sectors", "max-write-zeroes-sectors")
    ),
    not_modelled(OWNER, "iothread", "link<iothread>", span=Span("2.10")),
    not_modelled(OWNER, "iothread-vq-mapping", "IOThreadVirtQueueMappingList", span=Span("9.0")),
    *ioeventfd(BASE),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)

FEWEST_ENTRIES = 2
_FEWEST_CHECKED = Span("5.0")

#: Bytes of configuration up to what a feature adds (virtio_blk_set_config_size).
PLAIN, WITH_DISCARD, WITH_WRITE_ZEROES = 36, 48, 57


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse a disk without a drive, or with SCSI commands and virtio 1 (``virtio_blk_device_realize``)."""
    name = option.driver
    check_drive(machine, option)
    drive = machine.drives[option.get(DRIVE) or ""]
    if not drive.writable and not drive.read_only:
        raise NotModelled(f"{option.text}: whether its drive can be written is not modelled")
    check_block_sizes(machine, option, OWNER)
    if NUM_QUEUES.number(machine, option, driver=name) == 0:
        raise Refused(f"{option.text}: num-queues property must be larger than 0")
    size = QUEUE_SIZE.number(machine, option, driver=name)
    line = f"invalid queue-size property ({size}), must be"
    if size <= FEWEST_ENTRIES and _FEWEST_CHECKED.covers(machine.release):
        raise Refused(f"{option.text}: {line} > {FEWEST_ENTRIES}")
    if size.bit_count() != 1 or size > virtio_pci.MAX_QUEUE_SIZE:
        raise Refused(f"{option.text}: {line} a power of 2 (max {virtio_pci.MAX_QUEUE_SIZE})")
    if SCSI.flag(machine, option, name) and virtio_pci.interfaces(machine, option, name)[1]:
        line = "Please set scsi=off for virtio-blk devices in order to use virtio 1.0"
        raise Refused(f"{option.text}: {line}")


def _config_len(machine: Machine, option: DeviceOption | None) -> int:
    name = named(option, NAME)
    if WRITE_ZEROES.flag(machine, option, name):
        return WITH_WRITE_ZEROES
    return WITH_DISCARD if DISCARD.flag(machine, option, name) else PLAIN


def _features(machine: Machine, option: DeviceOption | None, queues: int) -> int:
    """Return the features of a disk, some of which depend on its drive (``virtio_blk_get_features``)."""
    name = named(option, NAME)
    always = F_ALWAYS | (F_MQ if queues > 1 else 0)
    drive = None if option is None else machine.drives.get(option.get(DRIVE) or "")
    if drive is not None and drive.read_only:
        always |= F_RO
    cache = WRITE_CACHE.text(machine, option, name)
    if cache == "auto":
        cache = "on" if drive is None or drive.write_cache else "off"
    if cache == "on" or _switches_cache(machine, option):
        always |= F_FLUSH
    found = offered(machine, option, name, FEATURES, always)
    return found if found & VERSION_1 else found & ~F_ANY_LAYOUT | F_SCSI


def _switches_cache(machine: Machine, option: DeviceOption | None) -> bool:
    """Return True if a guest can switch the cache on, and the device offers it for that reason."""
    name = named(option, NAME)
    known = ENABLE_WCE.span.covers(machine.release) and ENABLE_WCE.flag(machine, option, name)
    return known and CONFIG_WCE.flag(machine, option, name)


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a disk: a queue for each processor, and a vector for each queue and the configuration."""
    machine = board.machine
    name = named(option, NAME)
    number = count(NUM_QUEUES, machine, option, name, machine.topology.cpus)
    size = QUEUE_SIZE.number(machine, option, driver=name)
    vectors = count(VECTORS, machine, option, name, number + 1)
    length = _config_len(machine, option)
    model = with_class(VirtioBlk.model, CLASS.number(machine, option, driver=name))
    features = _features(machine, option, number)
    chosen = options(machine, option, name, model, [size] * number, vectors, length, features)
    board.plug_pci(VirtioBlk(machine, chosen), name, option)


DRIVERS = forms(
    Driver(
        NAME,
        plug,
        check=checking(check),
        properties=PROPERTIES,
        drive_owner=OWNER,
        aliases=("virtio-blk",),
    )
)
