"""The names of QEMU's options (qemu-options.hx), grouped by their treatment in the simulator."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Options with an argument that the simulator follows.
MODELLED = _words("machine M cpu m smp device global netdev serial accel object chardev drive blockdev")

#: Options with an argument that affect neither streams nor verdicts.
HARMLESS = _words("""
    D L boot bios chroot d display gdb incoming mon monitor msg name parallel pidfile qmp qmp-pretty
    rtc runas sandbox trace
""")

#: Options without an argument that the simulator follows, or that affect nothing.
FLAGS = _words("""
    S daemonize enable-kvm no-reboot no-shutdown no-user-config nodefaults nodefconfig nographic
    only-migratable s snapshot
""")

#: Options that QEMU has but that are not modelled.
UNMODELLED = _words("""
    acpitable action add-fd alt-grab append async-teardown audio audiodev balloon bootp bt cdrom
    clock compat ctrl-grab curses debugcon dfilter dtb dump-vmstate echr enable-fips
    enable-sync-profile fda fdb fsdev full-screen fw_cfg g h hda hdb hdc hdd help icount initrd iscsi jitdump
    k kernel loadvm localtime mem-path mem-prealloc mtdblock net nic no-acpi no-fd-bootchk no-frame no-hpet
    no-kvm no-quit numa one-insn-per-tb option-rom overcommit perfmap pflash plugin portrait prealloc
    preconfig prom-env readconfig realtime redir rotate run-with sd sdl seed semihosting semihosting-config
    set shim singlestep smb smbios soundhw spice startdate tb-size tftp tpmdev usb usbdevice uuid version vga
    virtfs virtioconsole vnc watchdog win2k-hack writeconfig xen-attach xen-domid
""")
