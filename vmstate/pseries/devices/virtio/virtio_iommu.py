"""virtio-iommu: address translation for the devices of a PCI bus (hw/virtio/virtio-iommu.c)."""

from __future__ import annotations

from typing import Any

from vmstate.dataclass import replace
from vmstate.describe import History
from vmstate.describe.description import Priority
from vmstate.describe.history import Span
from vmstate.errors import NotModelled
from vmstate.handwritten.virtio.iommu import BYPASS, IOMMU, VERSION
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    DISABLE_LEGACY,
    DISABLE_MODERN,
    NON_TRANSITIONAL,
    TRANSITIONAL,
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    backend,
    checking,
    named,
    offered,
    options,
    with_class,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption


def no_domains(iommu: VirtioIommu, version_id: int) -> int:
    """Raise Unsupported for a guest's domains, which are not checked (iommu_post_load)."""
    if iommu.domains:
        raise NotModelled("a domain of virtio-iommu")
    return 0


class VirtioIommu(VirtioDevice):
    """A device without a domain."""

    description = replace(
        virtio("virtio-iommu", 1, replace(IOMMU, post_load=no_domains)),
        version_id=VERSION,
        minimum_version_id=VERSION,
        priority=Priority.IOMMU,
    )
    model = VirtioModel(0, 23, 0x00FF00, 40, only_modern=True)
    bypass = 0

    def __init__(self, machine: Machine, options: VirtioOptions, bypass: int) -> None:
        super().__init__(machine, options)
        self.bypass = bypass
        self.domains: list[Any] = []


NAME, OWNER = "virtio-iommu-pci", "virtio-iommu-device"
QUEUES = (256, 256)
FEWEST_BITS, MOST_BITS = 32, 64
FIRST = Span("5.0")
_ONLY_MODERN = Span("5.2")
_ANSWERS = "what the device answers when a guest reads it"

CLASS = Property(NAME, "class", "0", "uint32")
BOOT_BYPASS = Property(OWNER, "boot-bypass", "on", "bool", span=Span(BYPASS))
BITS = Property(OWNER, "aw-bits", "64", "uint8", span=Span("9.0"))
PROPERTIES = (
    *(CLASS, BOOT_BYPASS, BITS),
    *harmless(OWNER, "GranuleMode", _ANSWERS, "granule", span=Span("9.0")),
    not_modelled(OWNER, "primary-bus", "link<PCI>"),
    not_modelled(NAME, "len-reserved-regions", "uint32", "0", Span("5.1", "8.2")),
    not_modelled(NAME, "reserved-regions", "list", "[]", Span("8.2")),
    backend(OWNER),
    *virtio_pci.PROPERTIES,
)
#: INDIRECT_DESC and EVENT_IDX, whatever their properties say.
_QUEUES = 0x3 << 28
#: INPUT_RANGE, DOMAIN_RANGE, MAP_UNMAP, PROBE, MMIO; from 7.0 on BYPASS_CONFIG, before BYPASS.
_FEATURES = History(0x3F | _QUEUES, (BYPASS, 0x77 | _QUEUES))


def check(machine: Machine, option: DeviceOption) -> None:
    """Check the width of addresses (``virtio_iommu_device_realize``)."""
    if not _ONLY_MODERN.covers(machine.release):
        raise NotModelled(f"{option.text}: {NAME} is not modelled in {machine.release}")
    if BITS.span.covers(machine.release):
        if not FEWEST_BITS <= BITS.number(machine, option, driver=option.driver) <= MOST_BITS:
            raise Refused(f"{option.text}: aw-bits must be within [{FEWEST_BITS},{MOST_BITS}]")


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a device, which has no vectors."""
    machine, name = board.machine, named(option, NAME)
    bypass = BOOT_BYPASS.span.covers(machine.release) and BOOT_BYPASS.flag(machine, option, name)
    features = offered(machine, option, name, (), _FEATURES.at(machine.release), only_modern=True)
    model = with_class(VirtioIommu.model, CLASS.number(machine, option, driver=name))
    chosen = options(machine, option, name, model, QUEUES, 0, features=features)
    board.plug_pci(VirtioIommu(machine, chosen, int(bypass)), name, option)


DRIVER = Driver(
    NAME,
    plug,
    FIRST,
    check=checking(check, only_modern=True),
    properties=PROPERTIES,
    hotpluggable=False,
    aliases=("virtio-iommu",),
    examples=("-device virtio-iommu-pci",),
)
_OWN = tuple(one for one in PROPERTIES if one not in (DISABLE_LEGACY, DISABLE_MODERN))
DRIVERS = (
    DRIVER,
    *(
        replace(DRIVER, name=NAME + form, span=span, properties=_OWN, aliases=(), examples=())
        for form, span in ((TRANSITIONAL, Span("5.0", "5.2")), (NON_TRANSITIONAL, Span("5.0", "6.2")))
    ),
)
