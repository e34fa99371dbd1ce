"""Names of values: features by type of device, status, vectors (Linux's ``<linux/virtio_*.h>``)."""

from __future__ import annotations

from functools import cache

from vmstate.describe.words import Flags, Names

#: The features that every device may have.
COMMON = {
    24: "NOTIFY_ON_EMPTY",
    27: "ANY_LAYOUT",
    28: "INDIRECT_DESC",
    29: "EVENT_IDX",
    30: "BAD_FEATURE",
    32: "VERSION_1",
    33: "ACCESS_PLATFORM",
    34: "RING_PACKED",
    35: "IN_ORDER",
    36: "ORDER_PLATFORM",
    37: "SR_IOV",
    38: "NOTIFICATION_DATA",
    39: "NOTIF_CONFIG_DATA",
    40: "RING_RESET",
    41: "ADMIN_VQ",
}
OWN: dict[str, dict[int, str]] = {
    "virtio-net": {
        0: "CSUM",
        1: "GUEST_CSUM",
        2: "CTRL_GUEST_OFFLOADS",
        3: "MTU",
        5: "MAC",
        6: "GSO",
        7: "GUEST_TSO4",
        8: "GUEST_TSO6",
        9: "GUEST_ECN",
        10: "GUEST_UFO",
        11: "HOST_TSO4",
        12: "HOST_TSO6",
        13: "HOST_ECN",
        14: "HOST_UFO",
        15: "MRG_RXBUF",
        16: "STATUS",
        17: "CTRL_VQ",
        18: "CTRL_RX",
        19: "CTRL_VLAN",
        20: "CTRL_RX_EXTRA",
        21: "GUEST_ANNOUNCE",
        22: "MQ",
        23: "CTRL_MAC_ADDR",
        50: "DEVICE_STATS",
        52: "VQ_NOTF_COAL",
        53: "NOTF_COAL",
        54: "GUEST_USO4",
        55: "GUEST_USO6",
        56: "HOST_USO",
        57: "HASH_REPORT",
        59: "GUEST_HDRLEN",
        60: "RSS",
        61: "RSC_EXT",
        62: "STANDBY",
        63: "SPEED_DUPLEX",
        65: "GUEST_UDP_TUNNEL_GSO",
        66: "GUEST_UDP_TUNNEL_GSO_CSUM",
        67: "HOST_UDP_TUNNEL_GSO",
        68: "HOST_UDP_TUNNEL_GSO_CSUM",
    },
    "virtio-blk": {
        0: "BARRIER",
        1: "SIZE_MAX",
        2: "SEG_MAX",
        4: "GEOMETRY",
        5: "RO",
        6: "BLK_SIZE",
        7: "SCSI",
        9: "FLUSH",
        10: "TOPOLOGY",
        11: "CONFIG_WCE",
        12: "MQ",
        13: "DISCARD",
        14: "WRITE_ZEROES",
        16: "SECURE_ERASE",
        17: "ZONED",
    },
    "virtio-console": {0: "SIZE", 1: "MULTIPORT", 2: "EMERG_WRITE"},
    "virtio-balloon": {
        0: "MUST_TELL_HOST",
        1: "STATS_VQ",
        2: "DEFLATE_ON_OOM",
        3: "FREE_PAGE_HINT",
        4: "PAGE_POISON",
        5: "REPORTING",
    },
    "virtio-scsi": {0: "INOUT", 1: "HOTPLUG", 2: "CHANGE", 3: "T10_PI"},
    "virtio-gpu": {
        0: "VIRGL",
        1: "EDID",
        2: "RESOURCE_UUID",
        3: "RESOURCE_BLOB",
        4: "CONTEXT_INIT",
        5: "BLOB_ALIGNMENT",
    },
    "virtio-9p": {0: "MOUNT_TAG"},
    "virtio-vsock": {1: "SEQPACKET"},
    "virtio-iommu": {
        0: "INPUT_RANGE",
        1: "DOMAIN_RANGE",
        2: "MAP_UNMAP",
        3: "BYPASS",
        4: "PROBE",
        5: "MMIO",
        6: "BYPASS_CONFIG",
    },
    "virtio-mem": {0: "ACPI_PXM", 1: "UNPLUGGED_INACCESSIBLE", 2: "PERSISTENT_SUSPEND"},
    "virtio-rtc": {0: "ALARM"},
}

STATUS = Flags(
    8,
    {
        0: "ACKNOWLEDGE",
        1: "DRIVER",
        2: "DRIVER_OK",
        3: "FEATURES_OK",
        6: "NEEDS_RESET",
        7: "FAILED",
    },
)
ISR = Flags(8, {0: "QUEUE", 1: "CONFIG"})
NO_VECTOR = Names({0xFFFF: "none"})
ENDIAN = Names({1: "little", 2: "big"})
NET_STATUS = Flags(16, {0: "LINK_UP", 1: "ANNOUNCE"})
FORMATS = Names(
    {
        1: "B8G8R8A8",
        2: "B8G8R8X8",
        3: "A8R8G8B8",
        4: "X8R8G8B8",
        67: "R8G8B8A8",
        68: "X8B8G8R8",
        121: "A8B8G8R8",
        134: "R8G8B8X8",
    }
)


@cache
def features(kind: str, first: int, bits: int) -> Flags:
    """Return the names of ``bits`` features of a type of device, from the one numbered ``first`` on."""
    known = {**COMMON, **OWN.get(kind, {})}
    return Flags(
        bits, {number - first: name for number, name in known.items() if first <= number < first + bits}
    )
