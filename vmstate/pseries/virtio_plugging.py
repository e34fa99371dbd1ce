"""Virtio devices on PCI: how many queues and vectors they get, by command line and machine type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vmstate.describe.history import History
from vmstate.pseries.board.board import Board
from vmstate.pseries.devices.host.ram import RamBlock
from vmstate.pseries.devices.pci.config_space import NIC_ROM
from vmstate.pseries.devices.virtio.models import (
    VirtioBalloon,
    VirtioBlk,
    VirtioRng,
    VirtioScsi,
    VirtioSerial,
)
from vmstate.pseries.devices.virtio.virtio_net import VirtioNet
from vmstate.pseries.devices.virtio.virtio_pci import RING_RESET, VERSION_1, VirtioDevice, VirtioOptions
from vmstate.pseries.plugging import is_on, number_of, place, property_of

SERIAL_PORTS = 31

#: Properties that are younger than most machine types.
QUEUE_RESET = History("off", ("7.2", "on"))
PAGE_POISON = History("off", ("5.1", "on"))


class _Settings:
    """Properties of one device: those of the option, then of the machine type, then its own defaults."""

    def __init__(self, board: Board, option: Any) -> None:
        self.board = board
        self.option = option

    def text(self, owner: str, name: str, default: str) -> str:
        given = self.option.get(name)
        return str(given) if given is not None else property_of(self.board, owner, name, default)

    def number(self, owner: str, name: str, default: int) -> int:
        own = int(property_of(self.board, owner, name, str(default)), 0)
        return number_of(self.option, name, own)

    def flag(self, owner: str, name: str, default: str) -> bool:
        return is_on(self.text(owner, name, default))

    def options(
        self, queues: list[int], vectors: int, config_len: int | None = None, features: int = 0
    ) -> VirtioOptions:
        """Queues and vectors, with what all virtio devices on PCI can be told."""
        modern = not self.flag("virtio-pci", "disable-modern", "off")
        resets = self.flag("virtio-device", "queue_reset", QUEUE_RESET.at(self.board.machine.release))
        version = (VERSION_1 if modern else 0) | (RING_RESET if modern and resets else 0)
        return VirtioOptions(
            queues=tuple(queues),
            vectors=self.number("", "vectors", vectors),
            modern=modern,
            extra=self.flag("virtio-pci", "migrate-extra", "on"),
            page_per_queue=self.flag("virtio-pci", "page-per-vq", "off"),
            config_len=config_len,
            features=features | version,
        )


def has_rom(option: Any) -> bool:
    """Whether a network card brings its boot firmware."""
    return bool(option.get("romfile") != "")


def _net(settings: _Settings) -> VirtioDevice:
    vectors = settings.number("virtio-net-pci-base", "vectors", 4)
    options = replace(settings.options([256, 256, 64], vectors), rom=has_rom(settings.option))
    return VirtioNet(settings.board.machine, options, settings.board.mac(settings.option.get("mac")))


def _blk(settings: _Settings) -> VirtioDevice:
    count = settings.number("virtio-blk-device", "num-queues", settings.board.machine.topology.cpus)
    size = settings.number("virtio-blk-device", "queue-size", 256)
    vectors = settings.number("virtio-blk-pci", "vectors", count + 1)
    return VirtioBlk(settings.board.machine, settings.options([size] * count, vectors))


def _scsi(settings: _Settings) -> VirtioDevice:
    count = settings.number("virtio-scsi-device", "num_queues", settings.board.machine.topology.cpus)
    size = settings.number("virtio-scsi-device", "virtqueue_size", 256)
    return VirtioScsi(settings.board.machine, settings.options([size] * (count + 2), count + 3))


def _balloon(settings: _Settings) -> VirtioDevice:
    device = "virtio-balloon-device"
    poison = settings.flag(device, "page-poison", PAGE_POISON.at(settings.board.machine.release))
    long = poison or settings.flag(device, "qemu-4-0-config-size", "off")
    vectors = settings.number("virtio-balloon-pci", "vectors", 2)
    options = settings.options([128] * 3, vectors, 16 if long else 8, 0x10 if poison else 0)
    return VirtioBalloon(settings.board.machine, options)


def _rng(settings: _Settings) -> VirtioDevice:
    return VirtioRng(
        settings.board.machine, settings.options([8], settings.number("virtio-rng-pci", "vectors", 2))
    )


def _serial(settings: _Settings) -> VirtioDevice:
    queues = [128, 128, 32, 32] + [128, 128] * (SERIAL_PORTS - 1)
    emergency = settings.flag("virtio-serial-device", "emergency-write", "on")
    options = settings.options(queues, 2, 12 if emergency else 8, 0x4 if emergency else 0)
    return VirtioSerial(settings.board.machine, options)


MAKERS: dict[str, Callable[[_Settings], VirtioDevice]] = {
    "virtio-net-pci": _net,
    "virtio-blk-pci": _blk,
    "virtio-scsi-pci": _scsi,
    "virtio-balloon-pci": _balloon,
    "virtio-rng-pci": _rng,
    "virtio-serial-pci": _serial,
}


def add_virtio(board: Board, option: Any) -> None:
    """A virtio device in the next slot; a network card brings its boot firmware."""
    path = place(board, option)
    board.add_at(path, MAKERS[option.driver](_Settings(board, option)))
    if option.driver == "virtio-net-pci" and has_rom(option):
        board.ram_blocks.append(RamBlock(f"{path}/virtio-net-pci.rom", NIC_ROM.size))
