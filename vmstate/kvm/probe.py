"""Ask /dev/kvm of this machine what QEMU asks it, and write the answers down: one fact a line.

Needs nothing but Python, so that it runs in any host.  QEMU asks in accel/kvm/kvm-all.c ``kvm_init``,
target/ppc/kvm.c ``kvm_arch_init``, ``kvmppc_get_cpu_characteristics`` and hw/intc/xics_kvm.c
``xics_kvm_has_broken_disconnect``.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import platform
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from vmstate.errors import VmstateError
from vmstate.kvm import ioctls

KVM = Path("/dev/kvm")
_DEVICE_TREE = Path("/proc/device-tree")
#: Logical PVRs of POWER6 to POWER11, and 0 for no mode.
_MODES = (0x0F000002, 0x0F000003, 0x0F100003, 0x0F000004, 0x0F000005, 0x0F000006, 0x0F000007, 0)
_VM_TYPES = (0, 1, 2)  # either kind, HV, PR


class NoKvm(VmstateError):
    """This machine is not a POWER host with KVM, or its KVM cannot be asked."""


def probe() -> list[str]:
    """Return the answers of this machine's KVM.  Raises NoKvm."""
    machine = platform.machine()
    if not machine.startswith("ppc64"):
        raise NoKvm(f"this machine is {machine}; a host of pseries guests is ppc64le or ppc64")
    try:
        kvm = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoKvm(f"{KVM}: {error.strerror}; load kvm_hv or kvm_pr, and see who may open it") from error
    try:
        return [*_machine(), *_kvm(kvm)]
    finally:
        os.close(kvm)


