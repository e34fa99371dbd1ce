"""Red Hat Enterprise Linux's packages of QEMU: machine types ``pseries-rhelX.Y.Z``, and none of upstream's.

Read from the source packages' patches, as of the versions named below.  RHEL 9 has no QEMU for POWER hosts.
"""

from __future__ import annotations

from vmstate.dataclass import replace
from vmstate.pseries.tables import capability_apply as rules
from vmstate.pseries.tables.capabilities import CAPABILITIES
from vmstate.pseries.tables.machine_class import MachineType
from vmstate.pseries.tables.packages import Package

_GIB = 1 << 30
_PHB = "spapr-pci-host-bridge"
#: With protections against speculation: of each type to 7.6, as pseries-2.12-sxxm.
_PROTECTED = {"cfpc": 1, "sbbc": 1, "ibs": 3}


def _sxxm(name: str, like: str) -> MachineType:
    return MachineType(f"{name}-sxxm", name, caps=_PROTECTED, like=like)


#: 0009-Add-ppc64-machine-types.patch and its updates (spapr.c); hw_compat_rhel_* of
#: 0007-Machine-type-related-general-changes.patch (machine.c).
_TYPES_6_2: tuple[MachineType, ...] = (
    MachineType("pseries-rhel8.6.0", "pseries-6.2", flags={"max_cpus": 384}, like="pseries-6.2"),
    MachineType(
        "pseries-rhel8.5.0",
        "pseries-rhel8.6.0",
        flags={"pre_6_2_numa_affinity": True, "prefer_sockets": True},
        compat=(("e1000", "init-vet", "off"),),
        like="pseries-6.0",
    ),
    MachineType(
        "pseries-rhel8.4.0",
        "pseries-rhel8.5.0",
        compat=(("virtio-net-pci-base", "vectors", "3"),),
        like="pseries-5.2",
    ),
    MachineType(
        "pseries-rhel8.3.0",
        "pseries-rhel8.4.0",
        flags={"pre_5_2_numa_associativity": True},
        compat=(
            ("virtio-blk-device", "num-queues", "1"),
            ("virtio-scsi-device", "num_queues", "1"),
        ),
        like="pseries-5.1",
    ),
    MachineType(
        "pseries-rhel8.2.0",
        "pseries-rhel8.3.0",
        flags={
            "rma_limit": 16 * _GIB,
            "nvdimm_supported": False,
            "numa_mem_supported": True,
            "pre_5_1_assoc_refpoints": True,
        },
        caps={"fwnmi": 0},  # cap-ccf-assist is on, unlike in pseries-4.2
        compat=(
            ("virtio-blk-device", "queue-size", "128"),
            ("virtio-scsi-device", "virtqueue_size", "128"),
            ("virtio-blk-device", "x-enable-wce-if-config-wce", "off"),
            ("virtio-balloon-device", "page-poison", "false"),
            (_PHB, "pre-5.1-associativity", "on"),
        ),
        like="pseries-4.2",
    ),
    MachineType(
        "pseries-rhel8.1.0",
        "pseries-rhel8.2.0",
        flags={"linux_pci_probe": False, "smp_threads_vsmt": False},
        caps={"ccf-assist": 0},
        compat=((_PHB, "pgsz", "0x11000"),),
        like="pseries-4.1",
    ),
    MachineType(
        "pseries-rhel8.0.0",
        "pseries-rhel8.1.0",
        flags={
            "irq": "xics",
            "pre_4_1_migration": True,
            "default_cpu": "power8_v2.0",
            "update_dt_enabled": False,
            "dr_phb_enabled": False,
            "broken_host_serial_model": True,
        },
        caps={"large-decr": 0},  # the protections are on, unlike in pseries-3.1
        compat=(
            ("virtio-blk-device", "discard", "false"),
            ("virtio-blk-device", "write-zeroes", "false"),
            ("virtio-gpu-device", "edid", "false"),
            ("virtio-device", "use-started", "false"),
        ),
        like="pseries-3.1",
    ),
    MachineType(
        "pseries-rhel7.6.0",
        "pseries-rhel8.0.0",
        flags={
            "legacy_irq_allocation": True,
            "nr_xirqs": 0x400,
            "irq": "xics-legacy",
            "cpu_pre_3_0_migration": True,
            "core_pre_3_0_migration": True,
        },
        caps={"hpt-max-page-size": 0, "cfpc": 0, "sbbc": 0, "ibs": 0},
        compat=(("VGA", "global-vmstate", "true"),),
        like="pseries-2.12",
    ),
    _sxxm("pseries-rhel7.6.0", "pseries-2.12"),
    MachineType(
        "pseries-rhel7.5.0",
        "pseries-rhel7.6.0",
        compat=(("virtio-blk-pci", "vectors", "2"),),
        like="pseries-2.10",
    ),
    _sxxm("pseries-rhel7.5.0", "pseries-2.10"),
    MachineType(
        "pseries-rhel7.4.0",
        "pseries-rhel7.5.0",
        flags={
            "has_power9_support": False,
            "pre_2_10_has_unused_icps": True,
            "resize_hpt_default": "disabled",
            "cpu_pre_2_10_migration": True,
        },
        caps={"htm": 1},
        like="pseries-2.9",
    ),
    _sxxm("pseries-rhel7.4.0", "pseries-2.9"),
    MachineType(
        "pseries-rhel7.3.0",
        "pseries-rhel7.4.0",
        flags={
            "default_cpu": "power7_v2.3",
            "modern_hotplug_events": False,
            "cpu_pre_2_8_migration": True,
            "phb_pre_2_8_migration": True,
            "phb_placement": "2.7",
        },
        compat=(
            ("virtio-serial-device", "emergency-write", "off"),
            (_PHB, "mem_win_size", "0xf80000000"),
            (_PHB, "mem64_win_size", "0"),
            (_PHB, "pcie-extended-configuration-space", "off"),
        ),
        like="pseries-2.6",
    ),
    _sxxm("pseries-rhel7.3.0", "pseries-2.6"),
    MachineType(
        "pseries-rhel7.2.0",
        "pseries-rhel7.3.0",
        flags={
            "use_ohci_by_default": True,
            "has_hotpluggable_cpus": False,
            "ddw": False,
            "send_section_footer": False,
            "store_global_state": False,
        },
        compat=(
            ("virtio-blk-device", "scsi", "true"),
            ("virtio-pci", "migrate-extra", "off"),
            ("virtio-pci", "disable-modern", "on"),
            ("virtio-pci", "disable-legacy", "off"),
            ("virtio-pci", "page-per-vq", "on"),
            ("spapr-vlan", "use-rx-buffer-pools", "off"),
        ),
        like="pseries-2.4",
    ),
)


