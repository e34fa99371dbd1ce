"""An IOMMU's own part: the guest's domains (hw/virtio/virtio-iommu.c ``vmstate_virtio_iommu_device``)."""

from __future__ import annotations

from vmstate.describe import Bool, GTree, History, QList, Since, UInt8, UInt32, UInt64, VMStateDescription

BYPASS = "7.0"  # bypassing can be configured from here on
VERSION = History(1, (BYPASS, 2))

INTERVAL = VMStateDescription("interval", 1, 1, fields=[UInt64("low"), UInt64("high")])
MAPPING = VMStateDescription("mapping", 1, 1, fields=[UInt64("phys_addr"), UInt32("flags")])
ENDPOINT = VMStateDescription("endpoint", 1, 1, fields=[UInt32("id")])
DOMAIN = VMStateDescription(
    "domain",
    VERSION,
    VERSION,
    fields=[
        UInt32("id"),
        GTree("mappings", MAPPING, key=INTERVAL),
        QList("endpoint_list", ENDPOINT),
        Since(BYPASS, Bool("bypass")),
    ],
)
IOMMU = VMStateDescription(
    "virtio-iommu-device",
    VERSION,
    VERSION,
    fields=[
        GTree("domains", DOMAIN, version_id=VERSION),
        Since(BYPASS, UInt8("config.bypass", attr="bypass")),
    ],
)
