"""Mutations of subsections, which a device sends only when they are needed."""

from __future__ import annotations

from collections.abc import Iterator

from vmstate.describe import Node
from vmstate.describe.vmdesc import Style
from vmstate.fuzz.anatomy import Anatomy, Part, Subsection
from vmstate.fuzz.mutations.domains import Place, among
from vmstate.fuzz.mutations.edge_values import EDGES, edge, u32
from vmstate.fuzz.mutations.places import SECTION, SUBSECTION
from vmstate.fuzz.mutations.registry import mutation
from vmstate.fuzz.splices import Splice
from vmstate.stream import writer
from vmstate.tree.additions import declared_subsections
from vmstate.tree.decoded import By
from vmstate.tree.nodes import taken_apart

_LONGEST = 1 << 16
_NAME = 2  # after the mark and the name's length


def _bytes(base: Anatomy, sub: Subsection) -> bytes:
    return base.data[sub.start : sub.end]


@mutation("subsections", subsection=SUBSECTION)
def subsection_missing(base: Anatomy, subsection: str) -> list[Splice]:
    """A subsection is left out."""
    sub = base.subsections[subsection]
    return [Splice(sub.start, sub.end, b"")]


@mutation("subsections", subsection=SUBSECTION, times=among(1, 2, 1000))
def subsection_duplicate(base: Anatomy, subsection: str, times: int) -> list[Splice]:
    """A subsection is repeated."""
    sub = base.subsections[subsection]
    again = _bytes(base, sub)
    return [Splice(sub.end, sub.end, again * min(max(times, 0), max(_LONGEST // len(again), 1)))]


@mutation("subsections", subsection=SUBSECTION, behind=SUBSECTION)
def subsection_moved(base: Anatomy, subsection: str, behind: str) -> list[Splice]:
    """A subsection is moved: within its device, or to another one."""
    sub, place = base.subsections[subsection], base.subsections[behind].end
    if sub.start <= place <= sub.end:
        return []
    return [Splice(place, place, _bytes(base, sub)), Splice(sub.start, sub.end, b"")]


@mutation("subsections", subsection=SUBSECTION, section=SECTION)
def subsection_in_other(base: Anatomy, subsection: str, section: str) -> list[Splice]:
    """A section ends with a subsection of another device."""
    at = base.by_path[section].section.payload_end
    return [Splice(at, at, _bytes(base, base.subsections[subsection]))]


@mutation("subsections", subsection=SUBSECTION, depth=among(1, 2, 16, 1000))
def subsection_nested(base: Anatomy, subsection: str, depth: int) -> list[Splice]:
    """A subsection is nested inside itself ``depth`` times, after its own fields."""
    sub = base.subsections[subsection]
    again = _bytes(base, sub)
    return [Splice(sub.end, sub.end, b"".join(_nested(again, min(depth, _LONGEST // len(again)))))]


def _nested(again: bytes, depth: int) -> list[bytes]:
    """Return copies whose names have more and more parts, so that each fits inside the one before."""
    size = again[1]
    name, rest = again[_NAME : _NAME + size], again[_NAME + size :]
    copies = []
    for _ in range(depth):
        name = (name + b"/x")[:255]
        copies.append(bytes([again[0], len(name)]) + name + rest)
    return copies


@mutation(
    "subsections", section=SECTION, name=among("", "/", "/x", "x", "/" + "x" * 200), size=among(0, 4, 64)
)
def subsection_unknown(base: Anatomy, section: str, name: str, size: int) -> list[Splice]:
    """A section ends with an unknown subsection whose name begins with that of the device."""
    part = base.by_path[section].section
    owner = part.idstr.rsplit("/", 1)[-1]
    new = writer.subsection_header((owner + name)[:255], 1) + bytes(min(max(size, 0), _LONGEST))
    return [Splice(part.payload_end, part.payload_end, new)]


_NAMES = among("letter", "shorter", "longer", "255", "empty", "no prefix", "parent")


@mutation("subsections", subsection=SUBSECTION, change=_NAMES)
def subsection_misnamed(base: Anatomy, subsection: str, change: str) -> list[Splice]:
    """A subsection has another name."""
    sub = base.subsections[subsection]
    at, end = sub.start + 1, sub.version_at
    name = base.data[at + 1 : end]
    new = {
        "letter": name[:-1] + b"~",
        "shorter": name[:-1],
        "longer": name + b"~",
        "255": (name + b"~" * 255)[:255],
        "empty": b"",
        "no prefix": name.rsplit(b"/", 1)[-1],
        "parent": name.rsplit(b"/", 1)[0],
    }[change]
    return [Splice(at, end, bytes([min(len(new), 255)]) + new[:255])]


@mutation("subsections", subsection=SUBSECTION, length=EDGES)
def subsection_name_length(base: Anatomy, subsection: str, length: str) -> list[Splice]:
    """The length before a subsection's name is wrong."""
    at = base.subsections[subsection].start + 1
    return [Splice(at, at + 1, bytes([edge(length, base.data[at]) % 256]))]


@mutation("subsections", subsection=SUBSECTION, version=EDGES)
def subsection_version(base: Anatomy, subsection: str, version: str) -> list[Splice]:
    """A subsection has another version."""
    at = base.subsections[subsection].version_at
    return [Splice(at, at + 4, u32(edge(version, int.from_bytes(base.data[at : at + 4], "big"))))]


@mutation("subsections", subsection=SUBSECTION)
def subsection_empty(base: Anatomy, subsection: str) -> list[Splice]:
    """A subsection has no fields."""
    sub = base.subsections[subsection]
    return [Splice(sub.version_at + 4, sub.end, b"")]


@mutation("subsections", subsection=SUBSECTION)
def subsection_unmarked(base: Anatomy, subsection: str) -> list[Splice]:
    """A subsection lacks its mark."""
    at = base.subsections[subsection].start
    return [Splice(at, at + 1, b"")]


# ---- those that our own declarations have


def _absent(base: Anatomy) -> dict[str, tuple[int, bytes]]:
    """Return the subsections that a device, or a structure in it, could have sent but did not, by path.

    Each has the offset where it would be, and its header with zeros for its fields.
    """
    found: dict[str, tuple[int, bytes]] = {}
    for part in base.devices:
        if base.contents.decoded(part.section).by is By.NOTHING:
            continue
        present = {sub.name for sub in part.subsections}
        for path, chain, end in _structures(base, part):
            for declaring in declared_subsections(base.contents, part.section, chain):
                name = declaring.description.name
                below = f"{path}/{name.removeprefix(part.section.idstr + '/')}"
                if name not in present and below not in found:
                    found[below] = end, declaring.made(Style.COMPACT).encode()
    return found


def _structures(base: Anatomy, part: Part) -> Iterator[tuple[str, tuple[Node, ...], int]]:
    """Yield the section and the structures in it that we declare: path, nodes that lead there, end."""
    yield part.path, (), part.section.payload_end
    declared = base.contents.declared(part.section)
    if declared is not None and declared.whole:
        yield from _inner(part.path, (), declared.root)


def _inner(path: str, chain: tuple[Node, ...], node: Node) -> Iterator[tuple[str, tuple[Node, ...], int]]:
    for child in node.nodes:
        if child.nodes and child.kind in {"field", "struct"} and not taken_apart(child):
            inner = f"{path}.{child.name}"
            yield inner, (*chain, child), child.end
            yield from _inner(inner, (*chain, child), child)


ABSENT = Place(lambda base: list(base.remember(_absent, _absent)))


@mutation("subsections", subsection=ABSENT, fill=among(0, 1, 0x7F, 0x80, 0xFF), times=among(1, 2, 1000))
def subsection_added(base: Anatomy, subsection: str, fill: int, times: int) -> list[Splice]:
    """A section has an extra subsection that its device knows, its fields filled with one byte.

    With ``fill`` other than 0 and many ``times``, a queue in it does not end.
    """
    at, new = base.remember(_absent, _absent)[subsection]
    header = _NAME + new[1] + 4
    body = bytes([fill % 256]) * (len(new) - header)
    if fill:
        body *= min(max(times, 0), _LONGEST // max(len(body), 1) or 1)
    return [Splice(at, at, new[:header] + body)]
