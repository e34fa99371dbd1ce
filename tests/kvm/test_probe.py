"""Asking KVM, with a kernel that is played: what is written down is read again (vmstate/kvm/probe.py)."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from pathlib import Path

import pytest

from vmstate import cli
from vmstate.kvm import ioctls, probe
from vmstate.kvm.answers import Characteristics, Register, read_answers

CAPABILITIES = {name: number for number, name in enumerate(ioctls.CAPABILITIES)}
MODES = {0x0F000003, 0x0F000004, 0}


class Kernel:
    """KVM HV that takes the modes of MODES, and has capabilities 0, 1, 2, … in the order of the table."""

    def __init__(self, no_vcpus=False):
        self.no_vcpus = no_vcpus
        self.mode = 0
        self.next = 100

    def ioctl(self, opened, request, argument):
        del opened
        answers = {
            ioctls.KVM_GET_API_VERSION: lambda: 12,
            ioctls.KVM_CHECK_EXTENSION: lambda: CAPABILITIES[self.capability(argument)],
            ioctls.KVM_CREATE_VM: lambda: self.refuse(argument == 2),
            ioctls.KVM_CREATE_VCPU: lambda: self.refuse(self.no_vcpus),
            ioctls.KVM_PPC_GET_CPU_CHAR: lambda: struct.pack_into("=4Q", argument, 0, 1, 2, 3, 4),
            ioctls.KVM_PPC_GET_SMMU_INFO: lambda: struct.pack_into(
                "=QIHH II4I", argument, 0, 3, 32, 1, 2, 12, 0, 12, 0, 24, 0x38
            ),
            ioctls.KVM_GET_SREGS: lambda: struct.pack_into("=I", argument, 0, 0x004E1202),
            ioctls.KVM_SET_SREGS: lambda: self.set_pvr(argument),
            ioctls.KVM_GET_ONE_REG: lambda: self.register(argument, write=False),
            ioctls.KVM_SET_ONE_REG: lambda: self.register(argument, write=True),
            ioctls.KVM_CREATE_DEVICE: lambda: self.device(argument),
        }
        return answers[request]() or 0

    @staticmethod
    def capability(number):
        return next(name for name, known in ioctls.CAPABILITIES.items() if known == number)

    @staticmethod
    def refuse(refused):
        """Fail, or return a new file, as what creates something does."""
        if refused:
            raise OSError(22, "Invalid argument")
        return os.open(os.devnull, os.O_RDONLY)

    @staticmethod
    def set_pvr(argument):
        if struct.unpack_from("=I", argument)[0] != 0x004E1202:
            raise OSError(22, "Invalid argument")

    def device(self, argument):
        (kind,) = struct.unpack_from("=I", argument)
        struct.pack_into("=I", argument, 4, self.refuse(kind != ioctls.KVM_DEV_TYPE_XICS))

    def register(self, argument, *, write):
        number, address = struct.unpack("=QQ", argument)
        size = ioctls.register_size(number)
        place = (ctypes.c_char * size).from_address(address)
        if number == ioctls.ONE_REGS["LPCR_64"]:
            place.raw = (0x41F).to_bytes(size, sys.byteorder)
        elif not write:
            place.raw = self.mode.to_bytes(size, sys.byteorder)
        else:
            mode = int.from_bytes(place.raw, sys.byteorder)
            if mode not in MODES:
                raise OSError(22, "Invalid argument")
            self.mode = mode


@pytest.fixture
def on_power(monkeypatch):
    """Pretend to be a POWER machine whose KVM is the given kernel."""

    def use(kernel):
        monkeypatch.setattr(platform, "machine", lambda: "ppc64le")
        monkeypatch.setattr(probe, "KVM", os.devnull)
        monkeypatch.setattr(probe.fcntl, "ioctl", kernel.ioctl)

    return use


def test_answers_are_read_as_they_were_given(on_power):
    on_power(Kernel())
    read = read_answers(probe.probe())
    assert set(read.machines) == {0, 1}
    machine = read.machines[0]
    assert machine.capabilities == {
        name.removeprefix("KVM_CAP_"): number for name, number in CAPABILITIES.items()
    }
    assert machine.characteristics == Characteristics(1, 3, 2, 4)
    assert Register("get", "LPCR_64", 0x41F, "ok") in machine.registers
    assert {one.value for one in machine.registers if one.verb == "set" and one.said == "ok"} == MODES
    assert Register("get", "ARCH_COMPAT", 0x0F000004, "ok") in machine.registers
    assert machine.devices == {"create XICS": "ok", "then XIVE": "Invalid argument", "then XICS again": "ok"}


def test_what_kvm_refuses_is_written_down(on_power):
    on_power(Kernel(no_vcpus=True))
    lines = probe.probe()
    assert "create-vm type 2: Invalid argument" in lines
    assert "vm0 create-vcpu: Invalid argument" in lines
    assert "vm0 smmu-info flags 3 slb 32 keys 1,2 [12 slb 0: 12/0 24/38]" in lines


def test_no_file_stays_open(on_power):
    on_power(Kernel())
    before = len(list(Path("/proc/self/fd").iterdir()))
    probe.probe()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_another_architecture_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert cli.main(["host", "--probe"]) == 2
    assert "this machine is x86_64" in capsys.readouterr().err


def test_a_power_machine_without_kvm_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(platform, "machine", lambda: "ppc64le")
    monkeypatch.setattr(probe, "KVM", tmp_path / "kvm")
    assert cli.main(["host", "--probe"]) == 2
    assert "No such file or directory; load kvm_hv or kvm_pr" in capsys.readouterr().err


def test_the_numbers_are_those_of_the_kernels_headers():
    """Checked against a C program with the headers of Linux 6.1."""
    assert (ioctls.KVM_GET_API_VERSION, ioctls.KVM_CREATE_VCPU) == (0x2000AE00, 0x2000AE41)
    assert (ioctls.KVM_GET_SREGS, ioctls.KVM_SET_SREGS) == (0x44D0AE83, 0x84D0AE84)
    assert (ioctls.KVM_GET_ONE_REG, ioctls.KVM_SET_ONE_REG) == (0x8010AEAB, 0x8010AEAC)
    assert (ioctls.KVM_PPC_GET_SMMU_INFO, ioctls.KVM_PPC_GET_CPU_CHAR) == (0x4250AEA6, 0x4020AEB1)
    assert ioctls.KVM_CREATE_DEVICE == 0xC00CAEE0
    assert ioctls.ONE_REGS == {"ARCH_COMPAT": 0x10200000000000B7, "LPCR_64": 0x10300000000000B5}
