"""virtio-gpu: a graphics card without acceleration (hw/display/virtio-gpu.c, virtio-gpu-pci.c)."""

from __future__ import annotations

from typing import Any

from vmstate.dataclass import replace
from vmstate.describe import (
    Cursor,
    Field,
    History,
    Record,
    Since,
    VMStateDescription,
    Writer,
    plan_of,
)
from vmstate.describe.cursor import SUBSECTION
from vmstate.describe.history import Release, Span
from vmstate.describe.infos import Info
from vmstate.errors import EncodeError, NotModelled
from vmstate.handwritten.virtio.gpu import BLOBS, CARD, OUTPUT_WITH_FRAME, OUTPUTS, POINT
from vmstate.pseries.board.board import Board
from vmstate.pseries.board.driver import Driver
from vmstate.pseries.board.properties import Property, harmless, not_modelled
from vmstate.pseries.devices.pci.config_space import Bar
from vmstate.pseries.devices.virtio import virtio_pci
from vmstate.pseries.devices.virtio.indexes import ACCESS_PLATFORM
from vmstate.pseries.devices.virtio.virtio import virtio
from vmstate.pseries.devices.virtio.virtio_pci import (
    PLAIN,
    Layout,
    VirtioDevice,
    VirtioModel,
    VirtioOptions,
    backend,
    checking,
    count,
    feature,
    ioeventfd,
    offered,
    options,
    vectors,
)
from vmstate.pseries.machine import Machine, Refused
from vmstate.pseries.options import DeviceOption

MOST_OUTPUTS = 16
QUEUES = (64, 16)
_DISPLAY = "what the monitor says, which no stream has"

#: The formats that virtio-gpu has, all with four bytes for each point; the largest sides that are modelled.
_FORMATS, _MOST = frozenset((1, 2, 3, 4, 67, 68, 121, 134)), 8192


def _pictures(cur: Cursor, memory: int | None = None) -> frozenset[int]:
    """Skip pictures, and return their numbers; ``memory``: the size of the memory that they are mapped to.

    Raises NotModelled for one that QEMU would refuse.
    """
    found: set[int] = set()
    while number := cur.word():
        at = cur.pos
        width, height, form, parts = (cur.word() for _ in range(4))
        fits = 0 < width <= _MOST and 0 < height <= _MOST and parts <= _MOST
        if number in found or form not in _FORMATS or not fits:
            raise NotModelled("a picture of virtio-gpu that is not modelled", offset=at)
        for _ in range(parts):
            address, size = int.from_bytes(cur.take(8), "big"), cur.word()
            if memory is not None and not address < address + size <= memory:
                raise NotModelled("a picture of virtio-gpu outside of memory", offset=at)
        cur.take(width * height * POINT)
        found.add(number)
    return frozenset(found)


def _without_frames(cur: Cursor, release: Release) -> bool:
    """Return True if the screens of an unknown machine come without frames: what follows says so."""
    ahead = Cursor(cur.data, cur.pos, cur.end)
    plan_of(CARD.at(release)).load(ahead, Record(with_frames=False), 0)
    return ahead.pos == ahead.end or ahead.data[ahead.pos] == SUBSECTION


class GpuInfo(Info):
    """All of it, which QEMU reads and writes by hand (virtio_gpu_load, virtio_gpu_save)."""

    name = "virtio-gpu"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        release = state.machine.release
        if not cur.judge:
            state.with_frames = SCANOUT_VERSION.span.covers(release) and not _without_frames(cur, release)
            plan_of(CARD.at(release)).load(cur, state, 0)
            return
        pictures = _pictures(cur, state.machine.ram_size)
        if pictures and state.host_features & ACCESS_PLATFORM:
            raise NotModelled("a picture of virtio-gpu behind an IOMMU", offset=cur.pos)
        plan_of(OUTPUTS.at(release)).load(cur, state, 1)
        if any(output.resource_id and output.resource_id not in pictures for output in state.outputs):
            raise NotModelled("a screen of virtio-gpu without its picture", offset=cur.pos)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        plan_of(CARD.at(state.machine.release)).save(out, state)


class BlobInfo(Info):
    """Pictures in memory that the guest shares with the host (virtio_gpu_blob_load)."""

    name = "blob"

    def get(self, cur: Cursor, field: Field, state: Any, size: int, old: Any) -> None:
        if cur.judge:
            raise cur.unknown("a picture in shared memory (virtio-gpu with blob=on) is not modelled")
        plan_of(BLOBS).load(cur, state, 0)

    def put(self, out: Writer, field: Field, state: Any, size: int, value: Any) -> None:
        if not out.replay:
            raise EncodeError("a picture in shared memory is not modelled")
        plan_of(BLOBS).save(out, state)


