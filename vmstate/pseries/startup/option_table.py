"""QEMU's options (qemu-options.hx): the releases that have each, and its treatment in the simulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache

from vmstate.dataclass import dataclass
from vmstate.describe.history import ALWAYS, Release, Span

#: The advice for a machine, and for a device, that is not simulated.
ASK_QEMU = "only pseries is simulated; for this machine ask a real QEMU: `vmstate replay`"
ASK_QEMU_FOR_DEVICE = "ask a real QEMU: `vmstate replay`"


class Treatment(Enum):
    """The treatment of an option: its effect is simulated, it has none, or the simulator cannot say."""

    READ = "read"
    NO_EFFECT = "no effect on a migration"
    NOT_MODELLED = "not modelled"
    OTHER_TARGET = "not for this target"


@dataclass(frozen=True, slots=True)
class QemuOption:
    """An option: its name without dashes, its number of arguments, its treatment.

    ``why``: a few words, for messages and docs/options.md: the effect that is simulated, the reason that
    there is none on a migration, or the obstacle to simulating it.
    """

    name: str
    arguments: int
    treatment: Treatment
    why: str
    span: Span = ALWAYS


def _group(treatment: Treatment, rows: str, spans: Mapping[str, Span]) -> Iterator[QemuOption]:
    """Yield the options of a table: a name, followed by ``=`` if it has an argument, then the reason."""
    for row in filter(None, map(str.strip, rows.splitlines())):
        name, why = row.split(None, 1)
        plain = name.rstrip("=")
        yield QemuOption(plain, int(name != plain), treatment, why, spans.get(plain, ALWAYS))


_READ = """
    machine=      the machine type and its properties
    M=            the machine type and its properties
    cpu=          the processor
    m=            the size of guest memory
    smp=          the number of processors
    accel=        the accelerator
    enable-kvm    the accelerator
    global=       a default of a property
    set=          a property of a device that was given before
    readconfig=   a file of options
    device=       a device
    netdev=       a network back end: user networking has a section
    object=       a memory back end has a RAM block; others are checked for their type
    numa=         a memory back end of a node is a RAM block
    chardev=      the id, for devices that need it
    drive=        the id, for devices that need it
    blockdev=     the node's name, for devices that need it
    serial=       a terminal of the board
    nodefaults    leaves out the default devices
    usb           a USB controller of the board
    vga=          the graphics card of the board
    nic=          none leaves out the default network card
    net=          none leaves out the default network card
    icount=       virtual time that follows instructions is a subsection of timer
    kernel=       needed by -initrd and -append; the contents of memory never decide
    initrd=       needs -kernel; the contents of memory never decide
    append=       needs -kernel; the text is in the device tree, which a destination takes as it comes
    uuid=         checked for its form; in the stream only with the capability validate-uuid
"""

_NO_EFFECT = """
    D=            a log file
    L=            a folder of firmware
    S             the guest waits to be started
    action=       the response to events of the guest, such as a panic
    add-fd=       file descriptors for back ends
    alt-grab      keys of the window
    async-teardown  the end of the process
    audio=        a sound back end; sound cards are devices of their own
    audiodev=     a sound back end; sound cards are devices of their own
    bios=         the firmware is a part of guest memory
    boot=         the boot order is in the device tree, which a destination takes as it comes
    bootp=        user networking's server
    chroot=       privileges of the process
    clock=        the host's clock
    compat=       the treatment of deprecated QMP commands
    ctrl-grab     keys of the window
    curses        a window
    d=            a log
    daemonize     the process runs in the background
    dfilter=      a log
    display=      a window
    dtb=          pseries makes its own device tree
    echr=         the escape key of the terminal
    enable-fips   a check of VNC passwords
    enable-sync-profile  a profile of locks
    fsdev=        a back end of file systems; virtio-9p is a device of its own
    full-screen   a window
    g=            the first size of the screen, for the firmware
    gdb=          a debugger
    incoming=     the way in which a destination waits
    iscsi=        a session of disks
    jitdump       a profile
    k=            the layout of the keyboard of the window
    localtime     the clock's time, which the stream carries
    mem-path=     where memory is on the host; its block keeps its name
    mem-prealloc  when memory is allocated on the host
    mon=          a monitor
    monitor=      a monitor
    msg=          the form of messages
    name=         the guest's name is in the device tree, which a destination takes as it comes
    no-frame      a window
    no-quit       a window
    no-reboot     the response to a reset
    no-shutdown   the response to a shutdown
    no-user-config  a configuration file is not read
    nodefconfig   a configuration file is not read
    nographic     a window; the terminal moves to the standard output
    only-migratable  every simulated device can be migrated
    overcommit=   memory and processors of the host
    parallel=     a port that pseries does not have
    perfmap       a profile
    pidfile=      a file
    plugin=       an observer of translated code
    portrait      a window
    preconfig     the start waits for QMP
    prom-env=     variables of the firmware in the NVRAM, whose contents never decide
    qmp=          a monitor
    qmp-pretty=   a monitor
    realtime=     memory of the host
    rotate=       a window
    rtc=          the clock's time, which the stream carries
    run-with=     privileges of the process
    runas=        privileges of the process
    s             a debugger
    sandbox=      privileges of the process
    sdl           a window
    seed=         random numbers
    shim=         a loader of x86 kernels
    show-cursor   a window
    singlestep    a way to translate code
    smb=          user networking's server
    snapshot      temporary disk images
    spice=        a window
    startdate=    the clock's time, which the stream carries
    tb-size=      a cache of translated code
    tdf           the host's clock
    tftp=         user networking's server
    tpmdev=       a back end; a TPM is a device of its own
    trace=        a log
    vnc=          a window
    watchdog-action=  the response to an expired watchdog
