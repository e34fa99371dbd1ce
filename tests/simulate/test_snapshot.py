"""A snapshot puts a graph of objects back, whatever was done to it; the objects stay the same ones."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmstate.simulate.snapshot import CannotBeRestored, Snapshot


class Plain:
    def __init__(self, **names: object) -> None:
        vars(self).update(names)


@dataclass(slots=True)
class Slotted:
    first: object = None
    second: list[object] = field(default_factory=list)


class Named(dict[str, object]):
    """A dict with attributes."""


atoms = st.one_of(st.integers(), st.text(max_size=3), st.booleans(), st.none(), st.binary(max_size=3))
keys = st.sampled_from("abcd")


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.dictionaries(keys, inner, max_size=3)
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
        st.sets(st.integers(0, 9), max_size=3),
        st.binary(max_size=4).map(bytearray),
        names,
        names.map(Named),
        names.map(lambda all_: Plain(**all_)),
        st.builds(Slotted, inner, st.lists(inner, max_size=2)),
    )


graphs = st.lists(st.recursive(atoms, containers, max_leaves=12), min_size=1, max_size=4)


def parts(one: object) -> list[object]:
    if isinstance(one, dict):
        return [*one.values(), *getattr(one, "__dict__", {}).values()]
    if isinstance(one, list | tuple):
        return list(one)
    if isinstance(one, Plain):
        return list(vars(one).values())
    return [one.first, one.second] if isinstance(one, Slotted) else []


def walk(one: object) -> list[object]:
    return [one, *(inner for part in parts(one) for inner in walk(part))]


def seen(one: object) -> object:
    """The content of a graph as a value that can be compared."""
    if isinstance(one, set | bytearray):
        return type(one).__name__, sorted(one)
    names = sorted(one) if isinstance(one, dict) else sorted(vars(one)) if isinstance(one, Plain) else ()
    atom = () if parts(one) or isinstance(one, list | tuple | dict | Plain | Slotted) else (repr(one),)
    return type(one).__name__, id(one) if not atom else 0, tuple(names), atom, tuple(map(seen, parts(one)))


def disturb(one: object, data: st.DataObject) -> None:
    """Change an object in one of its ways, if it can change."""
    new = data.draw(st.one_of(atoms, st.just([1]), st.just({"new": 2})))
    if isinstance(one, list):
        data.draw(
            st.sampled_from([one.clear, one.reverse, lambda: one.append(new), lambda: one.insert(0, new)])
        )()
    elif isinstance(one, bytearray):
        data.draw(st.sampled_from([one.clear, one.reverse, lambda: one.extend(b"more")]))()
    elif isinstance(one, set):
        data.draw(st.sampled_from([one.clear, lambda: one.add(77), lambda: one.discard(1)]))()
    elif isinstance(one, dict):
        data.draw(st.sampled_from([one.clear, lambda: one.update(a=new, z=new), lambda: one.pop("a", 0)]))()
        if isinstance(one, Named):
            one.more = new
    elif isinstance(one, Plain):
        data.draw(st.sampled_from([vars(one).clear, lambda: setattr(one, "b", new)]))()
    elif isinstance(one, Slotted):
        one.first = new
        one.second = data.draw(st.sampled_from([[], one.second]))


def nothing(_: object) -> bool:
    return False


@given(graphs, st.data())
def test_whatever_changes_is_put_back(graph, data):
    objects = walk(graph)
    before = seen(graph)
    snapshot = Snapshot([graph], nothing)
    for _ in range(2):
        for one in data.draw(st.lists(st.sampled_from(objects), max_size=5)):
            disturb(one, data)
        snapshot.restore()
        assert seen(graph) == before


@given(graphs, st.data())
def test_two_snapshots_of_one_graph_put_back_each_its_own(graph, data):
    first, first_seen = Snapshot([graph], nothing), seen(graph)
    for one in data.draw(st.lists(st.sampled_from(walk(graph)), max_size=5)):
        disturb(one, data)
    second, second_seen = Snapshot([graph], nothing), seen(graph)
    for snapshot, expected in ((first, first_seen), (second, second_seen), (first, first_seen)):
        snapshot.restore()
        assert seen(graph) == expected


def test_objects_that_refer_to_one_another_are_put_back():
    one, other = Plain(), Plain(items=[])
    one.other, other.one = other, one
    snapshot = Snapshot([one], nothing)
    other.items.append(one)
    del one.other
    snapshot.restore()
    assert (one.other, other.one) == (other, one)
    assert other.items == []


def test_what_a_function_and_a_view_hold_is_put_back():
    count, raw = 0, bytearray(b"abcd")

    def up() -> int:
        nonlocal count
        count += 1
        return count

    holder = Plain(call=up, method=[].append, view=memoryview(raw)[1:3])
    snapshot = Snapshot([holder], nothing)
    assert (up(), up()) == (1, 2)
    holder.view[0] = 0
    holder.method("more")
    snapshot.restore()
    assert (up(), raw) == (1, b"abcd")
    assert holder.method.__self__ == []


def test_what_is_constant_keeps_its_changes_and_leads_no_further():
    inner: list[int] = []
    shared = Plain(inner=inner)
    snapshot = Snapshot([Plain(shared=shared)], lambda one: one is shared)
    inner.append(1)
    shared.name = 2
    snapshot.restore()
    assert (inner, shared.name) == ([1], 2)


class Unset:
    __slots__ = ("later",)


@pytest.mark.parametrize(
    "one",
    [iter([1]), (x for x in "ab"), io.StringIO(), Unset()],
    ids=["iterator", "generator", "file", "slot"],
)
def test_what_cannot_be_put_back_is_refused(one):
    with pytest.raises(CannotBeRestored):
        Snapshot([{"deep": [one]}], nothing)
