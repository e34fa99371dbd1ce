"""Hypothesis strategies for your own descriptions, parsers and destinations (``qemu-vmstate[fuzz]``).

    from hypothesis import given
    from vmstate.fuzz.strategies import mutated, states, streams

    @given(states(MY_DEVICE.at("7.2")))
    def test_my_device_loads_what_it_saved(state): ...

    @given(mutated(Anatomy(open("guest.mig", "rb").read())))
    def test_my_parser_survives(data: bytes): ...

Hypothesis shrinks failures to the fewest mutations with the simplest parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from vmstate.dataclass import dataclass
from vmstate.describe import Record, VMStateDescription, decode, encode
from vmstate.describe.history import settled
from vmstate.describe.strategies import payloads, states
from vmstate.fuzz.anatomy import Anatomy, Leaf, Part
from vmstate.fuzz.compact import compact
from vmstate.fuzz.descriptions import Author, Draw, between, one_of
from vmstate.fuzz.mutations import MUTATIONS, Mutation
from vmstate.fuzz.mutations.edge_values import FIELD_EDGES, sized_edge
from vmstate.fuzz.mutations.places import is_number
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import Splice, applied, combined
from vmstate.pseries.machine import Machine
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import parse
from vmstate.simulate.instance import Instance
from vmstate.stream import writer

__all__ = [
    "Drawn",
    "descriptions",
    "mutated",
    "payloads",
    "recipes",
    "releases",
    "sections",
    "states",
    "streams",
    "streams_of_sections",
]

#: Releases of every kind: with and without stable releases before them, the first and the newest.
RELEASES = ("2.9.1", "2.11.2", "2.12.0", "3.1.0", "7.2.22", "11.1.3")


@dataclass(frozen=True)
class Drawn:
    """A section that was drawn: its bytes, its description and the state in it."""

    description: VMStateDescription
    state: Record
    data: bytes


def releases() -> st.SearchStrategy[str]:
    """Return a strategy for releases at which a description can be resolved."""
    return one_of(*RELEASES)


@st.composite
def descriptions(draw: Draw, *, depth: int = 2, name: str = "t", history: bool = True) -> VMStateDescription:
    """Draw a description with all kinds of fields, and structs and subsections down to ``depth``.

    ``history``: its fields and versions change with releases; ``.at(release)`` resolves it.
    """
    return Author(draw, history=history).description(name, depth)


@st.composite
def sections(
    draw: Draw,
    description: VMStateDescription | None = None,
    *,
    idstr: str = "",
    instance_id: int | None = None,
    footer: bool = True,
) -> Drawn:
    """Draw a FULL section of a resolved description (by default a random one) in some state."""
    vmsd = draw(descriptions(history=False)).at(RELEASES[-1]) if description is None else description
    state = draw(states(vmsd))
    number = draw(between(0, (1 << 31) - 1))
    instance = draw(between(0, (1 << 32) - 1)) if instance_id is None else instance_id
    payload = encode(vmsd, state)
    version = settled(vmsd.version_id)
    data = writer.full_section(number, idstr or vmsd.name, instance, version, payload, footer)
    return Drawn(vmsd, state, data)


@st.composite
def streams_of_sections(draw: Draw, *described: VMStateDescription) -> bytes:
    """Draw a stream without guest memory: the sections of these resolved descriptions, each in some state."""
    parts = [draw(sections(vmsd, instance_id=0)).data for vmsd in described]
    return b"".join((writer.file_header(), *parts, writer.end_of_states()))


@cache
def _source(command: str) -> Anatomy:
    """Return the stream of the simulated source, with most of its guest memory left out."""
    found = build(parse(command))
    machine: Machine | None = found.machine
    if machine is None:
        raise ValueError(f"this QEMU does not start: {command}")
    return Anatomy(compact(Instance(machine).save()), command)


@st.composite
def streams(draw: Draw, command: str, *, changes: int = 8) -> bytes:
    """Draw a stream of a configuration (``qemu-7.2 -machine …``), its devices not in their reset states.

    Up to ``changes`` numbers are changed, edge values first, but none that decides how much data follows: a
    parser reads all of the stream, though a destination may reject it.  Raises ValueError for a QEMU that
    does not start.
    """
    base = _source(command)
    fields = base.remember(_free, _free)
    splices = []
    for path in draw(st.lists(st.sampled_from(fields), max_size=changes, unique=True)):
        leaf = base.leaves[path]
        old = base.data[leaf.start : leaf.end]
        new = sized_edge(draw(_edges()), old) if draw(one_of(True, True, False)) else draw(_bytes(leaf.size))
        if leaf.type == "bool":
            new = bytes([new[-1] & 1])
        splices.append(Splice(leaf.start, leaf.end, new))
    return applied(base.data, combined(splices))


def _free(base: Anatomy) -> list[str]:
    """Return numbers of devices that can have other values without changing how the stream is read."""
    return [
        leaf.path
        for part in base.devices
        for leaf in part.leaves
        if is_number(leaf) and all(_read(base, part, leaf, text) for text in ("0", "+1", "top"))
    ]


def _read(base: Anatomy, part: Part, leaf: Leaf, text: str) -> bool:
    """Return True if our declaration reads the section with another number in it."""
    section = part.section
    payload = bytearray(base.data[section.payload_start : section.payload_end])
    at, end = leaf.start - section.payload_start, leaf.end - section.payload_start
    payload[at:end] = sized_edge(text, bytes(payload[at:end]))
    key = (section.idstr, section.instance_id, section.version_id)
    for declared in base.declarations.candidates(base.contents.facts, *key):
        root, _, error = decode(
            declared.description, memoryview(payload), 0, section.version_id, state=declared.state
        )
        if error is None and root.end == len(payload):
            return True
    return False


@cache
def _edges() -> st.SearchStrategy[str]:
    return st.sampled_from(list(FIELD_EDGES.values(None, {})))  # type: ignore[arg-type]


@cache
def _bytes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


#: The largest number that ``random()`` may return; hypothesis before 6.130 also draws 1.0.
_BELOW_ONE = math.nextafter(1.0, 0.0)


@st.composite
def recipes(draw: Draw, base: Anatomy, among: Sequence[str | Mutation] = (), *, most: int = 4) -> Recipe:
    """Draw one to ``most`` mutations of a stream, among these (names or mutations) or all, with parameters.

    The mutations draw their own parameters, from numbers that hypothesis shrinks.
    """
    known = _known(among)
    random = draw(st.randoms(use_true_random=False))
    drawn = random.random
    random.random = lambda: min(drawn(), _BELOW_ONE)
    steps: list[Step] = []
    for mutation in draw(st.lists(st.sampled_from(known), min_size=1, max_size=most)):
        parameters = mutation.draw(base, random)
        if parameters is not None:
            steps.append(Step(mutation.name, parameters))
    return Recipe(base.sha256, base.name, tuple(steps))


def _known(among: Sequence[str | Mutation]) -> list[Mutation]:
    names: list[Any] = list(among) or list(MUTATIONS)
    return [MUTATIONS[one] if isinstance(one, str) else one for one in names]


def mutated(
    base: Anatomy, among: Sequence[str | Mutation] = (), *, most: int = 4
) -> st.SearchStrategy[bytes]:
    """Return a strategy for the stream with one to ``most`` mutations applied."""
    return recipes(base, among, most=most).map(lambda recipe: applied(base.data, recipe.splices(base)))
