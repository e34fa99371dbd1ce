"""Captured streams and their anatomies, and destinations that accept them, built once."""

from __future__ import annotations

from functools import cache

from tests.support import corpus
from vmstate.fuzz.anatomy import Anatomy
from vmstate.fuzz.compact import compact
from vmstate.fuzz.recipe import Recipe, Step
from vmstate.fuzz.splices import applied
from vmstate.pseries.startup.build import Machine, build
from vmstate.pseries.startup.command_line import parse
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.instance import Instance

#: Streams that together have everything that the mutations need.
NAMES = (
    "7.2-pseries-7.2",
    "7.2-peripherals",
    "7.2-default",
    "7.2-booted-power8-hpt-xics",
    "2.9.1-pseries-2.1",
    "7.2-ppc64-pseries-postcopy-active",
    "x86_64-microvm",
    "s390x-ccw",
)


@cache
def base(name: str) -> Anatomy:
    return Anatomy(compact(corpus.load(name)), name)


#: Options that the recorded command line lacks: they only served to watch the guest boot.
MORE = {"7.2-booted-power8-hpt-xics": " -serial null"}


@cache
def destination(name: str) -> Machine:
    """Return the machine from which the stream was captured, as a destination."""
    row = corpus.manifest()[name]
    release = ".".join(row["release"].split(".")[:2])
    machine = build(parse(f"qemu-{release} {' '.join(row['args'])}{MORE.get(name, '')}")).machine
    assert machine is not None
    return machine


def recipe(name: str, *steps: tuple[str, dict[str, object]]) -> Recipe:
    return Recipe(base(name).sha256, name, tuple(Step(*step) for step in steps))


def mutated(name: str, *steps: tuple[str, dict[str, object]]) -> bytes:
    splices = recipe(name, *steps).splices(base(name))
    assert splices, f"{steps} change nothing"
    return applied(base(name).data, splices)


def loaded(name: str, *steps: tuple[str, dict[str, object]]) -> Verdict:
    """Return the simulated destination's verdict on the mutated stream, with all its checks."""
    return Instance(destination(name), trace=True).load(memoryview(mutated(name, *steps)))
