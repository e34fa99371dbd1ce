"""Files that hold no stream, by name: what they are, and what to do instead."""

from __future__ import annotations

from vmstate.dataclass import dataclass
from vmstate.pattern import pattern


@dataclass(frozen=True)
class Foreign:
    """A kind of file: the bytes ``magic`` at an offset, its name with an article, and what to do."""

    magic: bytes
    name: str
    remedy: str
    at: int = 0


_DISK = "a stream is what `migrate` or `savevm` writes, not a disk; `savevm` puts one into a qcow2 image"
_MEMORY = "it has guest memory but no devices: open it with gdb or crash; a stream is made with `migrate`"
_ARCHIVE = "unpack it, and give the file that is in it"

KINDS = (
    Foreign(b"\x7fELF", "an ELF file (a core is one)", _MEMORY),
    Foreign(b"KDUMP   ", "a kdump core", _MEMORY),
    Foreign(b"DISKDUMP", "a diskdump core", _MEMORY),
    Foreign(b"makedumpfile", "a flattened kdump core", _MEMORY),
    Foreign(b"PAGEDU64", "a Windows crash dump", _MEMORY),
    Foreign(b"EMiL", "a LiME memory image", _MEMORY),
    Foreign(b"VMA\0", "a Proxmox backup (VMA)", "it has disks; `vma extract` unpacks them"),
    Foreign(b"ustar", "a tar archive (OVA is one)", _ARCHIVE, 257),
    Foreign(b"PK\x03\x04", "a zip archive", _ARCHIVE),
    Foreign(b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _ARCHIVE),
    Foreign(b"hsqs", "a squashfs image (or a snap)", "unpack it with `unsquashfs`, and give the file in it"),
    Foreign(b"\x02\x21\x4c\x18", "an lz4 file of the legacy format", "decompress it with `lz4 -d` first"),
    Foreign(b"LRZI", "an lrzip file", "decompress it first"),
    Foreign(b"\xff\x06\0\0sNaPpY", "a snappy file", "decompress it first"),
    Foreign(b"KDMV", "a VMDK image", _DISK),
    Foreign(b"# Disk DescriptorFile", "a VMDK descriptor", _DISK),
    Foreign(b"conectix", "a VHD image", _DISK),
    Foreign(b"vhdxfile", "a VHDX image", _DISK),
    Foreign(b"QED\0", "a QED image", _DISK),
    Foreign(b"<<< ", "a VirtualBox disk", _DISK),
    Foreign(b"\xd2\xbe\xd2\xbe", "a VMware snapshot", "it is VMware's own format"),
    Foreign(b"\xd1\xbe\xd2\xbe", "a VMware suspended state", "it is VMware's own format"),
    Foreign(b"\xd3\xbe\xd2\xbe", "a VMware snapshot", "it is VMware's own format"),
    Foreign(b"\x7fVirtualBox SavedState", "a VirtualBox saved state", "it is VirtualBox's own format"),
    Foreign(b"\x16\x03", "a TLS record", "what was captured is encrypted: capture without tls-creds"),
    Foreign(b"\xd4\xc3\xb2\xa1", "a packet capture", "take the TCP stream out of it first"),
    Foreign(b"\x0a\x0d\x0d\x0a", "a packet capture", "take the TCP stream out of it first"),
    Foreign(b"LUKS\xba\xbe", "a LUKS volume", "open it with `cryptsetup` first"),
    Foreign(b"EFI PART", "a raw disk (GPT)", _DISK, 512),
    Foreign(b"\x55\xaa", "a raw disk (with a boot sector)", _DISK, 510),
    Foreign(b"\x53\xef", "a file system (ext)", _DISK, 1080),
    Foreign(b"XFSB", "a file system (XFS)", _DISK),
    Foreign(b"CD001", "an ISO 9660 image", _DISK, 32769),
    Foreign(b"\xd0\x0d\xfe\xed", "a device tree blob", "`dtc` shows it"),
)
_HEAD = 1 << 16
_TEXT = pattern(rb"[\t\n\r\f -~\x80-\xff]+")
_HEX = pattern(rb"(?:[0-9a-fA-F]{8}:|0000000 )")


def named(data: memoryview) -> Foreign | None:
    """Return what a file is that begins with these bytes; None if it is not known."""
    head = bytes(data[:_HEAD])
    for kind in KINDS:
        if head.startswith(kind.magic, kind.at):
            return kind
    return _text(head) if head else None


def _text(head: bytes) -> Foreign | None:
    start = head.lstrip()
    if start[:1] in (b"{", b"[") and _TEXT.fullmatch(head):
        return Foreign(
            b"", "a JSON text", "`vmstate build` makes a stream of what `vmstate show --json` prints"
        )
    if start.startswith(b"<domain"):
        return Foreign(b"", "a domain's XML", "`virsh save` makes a file with a stream in it")
    if start.startswith(b"<"):
        return Foreign(b"", "an XML text", "give the file with the stream")
    if _HEX.match(head):
        return Foreign(b"", "a hex dump", "make a binary file of it with `xxd -r`")
    if _TEXT.fullmatch(head):
        return Foreign(b"", "a text", "give the file with the stream")
    if not head.strip(b"\0"):
        return Foreign(b"", "zeros", "the file was made, but nothing was written to it")
    return None
