"""The machine types of pseries, newest first, each by its differences from the next newer one."""

from __future__ import annotations

from vmstate.describe.history import History, Span
from vmstate.pseries.tables.machine_class import MachineType

_GIB = 1 << 30

_PHB = "spapr-pci-host-bridge"

#: The type that ``pseries``, or no ``-machine``, means; None: the newest type of the release.
DEFAULT_TYPE: History[str | None] = History(None, (("2.11.2", "2.12"), "pseries-2.11"), ("2.12", None))


def _of_all_forms(driver: str, prop: str, value: str) -> tuple[tuple[str, str, str], ...]:
    """Return a default of a virtio device and of its transitional and non-transitional forms."""
    return tuple((driver + form, prop, value) for form in ("", "-transitional", "-non-transitional"))


MACHINE_TYPES: tuple[MachineType, ...] = (
    MachineType("pseries-11.1", None, Span("11.1")),
    MachineType("pseries-11.0", "pseries-11.1", Span("11.0"), {"default_cpu": "power10_v2.0"}),
    MachineType("pseries-10.2", "pseries-11.0", Span("10.2")),
    MachineType("pseries-10.1", "pseries-10.2", Span("10.1")),
    MachineType("pseries-10.0", "pseries-10.1", Span("10.0"), {"rtas_stopped_state": False}),
    MachineType(
        "pseries-9.2",
        "pseries-10.0",
        Span("9.2"),
        {"send_switchover_start": False},
        compat=_of_all_forms("virtio-balloon-pci", "vectors", "0"),
    ),
    MachineType("pseries-9.1", "pseries-9.2", Span("9.1")),
    MachineType("pseries-9.0", "pseries-9.1", Span("9.0")),
    MachineType(
        "pseries-8.2",
        "pseries-9.0",
        Span("8.2"),
        {
            # From 9.0 on older types had the new default by mistake (51113013f3, mended by 1490d0bcdf).
            "default_cpu": History(
                "power9_v2.0",
                ("8.1", "power9_v2.2"),
                ("9.0", "power10_v2.0"),
                (("9.2.3", "10.0"), "power9_v2.2"),
            )
        },
        compat=(("virtio-gpu-device", "x-scanout-vmstate-version", "1"),),
    ),
    MachineType("pseries-8.1", "pseries-8.2", Span("8.1")),
    MachineType("pseries-8.0", "pseries-8.1", Span("8.0")),
    MachineType("pseries-7.2", "pseries-8.0", Span("7.2")),
    MachineType(
        "pseries-7.1",
        "pseries-7.2",
        Span("7.1"),
        compat=(("virtio-device", "queue_reset", "false"), *_of_all_forms("virtio-rng-pci", "vectors", "0")),
    ),
    MachineType("pseries-7.0", "pseries-7.1", Span("7.0")),
    MachineType("pseries-6.2", "pseries-7.0", Span("6.2")),
    MachineType(
        "pseries-6.1", "pseries-6.2", Span("6.1"), {"pre_6_2_numa_affinity": True, "prefer_sockets": True}
    ),
    MachineType(
        "pseries-6.0",
        "pseries-6.1",
        Span("6.0"),
        compat=(("e1000", "init-vet", "off"),),
    ),
    MachineType("pseries-5.2", "pseries-6.0", Span("5.2"), compat=(("virtio-net-pci-base", "vectors", "3"),)),
    MachineType(
        "pseries-5.1",
        "pseries-5.2",
        Span("5.1"),
        {"pre_5_2_numa_associativity": True},
        compat=(
            ("virtio-blk-device", "num-queues", "1"),
            ("virtio-scsi-device", "num_queues", "1"),
        ),
    ),
    MachineType(
        "pseries-5.0",
        "pseries-5.1",
        Span("5.0"),
        {"pre_5_1_assoc_refpoints": True, "numa_mem_supported": True},
        compat=(
            ("virtio-balloon-device", "page-poison", "false"),
            (_PHB, "pre-5.1-associativity", "on"),
        ),
    ),
    MachineType(
        "pseries-4.2",
        "pseries-5.0",
        Span("4.2"),
        {"rma_limit": 16 * _GIB, "nvdimm_supported": False},
        caps={"ccf-assist": 0, "fwnmi": 0},
        compat=(
            ("virtio-blk-device", "queue-size", "128"),
            ("virtio-blk-device", "x-enable-wce-if-config-wce", "off"),
            ("virtio-scsi-device", "virtqueue_size", "128"),
        ),
    ),
    MachineType(
        "pseries-4.1",
        "pseries-4.2",
        Span("4.1"),
        {"linux_pci_probe": False, "smp_threads_vsmt": False},
        compat=((_PHB, "pgsz", "0x11000"),),
    ),
    MachineType(
        "pseries-4.0",
        "pseries-4.1",
        Span("4.0"),
        {"irq": "xics", "pre_4_1_migration": True},
        compat=(
            ("virtio-device", "use-started", "false"),
            ("virtio-balloon-device", "qemu-4-0-config-size", "true"),
            ("virtio-gpu-device", "edid", "false"),
        ),
    ),
    MachineType(
        "pseries-3.1",
        "pseries-4.0",
        Span("3.1"),
        {
            "default_cpu": "power8_v2.0",
            "update_dt_enabled": False,
            "dr_phb_enabled": False,
            "broken_host_serial_model": True,
        },
        caps={"cfpc": 0, "sbbc": 0, "ibs": 0, "large-decr": 0},
        compat=(
            ("virtio-balloon-device", "qemu-4-0-config-size", "false"),
            ("virtio-blk-device", "discard", "false"),
            ("virtio-blk-device", "write-zeroes", "false"),
        ),
    ),
    MachineType(
        "pseries-3.0",
        "pseries-3.1",
        Span("3.0"),
        {"legacy_irq_allocation": True, "nr_xirqs": 0x400, "irq": "xics-legacy"},
    ),
    MachineType(
        "pseries-2.12",
        "pseries-3.0",
        Span(("2.11.1", "2.12"), "9.2"),
        {"cpu_pre_3_0_migration": True, "core_pre_3_0_migration": True},
        caps={"hpt-max-page-size": 0},
        compat=(("VGA", "global-vmstate", "true"),),
    ),
    MachineType(
        "pseries-2.12-sxxm",
        "pseries-2.12",
        Span("2.12", "9.2"),
        caps={"cfpc": 1, "sbbc": 1, "ibs": 3},
    ),
    MachineType(
        "pseries-2.11",
        "pseries-2.12",
        Span("2.11", "9.2"),
        caps={"htm": 1},
        compat=(
            ("e1000", "migrate_tso_props", "off"),
            ("virtio-blk-pci", "vectors", "2"),
        ),
    ),
    MachineType("pseries-2.10", "pseries-2.11", Span("2.10", "9.2")),
    MachineType(
        "pseries-2.9",
        "pseries-2.10",
        Span(None, "9.2"),
        {
            "cpu_pre_2_10_migration": True,
            "pre_2_10_has_unused_icps": True,
            "resize_hpt_default": "disabled",
        },
    ),
    MachineType(
        "pseries-2.8",
        "pseries-2.9",
        Span(None, "9.2"),
        {"numa_mem_align_shift": 23},
        compat=((_PHB, "pcie-extended-configuration-space", "off"),),
    ),
    MachineType(
        "pseries-2.7",
        "pseries-2.8",
        Span(None, "9.2"),
        {
            "default_cpu": "power7_v2.3",
            "modern_hotplug_events": False,
            "cpu_pre_2_8_migration": True,
            "phb_pre_2_8_migration": True,
            "phb_placement": "2.7",
        },
        compat=(
            ("virtio-serial-device", "emergency-write", "off"),
            ("virtio-pci", "page-per-vq", "on"),
            (_PHB, "mem_win_size", "0xf80000000"),
            (_PHB, "mem64_win_size", "0"),
        ),
    ),
    MachineType(
        "pseries-2.6",
        "pseries-2.7",
        Span(None, "9.2"),
        {"has_hotpluggable_cpus": False, "ddw": False},
        compat=(("virtio-pci", "disable-modern", "on"), ("virtio-pci", "disable-legacy", "off")),
    ),
    MachineType(
        "pseries-2.5",
        "pseries-2.6",
        Span(None, "9.2"),
        {"use_ohci_by_default": True},
        compat=(("spapr-vlan", "use-rx-buffer-pools", "off"),),
    ),
    MachineType(
        "pseries-2.4",
        "pseries-2.5",
        Span(None, "9.2"),
        {"dr_lmb_enabled": False},
        compat=(
            ("e1000", "extra_mac_registers", "off"),
            ("virtio-pci", "migrate-extra", "off"),
            ("virtio-blk-device", "scsi", "true"),
        ),
    ),
    MachineType(
        "pseries-2.3",
        "pseries-2.4",
        Span(None, "9.2"),
        {
            "phb_dynamic_reconfiguration": False,
            "send_configuration": False,
            "send_section_footer": False,
            "store_global_state": False,
        },
        compat=tuple(
            (f"virtio-{name}-pci", "any_layout", "off") for name in ("blk", "balloon", "serial", "rng")
        ),
    ),
    MachineType(
        "pseries-2.2",
        "pseries-2.3",
        Span(None, "9.2"),
        {"suppress_vmdesc": True},
        compat=((_PHB, "mem_win_size", "0x20000000"),),
    ),
    MachineType(
        "pseries-2.1",
        "pseries-2.2",
        Span(None, "9.2"),
        compat=(
            ("VGA", "qemu-extended-regs", "off"),
            ("virtio-scsi-pci", "any_layout", "off"),
            ("usb-kbd", "usb_version", "1"),
            ("usb-mouse", "usb_version", "1"),
        ),
    ),
)