def _hpt_max_page_size(at: rules.Applying, level: int) -> None:
    """Check the largest page of a hash guest: 0018-BZ1653590-Require-at-least-64kiB-pages-*.patch."""
    if level < 16:
        raise rules.CapabilityRefused("Require at least 64kiB hpt-max-page-size")
    rules.hpt_max_page_size(at, level)


_CAPABILITIES = tuple(
    replace(one, apply=_hpt_max_page_size) for one in CAPABILITIES if one.name == "hpt-max-page-size"
)

#: 0006-Enable-disable-devices-for-RHEL.patch, target/ppc/cpu-models.c.
_CPUS = frozenset(
    {"power7_v2.3", "power7+_v2.1", "power8e_v2.1", "power8_v2.0", "power8nvl_v1.0", "power9_v1.0",
     "power9_v2.0", "power10_v1.0", "power10_v2.0"}
)  # fmt: skip


def _forms(*names: str) -> set[str]:
    return {f"{name}-pci{form}" for name in names for form in ("", "-transitional", "-non-transitional")}


#: ppc64-rh-devices.mak and rh-virtio.mak of the same patch; those that are modelled.
_DEVICES = frozenset(
    {
        *_forms("virtio-balloon", "virtio-blk", "virtio-net", "virtio-rng", "virtio-scsi", "virtio-serial"),
        *("virtio-keyboard-pci", "virtio-mouse-pci", "virtio-tablet-pci"),
        *("virtconsole", "virtserialport", "scsi-hd", "scsi-cd"),
        *("VGA", "secondary-vga", "pci-ohci", "nec-usb-xhci", "qemu-xhci"),
        *("usb-kbd", "usb-mouse", "usb-tablet", "usb-hub", "usb-storage"),
        *("spapr-vlan", "spapr-vscsi", "spapr-vty", "spapr-pci-host-bridge", "spapr-rng"),
        "pc-dimm",
    }
)

_SOURCE = (
    "0006-Enable-disable-devices-for-RHEL.patch, 0007-Machine-type-related-general-changes.patch, "
    "0009-Add-ppc64-machine-types.patch, 0018-*, 0019-*, 0020-*, 0022-*, "
    "kvm-redhat-Define-pseries-rhel8.6.0-machine-type.patch"
)


def _of_6_2(name: str, package: str) -> Package:
    return Package(
        name,
        "6.2.0",
        f"{package}, {_SOURCE}",
        "pseries-rhel8.6.0",
        _TYPES_6_2,
        capabilities=_CAPABILITIES,
        only_own_types=True,
        devices=_DEVICES,
        cpus=_CPUS,
    )


RHEL: tuple[Package, ...] = (
    _of_6_2("rhel-8.8", "qemu-kvm-6.2.0-33.module+el8.8.0+19768+98f68f21, 2023-11-01"),
    _of_6_2("rhel-8.9", "qemu-kvm-6.2.0-40.module+el8.9.0+20867+9a6a0901.2, 2024-03-05"),
)