def _machine() -> Iterator[str]:
    """Yield what is known without KVM: kernel, processor, where it runs (the device tree)."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    yield f"kernel {platform.release()}"
    platforms = re.search(r"^platform\s*: (.*)$", cpuinfo, re.MULTILINE)
    yield f"platform {platforms[1] if platforms else 'unknown'}"
    with contextlib.suppress(OSError):
        compatible = (_DEVICE_TREE / "hypervisor" / "compatible").read_bytes()
        yield f"hypervisor {compatible.split(bytes(1))[0].decode('ascii', 'replace')}"
    for file in sorted(_DEVICE_TREE.glob("cpus/*/ibm,dec-bits"))[:1]:
        yield f"dec-bits {int.from_bytes(file.read_bytes(), 'big')}"
    yield f"page-size {os.sysconf('SC_PAGE_SIZE')}"
    pvr = re.search(r"\(pvr (\w{4}) (\w{4})\)", cpuinfo)
    if pvr:
        yield f"mfpvr 0x{pvr[1]}{pvr[2]}"


def _kvm(kvm: int) -> Iterator[str]:
    yield f"api {fcntl.ioctl(kvm, ioctls.KVM_GET_API_VERSION, 0)}"
    yield from _capabilities("system", kvm)
    for kind in _VM_TYPES:
        try:
            vm = fcntl.ioctl(kvm, ioctls.KVM_CREATE_VM, kind)
        except OSError as error:
            yield f"create-vm type {kind}: {error.strerror}"
            continue
        yield f"create-vm type {kind}: ok"
        try:
            yield from _vm(f"vm{kind}", vm)
        finally:
            os.close(vm)


def _capabilities(name: str, opened: int) -> Iterator[str]:
    for capability, number in ioctls.CAPABILITIES.items():
        try:
            yield f"{name} {capability} {fcntl.ioctl(opened, ioctls.KVM_CHECK_EXTENSION, number)}"
        except OSError as error:
            yield f"{name} {capability} error {error.strerror}"


def _vm(name: str, vm: int) -> Iterator[str]:
    yield from _capabilities(name, vm)
    answer = bytearray(ioctls.CPU_CHAR_SIZE)
    said = _ask(vm, ioctls.KVM_PPC_GET_CPU_CHAR, answer)
    if said == "ok":
        character, behaviour, character_mask, behaviour_mask = struct.unpack("=4Q", answer)
        masked = f"character {character:016x}/{character_mask:016x}"
        yield f"{name} cpu-char {masked} behaviour {behaviour:016x}/{behaviour_mask:016x}"
    else:
        yield f"{name} cpu-char: {said}"
    answer = bytearray(ioctls.SMMU_INFO_SIZE)
    said = _ask(vm, ioctls.KVM_PPC_GET_SMMU_INFO, answer)
    yield f"{name} smmu-info {_page_sizes(answer)}" if said == "ok" else f"{name} smmu-info: {said}"
    try:
        vcpu = fcntl.ioctl(vm, ioctls.KVM_CREATE_VCPU, 0)
    except OSError as error:
        yield f"{name} create-vcpu: {error.strerror}"
        return
    try:
        yield f"{name} create-vcpu: ok"
        yield from _vcpu(name, vcpu)
        yield from _interrupts(name, vm)
    finally:
        os.close(vcpu)


def _page_sizes(answer: bytearray) -> str:
    """Return struct kvm_ppc_smmu_info as text: flags, and per segment its page sizes."""
    flags, slb, data_keys, instruction_keys = struct.unpack_from("=QIHH", answer)
    text = f"flags {flags:x} slb {slb} keys {data_keys},{instruction_keys}"
    for segment in range(8):
        shift, encoding, *pages = struct.unpack_from("=II16I", answer, 16 + 72 * segment)
        if not shift:
            break
        found = [f"{page}/{code:x}" for page, code in zip(pages[::2], pages[1::2], strict=True) if page]
        text += f" [{shift} slb {encoding:x}: {' '.join(found)}]"
    return text


def _vcpu(name: str, vcpu: int) -> Iterator[str]:
    registers = bytearray(ioctls.SREGS_SIZE)
    said = _ask(vcpu, ioctls.KVM_GET_SREGS, registers)
    (own,) = struct.unpack_from("=I", registers)
    yield f"{name} get-sregs: {said} pvr {own:08x}"
    for pvr in (own, own ^ 1):
        struct.pack_into("=I", registers, 0, pvr)
        yield f"{name} set-sregs pvr {pvr:08x}: {_ask(vcpu, ioctls.KVM_SET_SREGS, registers)}"
    yield _register("get", vcpu, "LPCR_64")
    for mode in _MODES:
        yield _register("set", vcpu, "ARCH_COMPAT", mode)
        yield _register("get", vcpu, "ARCH_COMPAT")


def _register(verb: str, vcpu: int, name: str, value: int = 0) -> str:
    """Get or set a register of a vcpu, and return the line about it."""
    number = ioctls.ONE_REGS[name]
    content = bytearray(value.to_bytes(ioctls.register_size(number), sys.byteorder))
    address = ctypes.addressof(ctypes.c_char.from_buffer(content))
    request = bytearray(struct.pack("=QQ", number, address))
    said = _ask(vcpu, ioctls.KVM_SET_ONE_REG if verb == "set" else ioctls.KVM_GET_ONE_REG, request)
    return f"{verb} {name} {int.from_bytes(content, sys.byteorder):#x}: {said}"


def _interrupts(name: str, vm: int) -> Iterator[str]:
    """Create XICS, XIVE, and XICS again, each after the one before was closed."""
    for words, device in (
        ("create XICS", ioctls.KVM_DEV_TYPE_XICS),
        ("then XIVE", ioctls.KVM_DEV_TYPE_XIVE),
        ("then XICS again", ioctls.KVM_DEV_TYPE_XICS),
    ):
        request = bytearray(struct.pack("=III", device, 0, 0))
        said = _ask(vm, ioctls.KVM_CREATE_DEVICE, request)
        if said == "ok":
            os.close(struct.unpack("=III", request)[1])
        yield f"{name} {words}: {said}"


def _ask(opened: int, request: int, argument: bytearray) -> str:
    """Run an ioctl that may fill in its argument; return "ok" or the error."""
    try:
        fcntl.ioctl(opened, request, argument)
    except OSError as error:
        return error.strerror or str(error.errno)
    return "ok"
