"""qcow2 images with internal snapshots, as `savevm` makes them: the stream is behind the disk's end.

QEMU's docs/interop/qcow2.txt; block/qcow2-snapshot.c, block/qcow2.c ``qcow2_vm_state_offset``.  Everything is
big-endian.  A snapshot has an L1 table of its own; its entries behind those of the disk map the stream.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmstate.containers.protocol import Buffer, Unwrapped, damage
from vmstate.containers.qcow2_rewriting import Replacement, rewritten
from vmstate.containers.spool import Spool
from vmstate.dataclass import dataclass, field
from vmstate.errors import Finding, Unsupported

MAGIC = b"QFI\xfb"
_V2_SIZE, _V3_SIZE = 72, 104
_CLUSTER_BITS = range(9, 22)
_MOST_SNAPSHOTS = 65536
_MOST_L1 = (32 << 20) // 8
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED, _ZERO = 1 << 62, 1
_DIRTY, _CORRUPT, _DATA_FILE, _EXTENDED_L2 = 1, 1 << 1, 1 << 2, 1 << 4
_KNOWN_BITS = 0x1F
_ENCRYPTIONS = {1: "AES", 2: "LUKS"}
_SUBCLUSTERS = 32


@lru_cache
def _declarations() -> tuple[Any, Any, Any]:
    """Return the declarations of the header, what version 3 adds to it, and a snapshot."""
    import construct as c  # importing it takes longer than reading most streams

    header = c.Struct(
        "magic" / c.Bytes(4),
        "version" / c.Int32ub,
        "backing_file_offset" / c.Int64ub,
        "backing_file_size" / c.Int32ub,
        "cluster_bits" / c.Int32ub,
        "size" / c.Int64ub,
        "crypt_method" / c.Int32ub,
        "l1_size" / c.Int32ub,
        "l1_table_offset" / c.Int64ub,
        "refcount_table_offset" / c.Int64ub,
        "refcount_table_clusters" / c.Int32ub,
        "nb_snapshots" / c.Int32ub,
        "snapshots_offset" / c.Int64ub,
    )
    version_3 = c.Struct(
        "incompatible_features" / c.Int64ub,
        "compatible_features" / c.Int64ub,
        "autoclear_features" / c.Int64ub,
        "refcount_order" / c.Int32ub,
        "header_length" / c.Int32ub,
    )
    snapshot = c.Struct(
        "l1_table_offset" / c.Int64ub,
        "l1_size" / c.Int32ub,
        "id_size" / c.Int16ub,
        "name_size" / c.Int16ub,
        "date_sec" / c.Int32ub,
        "date_nsec" / c.Int32ub,
        "vm_clock_nsec" / c.Int64ub,
        "vm_state_size" / c.Int32ub,
        "extra_size" / c.Int32ub,
    )
    return header, version_3, snapshot


@dataclass(frozen=True)
class Snapshot:
    """An internal snapshot.  ``vm_state_size`` is in bytes, 0 for a snapshot of the disk alone.

    ``entry``: the offset of its entry in the image.
    """

    id: str
    name: str
    date: int
    vm_clock_nsec: int
    vm_state_size: int
    disk_size: int
    l1_table_offset: int
    l1_size: int
    entry: int
    extra_size: int

    def as_json(self) -> dict[str, object]:
        """Return the snapshot as a JSON object; ``date`` in UTC, ``vm_clock`` in seconds."""
        return {
            "id": self.id,
            "name": self.name,
            "date": datetime.fromtimestamp(self.date, UTC).isoformat(),
            "vm_clock": self.vm_clock_nsec / 1e9,
            "vm_state_size": self.vm_state_size,
            "disk_size": self.disk_size,
        }


@dataclass(frozen=True)
class Image:
    """A qcow2 image: ``data`` is the whole file, mapped."""

    data: memoryview = field(repr=False)
    version: int
    cluster_bits: int
    size: int
    crypt_method: int
    incompatible: int
    refcount_order: int
    l1_table_offset: int
    l1_size: int
    refcount_table_offset: int
    refcount_table_clusters: int
    zstd: bool
    nb_snapshots: int
    snapshots_offset: int

    @property
    def cluster_size(self) -> int:
        """The bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def extended(self) -> bool:
        """True if the entries of L2 tables have a bitmap of subclusters."""
        return bool(self.incompatible & _EXTENDED_L2)

    @property
    def l2_entries(self) -> int:
        """The entries of an L2 table."""
        return self.cluster_size // (16 if self.extended else 8)

    @cached_property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots, as many as can be read."""
        return tuple(_snapshots(self))

    def first_state_index(self, snapshot: Snapshot) -> int:
        """Return the index in the snapshot's L1 table at which its stream begins."""
        return -(-snapshot.disk_size // (self.cluster_size * self.l2_entries))


def read_image(data: memoryview) -> Image:
    """Read an image's header.  Raises Unsupported for one that is not a qcow2 header of version 2 or 3."""
    header, version_3, _ = _declarations()
    if len(data) < _V2_SIZE:
        raise Unsupported("the qcow2 image ends within its header", offset=len(data))
    read = header.parse(bytes(data[:_V2_SIZE]))
    if read.version not in (2, 3):
        raise Unsupported("qcow2: unknown version", offset=4, expected="2 or 3", found=str(read.version))
    if read.cluster_bits not in _CLUSTER_BITS:
        raise Unsupported(
            "qcow2: impossible size of clusters",
            offset=20,
            expected="9 to 21 bits",
            found=str(read.cluster_bits),
        )
    incompatible, order, zstd = 0, 4, False
    if read.version == 3:
        if len(data) < _V3_SIZE:
            raise Unsupported("the qcow2 image ends within its header", offset=len(data))
        more = version_3.parse(bytes(data[_V2_SIZE:_V3_SIZE]))
        incompatible, order = more.incompatible_features, more.refcount_order
        zstd = more.header_length > _V3_SIZE and len(data) > _V3_SIZE and data[_V3_SIZE] == 1
        if order > 6:
            raise Unsupported(
                "qcow2: impossible refcounts", offset=96, expected="order 0 to 6", found=str(order)
            )
    return Image(
        data,
        read.version,
        read.cluster_bits,
        read.size,
        read.crypt_method,
        incompatible,
        order,
        read.l1_table_offset,
        read.l1_size,
        read.refcount_table_offset,
        read.refcount_table_clusters,
        zstd,
        read.nb_snapshots,
        read.snapshots_offset,
    )


def _snapshots(image: Image) -> Iterator[Snapshot]:
    declaration = _declarations()[2]
    size = declaration.sizeof()
    at = image.snapshots_offset
    for _ in range(min(image.nb_snapshots, _MOST_SNAPSHOTS)):
        if at + size > len(image.data):
            return
        read = declaration.parse(bytes(image.data[at : at + size]))
        extra = bytes(image.data[at + size : at + size + min(read.extra_size, 16)])
        state = int.from_bytes(extra[:8], "big") if read.extra_size >= 8 else read.vm_state_size
        disk = int.from_bytes(extra[8:16], "big") if read.extra_size >= 16 else image.size
        texts = at + size + read.extra_size
        names = bytes(image.data[texts : texts + read.id_size + read.name_size])
        yield Snapshot(
            names[: read.id_size].decode(errors="replace"),
            names[read.id_size :].decode(errors="replace"),
            read.date_sec,
            read.vm_clock_nsec,
            state,
            disk,
            read.l1_table_offset,
            read.l1_size,
            at,
            read.extra_size,
        )
        at = -(-(texts + read.id_size + read.name_size) // 8) * 8


@dataclass(frozen=True)
class Qcow2Metadata:
    """An image, and the snapshot whose stream was taken out."""

    image: Image = field(repr=False)
    snapshot: Snapshot

    @property
    def part(self) -> str:
        """The snapshot's id, which is its own."""
        return self.snapshot.id

    def as_json(self) -> Mapping[str, object]:
        """Return the metadata as a JSON object."""
        return {
            "version": self.image.version,
            "cluster_size": self.image.cluster_size,
            "snapshot": self.snapshot.as_json(),
            "snapshots": [one.name for one in self.image.snapshots],
        }


class Qcow2:
    """The container that an image is around the stream of one of its snapshots.

    ``chosen``: the snapshot's name, or its id; None for the only one with a machine's state.
    """

    name = "qcow2"

    def __init__(self, chosen: str | None = None) -> None:
        self._chosen = chosen

    def part(self, name: str) -> Qcow2:
        """Return the container of the stream of that snapshot."""
        return Qcow2(name)

    def unwrap(self, data: memoryview, spool: Callable[[], Spool]) -> Unwrapped:
        """Return the stream of the snapshot.  Raises Unsupported if there is none, or none was chosen."""
        image = read_image(data)
        snapshot = _choose(image, self._chosen)
        _check(image)
        stream = _Mapped(image, snapshot)
        run = stream.only_run()
        metadata = Qcow2Metadata(image, snapshot)
        if run is not None:
            return Unwrapped(data[run : run + stream.size], metadata, tuple(stream.findings), run, "")
        into = spool()
        for piece in stream.pieces():
            into.write(memoryview(piece))
        return Unwrapped(into.finish(), metadata, tuple(stream.findings), None, "")

    def wrap(self, metadata: Qcow2Metadata, chunks: Iterable[Buffer], size: int | None) -> Iterator[bytes]:
        """Yield the image with another stream in the snapshot.  Raises Unsupported where that cannot be."""
        image, snapshot = metadata.image, metadata.snapshot
        if image.incompatible & _DIRTY:
            raise Unsupported(
                "the image was not closed, and its refcounts are not up to date",
                remedy="`qemu-img check -r all` mends them",
            )
        into = Spool()
        for chunk in chunks:
            into.write(memoryview(chunk))
        mapped = _Mapped(image, snapshot)
        yield from rewritten(
            Replacement(
                image.data,
                into.finish(),
                image.cluster_bits,
                image.refcount_order,
                image.refcount_table_offset,
                image.refcount_table_clusters,
                image.extended,
                snapshot.entry,
                snapshot.extra_size,
                snapshot.l1_table_offset,
                snapshot.l1_size,
                image.first_state_index(snapshot),
                mapped.entries(),
                image.l1_table_offset,
                image.l1_size,
            )
        )

    def plain_metadata(self) -> Qcow2Metadata:
        """Raise Unsupported: an image is made by QEMU."""
        raise Unsupported(
            "a qcow2 image cannot be made here",
            remedy="make one with `qemu-img create` and `savevm`, and edit it",
        )


def _choose(image: Image, chosen: str | None) -> Snapshot:
    with_state = [one for one in image.snapshots if one.vm_state_size]
    if chosen is not None:
        found = [one for one in image.snapshots if one.id == chosen] or [
            one for one in image.snapshots if one.name == chosen
        ]
        if not found:
            names = ", ".join(one.name for one in image.snapshots) or "none"
            raise Unsupported(f"the image has no snapshot {chosen!r}", expected=names, found=chosen)
        if not found[0].vm_state_size:
            raise Unsupported(
                f"snapshot {chosen!r} has no machine state",
                remedy="it was made of the disk alone, as by `qemu-img snapshot`",
            )
        return found[0]
    if not with_state:
        raise Unsupported(
            "a qcow2 image without the state of a machine",
            remedy="`savevm NAME` in QEMU's monitor puts one into it",
        )
    if len(with_state) > 1:
        names = ", ".join(one.name for one in with_state)
        raise Unsupported(
            f"the image has {len(with_state)} snapshots with the state of a machine: {names}",
            remedy=f"name one: IMAGE@{with_state[0].name}; `vmstate snapshots IMAGE` lists them",
        )
    return with_state[0]


def _check(image: Image) -> None:
    if image.crypt_method:
        kind = _ENCRYPTIONS.get(image.crypt_method, f"method {image.crypt_method}")
        raise Unsupported(
            f"the image is encrypted ({kind})", remedy="load the snapshot in QEMU, and save it there"
        )
    if image.incompatible & _DATA_FILE:
        raise Unsupported("the image's clusters are in an external data file")
    if image.incompatible & ~_KNOWN_BITS:
        raise Unsupported(f"qcow2: unknown incompatible features {image.incompatible & ~_KNOWN_BITS:#x}")


class _Mapped:
    """The clusters of a snapshot's stream: where each is in the image."""

    def __init__(self, image: Image, snapshot: Snapshot) -> None:
        self.findings: list[Finding] = []
        self._image = image
        self._entries, self._bitmaps = self._read_tables(snapshot)
        self.size = min(snapshot.vm_state_size, len(self._entries) << image.cluster_bits)
        if self.size < snapshot.vm_state_size:
            text = (
                f"the snapshot has {snapshot.vm_state_size} bytes of state, but clusters for only {self.size}"
            )
            self.findings.append(damage("qcow2", "truncated", text, snapshot.entry))
        if image.incompatible & _CORRUPT:
            self.findings.append(damage("qcow2", "qcow2.corrupt", "QEMU marked the image as corrupt", 79))

    def _read_tables(self, snapshot: Snapshot) -> tuple[NDArray[np.uint64], NDArray[np.uint64] | None]:
        """Return the clusters' entries to the last allocated one, with extended tables their bitmaps too."""
        image, data = self._image, self._image.data
        first, words = image.first_state_index(snapshot), 2 if image.extended else 1
        wanted = -(-snapshot.vm_state_size // image.cluster_size)
        tables = min(-(-wanted // image.l2_entries), max(min(snapshot.l1_size, _MOST_L1) - first, 0))
        start = snapshot.l1_table_offset + first * 8
        l1 = np.frombuffer(data[start : start + tables * 8][: max(len(data) - start, 0) // 8 * 8], ">u8")
        read: list[NDArray[np.uint64]] = []
        seen: set[int] = set()
        for entry in l1.tolist():
            at = entry & _OFFSET
            whole = at and at + image.cluster_size <= len(data)
            if not whole or at in seen:
                break
            seen.add(at)
            read.append(np.frombuffer(data[at : at + image.cluster_size], ">u8").astype(np.uint64))
        entries = np.concatenate(read) if read else np.zeros(0, np.uint64)
        bitmaps = entries[1::2] if words == 2 else None
        entries = entries[::words][:wanted]
        allocated = np.flatnonzero(entries)
        last = int(allocated[-1]) + 1 if len(allocated) else 0
        return entries[:last], None if bitmaps is None else bitmaps[:last]

    def entries(self) -> list[int]:
        """Return the entry of each cluster in its L2 table."""
        return [int(entry) for entry in self._entries.tolist()]

    def only_run(self) -> int | None:
        """Return the stream's offset in the image if its clusters follow one another; else None."""
        if not len(self._entries) or self._bitmaps is not None:
            return None
        offsets = self._entries & np.uint64(_OFFSET)
        step = np.uint64(self._image.cluster_size)
        plain = not (self._entries & np.uint64(_COMPRESSED | _ZERO)).any()
        start = int(offsets[0])
        if not plain or (np.diff(offsets) != step).any() or start + self.size > len(self._image.data):
            return None
        return start

    def pieces(self) -> Iterator[Buffer]:
        """Yield the stream, a cluster at a time; missing ones are zeros."""
        cluster, left = self._image.cluster_size, self.size
        seen: set[int] = set()
        for index, entry in enumerate(self._entries.tolist()):
            if entry in seen and entry & _OFFSET:
                text = f"a cluster is used twice by one state, at {index * cluster}"
                self.findings.append(damage("qcow2", "qcow2.cluster", text, entry & _OFFSET))
                return
            seen.add(entry)
            piece = self._cluster(index, entry)
            yield piece[: min(left, cluster)]
            left -= cluster

    def _cluster(self, index: int, entry: int) -> Buffer:
        data, size = self._image.data, self._image.cluster_size
        if entry & _COMPRESSED:
            return self._decompressed(index, entry)
        at = entry & _OFFSET
        if not at or (entry & _ZERO and self._bitmaps is None):
            return bytes(size)
        if at + size > len(data):
            text = f"a cluster of the state is behind the image's end, at {at:#x}"
            self.findings.append(damage("qcow2", "truncated", text, at))
            return bytes(data[at : at + size]).ljust(size, b"\0")
        piece = data[at : at + size]
        return piece if self._bitmaps is None else self._subclusters(piece, int(self._bitmaps[index]))

    @staticmethod
    def _subclusters(piece: memoryview, bitmap: int) -> Buffer:
        """Return a cluster of which only the subclusters in the lower half of the bitmap were written."""
        if bitmap & 0xFFFFFFFF == 0xFFFFFFFF:
            return piece
        made, size = bytearray(len(piece)), len(piece) // _SUBCLUSTERS
        for one in range(_SUBCLUSTERS):
            if bitmap >> one & 1:
                made[one * size : (one + 1) * size] = piece[one * size : (one + 1) * size]
        return made

    def _decompressed(self, index: int, entry: int) -> bytes:
        image = self._image
        shift = 62 - (image.cluster_bits - 8)
        at = entry & (1 << shift) - 1
        sectors = (entry >> shift & (1 << image.cluster_bits - 8) - 1) + 1
        packed = bytes(image.data[at : at + sectors * 512 - (at & 511)])
        try:
            found = _inflate(packed, image.cluster_size, zstd=image.zstd)
        except (zlib.error, ValueError) as error:
            text = f"a compressed cluster of the state cannot be read: {error}"
            self.findings.append(damage("qcow2", "qcow2.cluster", text, at))
            found = b""
        return found.ljust(image.cluster_size, b"\0")


def _inflate(packed: bytes, size: int, *, zstd: bool) -> bytes:
    if not zstd:
        return zlib.decompressobj(-12).decompress(packed, size)
    import zstandard

    try:
        return zstandard.ZstdDecompressor().stream_reader(packed).read(size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


CONTAINER = Qcow2()