BLOB = Since(
    "8.2",
    VMStateDescription(
        "virtio-gpu/blob",
        1,
        1,
        needed=lambda gpu: gpu.blob,
        fields=[Field("virtio-gpu/blob", BlobInfo(), attr="blobs")],
    ),
)

_GPU = virtio("virtio-gpu", 1)
VIRTIO_GPU = replace(
    _GPU,
    fields=[*_GPU.fields, Field("virtio-gpu", GpuInfo(), attr="gpu")],
    subsections=[*_GPU.subsections, BLOB],
)


class VirtioGpu(VirtioDevice):
    """A card that no driver has used."""

    description = VIRTIO_GPU
    model = VirtioModel(0, 16, 0x038000, 16, only_modern=True)
    with_frames = False
    blob = False
    gpu = blobs = None
    enable = 0
    pictures: tuple[()] = ()

    def __init__(self, machine: Machine, options: VirtioOptions, outputs: int, *, frames: bool) -> None:
        super().__init__(machine, options)
        self.max_outputs = outputs
        self.with_frames = frames
        described = OUTPUT_WITH_FRAME.fields
        names = {str(field.attr): 0 for field in described if field.attr is not None}
        self.outputs = [Record(**names) for _ in range(outputs)]


NAME, OWNER = "virtio-gpu-pci", "virtio-gpu-device"
FIRST = Span("2.4")
_MODELLED = Span("2.8")  # before, it was not sent, or in another way
_UNSURE = Span("8.2.1", "9.1")  # of these releases some send the frames in another way
MAX_OUTPUTS = Property(OWNER, "max_outputs", "1", "uint32", values=lambda value: int(value, 0) > 0)
EDID = feature(OWNER, "edid", 1, History("off", ("4.1", "on")), Span("4.0"))
SCANOUT_VERSION = Property(OWNER, "x-scanout-vmstate-version", "2", "uint8", span=Span("9.1"))
FEATURES = (EDID,)


def properties(owner: str) -> tuple[Property, ...]:
    """Return the properties of a card of the class ``owner``, with those of its device."""
    return (
        *(vectors(owner, "3"), MAX_OUTPUTS, EDID, SCANOUT_VERSION),
        *harmless(OWNER, "uint32", _DISPLAY, "xres", "yres", span=Span("2.10")),
        *harmless(OWNER, "size", "a limit of the running device", "max_hostmem", span=Span("2.9")),
        *harmless(OWNER, "bool", "only with OpenGL", "virgl", "stats", span=Span("2.5", "6.1")),
        not_modelled(OWNER, "blob", "bool", "off", Span("6.1")),
        not_modelled(OWNER, "hostmem", "size", "0", Span("8.2")),
        not_modelled(OWNER, "outputs", "VirtIOGPUOutputList", span=Span("10.1")),
        *ioeventfd(owner),
        backend(OWNER),
        *virtio_pci.PROPERTIES,
    )


BASE = "virtio-gpu-pci-base"
PROPERTIES = properties(BASE)
VECTORS = PROPERTIES[0]


def check(machine: Machine, option: DeviceOption) -> None:
    """Refuse more screens than there may be (``virtio_gpu_base_device_realize``)."""
    release = machine.release
    if not _MODELLED.covers(release) or _UNSURE.covers(release):
        raise NotModelled(f"{option.text}: {option.driver} is not modelled in {release}")
    if MAX_OUTPUTS.number(machine, option, driver=option.driver) > MOST_OUTPUTS:
        raise Refused(f"{option.text}: invalid max_outputs > {MOST_OUTPUTS}")


def card(
    machine: Machine,
    option: DeviceOption | None,
    driver: str,
    model: VirtioModel,
    bars: tuple[Bar, ...] = (),
    layout: Layout = PLAIN,
) -> tuple[VirtioGpu, VirtioOptions]:
    """Return a card of that model, and its options."""
    number = count(VECTORS, machine, option, driver, 3)
    features = offered(machine, option, driver, FEATURES, only_modern=True)
    chosen = options(
        machine, option, driver, model, QUEUES, number, features=features, bars=bars, layout=layout
    )
    frames = SCANOUT_VERSION.span.covers(machine.release)
    frames = frames and SCANOUT_VERSION.number(machine, option, driver=driver) >= 2
    outputs = MAX_OUTPUTS.number(machine, option, driver=driver)
    return VirtioGpu(machine, chosen, outputs, frames=frames), chosen


def plug(board: Board, option: DeviceOption | None) -> None:
    """Plug a card."""
    device, _ = card(board.machine, option, NAME, VirtioGpu.model)
    board.plug_pci(device, NAME, option)


DRIVERS = (
    Driver(
        NAME,
        plug,
        FIRST,
        check=checking(check, only_modern=True),
        properties=PROPERTIES,
        hotpluggable=False,
        aliases=("virtio-gpu",),
        module="hw-display-virtio-gpu-pci",
        examples=("-device virtio-gpu-pci",),
    ),
)