"""

_NOT_MODELLED = """
    audio-help    prints a list and exits
    balloon=      plugs a device: give -device virtio-balloon-pci
    bt=           plugs a device
    cdrom=        adds a disk to the board: give -drive if=none and -device
    debugcon=     plugs a device
    dump-vmstate=  prints the descriptions and exits
    fda=          adds a disk to the board: give -drive if=none and -device
    fdb=          adds a disk to the board: give -drive if=none and -device
    fw_cfg=       needs a device that pseries does not have
    h             prints a list and exits
    hda=          adds a disk to the board: give -drive if=none and -device
    hdachs=       adds a disk to the board: give -drive if=none and -device
    hdb=          adds a disk to the board: give -drive if=none and -device
    hdc=          adds a disk to the board: give -drive if=none and -device
    hdd=          adds a disk to the board: give -drive if=none and -device
    help          prints a list and exits
    loadvm=       the machine begins with the state of a snapshot
    mtdblock=     adds a disk to the board: give -drive if=none and -device
    option-rom=   needs a device that pseries does not have
    pflash=       adds a disk to the board: give -drive if=none and -device
    qtest=        a test drives the machine
    qtest-log=    a test drives the machine
    redir=        the syntax of old user networking: give -netdev
    sd=           adds a disk to the board: give -drive if=none and -device
    soundhw=      plugs a sound card: give -device
    usbdevice=    plugs a USB device: give -device
    version       prints the release and exits
    virtfs=       plugs a device: give -fsdev and -device
    virtfs_synth  plugs a device: give -fsdev and -device
    virtioconsole=  plugs a device: give -device
    watchdog=     plugs a device: give -device
    writeconfig=  writes a file of options
    xen-attach    runs under Xen
    xen-create    runs under Xen
    xen-domid=    runs under Xen
    xen-domid-restrict  runs under Xen
"""

_OTHER_TARGET = """
    acpitable=          x86
    enable-hax          x86
    no-acpi             x86 and Arm
    no-fd-bootchk       x86
    no-hpet             x86
    no-kvm              x86
    no-kvm-irqchip      x86
    no-kvm-pit          x86
    no-kvm-pit-reinjection  x86
    old-param           Arm
    rtc-td-hack         x86
    semihosting         Arm, MIPS, RISC-V and others
    semihosting-config=  Arm, MIPS, RISC-V and others
    smbios=             x86, Arm and others
    win2k-hack          x86
"""

#: The releases of options that came or went since 2.9.
_SPANS: dict[str, Span] = {
    name: span
    for span, names in (
        (Span("3.0"), "overcommit preconfig"),
        (Span("2.12"), "nic"),
        (Span("3.1"), "enable-sync-profile"),
        (Span("4.0"), "audiodev"),
        (Span("4.1"), "seed"),
        (Span("4.2"), "plugin"),
        (Span("6.0"), "action compat"),
        (Span("7.1"), "audio"),
        (Span("7.2", "9.0"), "async-teardown"),
        (Span("8.0"), "jitdump perfmap"),
        (Span("8.1"), "run-with"),
        (Span("10.0"), "shim"),
        (Span(until="3.0"), "no-kvm-irqchip no-kvm-pit-reinjection tdf"),
        (Span(until="2.12"), "no-kvm-pit hdachs"),
        (Span(until="3.1"), "balloon bootp localtime nodefconfig redir rtc-td-hack smb startdate tftp"),
        (Span(until="4.0"), "clock enable-hax no-frame virtioconsole xen-create"),
        (Span(until="5.0"), "bt virtfs_synth"),
        (Span(until="5.2"), "no-kvm"),
        (Span(until="6.0"), "realtime show-cursor tb-size"),
        (Span(until="7.0"), "no-quit"),
        (Span(until="7.1"), "alt-grab ctrl-grab curses enable-fips sdl soundhw writeconfig"),
        (Span("2.10"), "xen-domid-restrict"),
        (Span(until="7.2"), "watchdog"),
        (Span(until="9.0"), "audio-help chroot no-acpi no-hpet singlestep"),
        (Span(until="9.2"), "portrait rotate"),
        (Span(until="10.0"), "old-param runas"),
    )
    for name in names.split()
}

OPTIONS: tuple[QemuOption, ...] = (
    *_group(Treatment.READ, _READ, _SPANS),
    *_group(Treatment.NO_EFFECT, _NO_EFFECT, _SPANS),
    *_group(Treatment.NOT_MODELLED, _NOT_MODELLED, _SPANS),
    *_group(Treatment.OTHER_TARGET, _OTHER_TARGET, _SPANS),
)

BY_NAME: Mapping[str, QemuOption] = {option.name: option for option in OPTIONS}


@cache
def options_of(release: Release) -> Mapping[str, QemuOption]:
    """Return the options that a release has, by name."""
    return {option.name: option for option in OPTIONS if option.span.covers(release)}
