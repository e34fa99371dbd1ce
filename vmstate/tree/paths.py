"""Paths to things in a stream: ``cpu[0]/compat.compat_pvr``, ``spapr/cap/htm.mig.caps[0x00]``, ``ram``.

A path is the section's name and instance, ``/`` and a subsection (without the section's name at its
beginning), ``.`` and a field, ``[n]`` and an element.  Where several things in one place have the same name,
``#0``, ``#1``, … tell them apart.  Section, subsection and field names contain these characters themselves,
so a path is never parsed: it is matched against the tree.  The last part of a field's name is enough
(``cpu[0].gpr`` for ``env.gpr``); the only instance need not be named.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, TypeAlias

from vmstate.describe import Node
from vmstate.errors import VmstateError, quantity
from vmstate.stream.items import Section
from vmstate.tree.contents import Contents
from vmstate.tree.keys import keys_of
from vmstate.tree.nodes import count_of, element, is_uniform

_BRACKET = re.compile(r"\[(0[xX][0-9a-fA-F]+|\d+)\]")
_ONLY = re.compile(r"^([^.\[]*)\[0\]")
_MOST_SUGGESTED = 5
_MOST_LOOKED_AT = 200_000


_OWNERS = frozenset(("section", "subsection", "item"))


class PathError(VmstateError, KeyError):
    """A path leads nowhere, or to several things; the message suggests the nearest names."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)  # KeyError would print the repr


class Place(NamedTuple):
    """The end of a path: ``chain`` are the nodes from the top of the tree to the one that is meant.

    ``number`` tells it from others of its name in the same place.
    """

    path: str
    chain: tuple[Node, ...]
    section: Section | None = None
    number: str = ""

    @property
    def name(self) -> str:
        """The name of the node among those beside it."""
        return self.node.name + self.number

    @property
    def node(self) -> Node:
        """The node that the path means."""
        return self.chain[-1]

    @property
    def owner(self) -> Node:
        """The innermost section or subsection around the node, or the node itself."""
        for node in reversed(self.chain):
            if node.kind in _OWNERS:
                return node
        return self.chain[0]


def joined(path: str, owner: str, node: Node) -> str:
    """Return the path of a child; ``owner`` is the name of the description around it."""
    if node.name.startswith("["):
        return path + node.name
    if node.kind == "subsection":
        return f"{path}/{node.name.removeprefix(owner + '/')}"
    return f"{path}.{node.name}"


def inner_owner(owner: str, node: Node) -> str:
    """Return the name of the description that a node's children belong to."""
    return node.name if node.kind == "subsection" else owner


Apart: TypeAlias = tuple[Node, str, str]
"""A node, its step in a path, and its mark among others of that step: ``#0``, ``#1``, …, or nothing."""


def told_apart(nodes: Sequence[Node], owner: str) -> list[Apart]:
    """Return the nodes of one place, each with its mark; ``owner`` names the description around them."""
    steps = [joined("", owner, node) for node in nodes]
    several = {
        step
        for node, step in zip(nodes, steps, strict=True)
        if node.name.find("[") > 0 and _in_array(node, nodes)
    }
    if not several and len(set(steps)) == len(steps):
        return [(node, step, "") for node, step in zip(nodes, steps, strict=True)]
    seen = Counter(several)  # the member of the array is the first of its name
    several |= {step for step, number in Counter(steps).items() if number > 1}
    found = []
    for node, step in zip(nodes, steps, strict=True):
        found.append((node, step, f"#{seen[step]}" if step in several else ""))
        seen[step] += 1
    return found


def _in_array(node: Node, nodes: Sequence[Node]) -> bool:
    """Return True if a field has the name of a member of an array beside it: ``channels[0].count``."""
    array, _, rest = node.name.partition("[")
    number, _, member = rest.partition("].")
    if not number.isdecimal():
        return False
    found = (element(other, int(number)) for other in nodes if other.name == array)
    return any(inner is not None and any(one.name == member for one in inner.children) for inner in found)


def inside(place: Place, owner: str) -> Iterator[tuple[Place, str]]:
    """Yield the places of a node's children, each with the name of the description around its own.

    ``owner`` is the name of the description around the children.
    """
    for apart in told_apart(place.node.children, owner):
        yield below_it(place, apart), inner_owner(owner, apart[0])


def below_it(place: Place, apart: Apart) -> Place:
    """Return the place of a node right below another place."""
    node, step, number = apart
    return Place(place.path + step + number, (*place.chain, node), place.section, number)


def keys_at(place: Place) -> Mapping[str, int] | None:
    """Return the number of each element of an array by its key, in order; None if it has no keys."""
    return keys_of(place.chain[-2], place.node) if len(place.chain) > 1 else None


def tops(contents: Contents) -> Iterator[Place]:
    """Yield the places at the top of the tree, in wire order."""
    for item, _, number in told_apart(contents.nodes, ""):
        section = contents.by_start.get(item.start) if item.kind == "section" else None
        yield Place(item.name + number, (item,), section, number)


def owner_of(contents: Contents, place: Place) -> str:
    """Return the name of the description that the children of a place belong to."""
    owner = place.owner
    if owner.kind == "section" and place.section is not None:
        return contents.decoded(place.section).root.name
    return owner.name


def find(contents: Contents, text: str) -> list[Place]:
    """Return the places that a path may mean.  Raises PathError, with the nearest names, if it means none."""
    finder = _Finder(contents)
    places = finder.find(text)
    if not places:
        raise PathError(finder.explain(text))
    return places


def find_one(contents: Contents, text: str) -> Place:
    """Return the one place that a path means; PathError if there are several, or none."""
    places = find(contents, text)
    if len(places) > 1:
        names = ", ".join(place.path for place in places[:_MOST_SUGGESTED])
        raise PathError(f"{text!r} may mean {len(places)} things: {names}. Say which")
    return places[0]


def find_below(place: Place, owner: str, rest: str) -> list[Place]:
    """Return the places that ``rest`` leads to from a place; ``owner``: the description around that place."""
    finder = _Finder(None)
    places = list(finder.inside(place, owner, rest))
    if not places:
        raise PathError(finder.explain(place.path + rest))
    return places


def walk(contents: Contents, *, uniform: bool = False) -> Iterator[Place]:
    """Yield every node of the tree with its path, in wire order."""
    for place in tops(contents):
        yield from below(place, owner_of(contents, place), uniform=uniform)


def below(place: Place, owner: str, *, uniform: bool = False) -> Iterator[Place]:
    """Yield a place and everything inside it; ``uniform``: also the elements of arrays of structs."""
    yield place
    node = place.node
    if is_uniform(node) and not uniform:
        return
    for inner, around in inside(place, owner):
        yield from below(inner, around, uniform=uniform)


class _Finder:
    def __init__(self, contents: Contents | None) -> None:
        self._contents = contents
        self.place: Place | None = None
        self.reached = ""
        self.rest = ""
        self.known: list[str] = []

    @property
    def contents(self) -> Contents:
        """The stream that is searched; not available if only one place is."""
        assert self._contents is not None
        return self._contents

    def find(self, text: str) -> list[Place]:
        found: list[Place] = []
        for place in tops(self.contents):
            found += self._in_item(place, text)
        found += self._packaged(text)
        if not found:
            found += self._foreign(text)
        exact = [place for place in found if place.path == text]
        return exact or found

    def _packaged(self, text: str) -> Iterator[Place]:
        """Find sections inside packages by their own names too."""
        top = {item.start for item in self.contents.nodes}
        for section in self.contents.stream.sections:
            if section.start not in top:
                item = self.contents.node(section)
                yield from self._in_item(Place(item.name, (item,), section), text)

    def _foreign(self, text: str) -> Iterator[Place]:
        """Find subsections that are not named after their section: spapr_option_vector_ov5_cas of spapr."""
        for section in self.contents.stream.sections:
            item, decoded = self.contents.node(section), self.contents.decoded(section)
            owner = decoded.root.name
            for apart in told_apart(decoded.root.nodes, owner):
                child = apart[0]
                if child.kind == "subsection" and _begins(text, child.name):
                    place = Place(item.name, (item,), section)
                    yield from self._at(place, owner, apart, text[len(child.name) :])

    def _in_item(self, place: Place, text: str) -> Iterator[Place]:
        for rest in self._after_label(place, text):
            if not rest:
                yield place
            else:
                yield from self.inside(place, owner_of(self.contents, place), rest)

    @staticmethod
    def _after_label(place: Place, text: str) -> list[str]:
        """Return the rest of the path after the item's name, for each way to read that name."""
        item, section = place.node, place.section
        rests = [text[len(name) :] for name in {place.path: 0, item.name: 0} if _begins(text, name)]
        if section is None or "#" in item.name or not _begins(text, section.idstr):
            return rests
        rest = text[len(section.idstr) :]
        bracket = _BRACKET.match(rest)
        if bracket and int(bracket[1], 0) == section.instance_id:
            rests.append(rest[bracket.end() :])
        elif not bracket:
            rests.append(rest)
        return list(dict.fromkeys(rests))

    def inside(self, place: Place, owner: str, rest: str) -> Iterator[Place]:
        """Yield the places that the rest of a path may lead to from a place."""
        self._note(place, rest)
        bracket = _BRACKET.match(rest)
        if bracket:
            child = element(place.node, int(bracket[1], 0))
            if child is not None:
                yield from self._at(place, owner, (child, child.name, ""), rest[bracket.end() :])
        elif rest.startswith("["):
            yield from self._by_key(place, owner, rest)
        children = place.node.children if not bracket or rest[0] != "[" else place.node.nodes
        all_apart = told_apart(children, owner)
        sign, tail = rest[0], rest[1:]
        for full in (True, False):
            found = False
            for apart in all_apart:
                child, _, number = apart
                for name in _names(child, owner, sign, number, full=full):
                    if _begins(tail, name):
                        for one in self._at(place, owner, apart, tail[len(name) :]):
                            found = True
                            yield one
                        break
            if found:
                return

    def _by_key(self, place: Place, owner: str, rest: str) -> Iterator[Place]:
        """Yield the places that a rest which begins with a key in brackets may lead to."""
        keys = keys_at(place)
        key, bracket, after = rest[1:].partition("]")
        if keys is None or not bracket or key not in keys:
            return
        child = element(place.node, keys[key])
        if child is None:
            return
        inner = Place(f"{place.path}[{key}]", (*place.chain, child), place.section)
        if not after:
            yield inner
        else:
            yield from self.inside(inner, owner, after)

    def _at(self, place: Place, owner: str, apart: Apart, rest: str) -> Iterator[Place]:
        inner = below_it(place, apart)
        if not rest:
            yield inner
        else:
            yield from self.inside(inner, inner_owner(owner, apart[0]), rest)

    def _note(self, place: Place, rest: str) -> None:
        if len(place.path) >= len(self.reached):
            self.place, self.reached, self.rest = place, place.path, rest
            self.known = [child.name for child in place.node.children[:4096]]

    def explain(self, text: str) -> str:
        """Return why a path leads nowhere, with what is near."""
        if not self.reached:
            return self._unknown_item(text)
        section = self.place and len(self.place.chain) == 1 and self.place.section
        if self.rest.startswith("[") and section:
            return self._no_instance(section.idstr, self.rest)
        if self.rest.startswith("["):
            return f"{self.reached} has no element {self.rest}{self._elements()}"
        wanted = self.rest.lstrip("./") or text
        return f"no {wanted!r} in {self.reached}{_suggestion(wanted, self.known)}{self._elsewhere(wanted)}"

    def _unknown_item(self, text: str) -> str:
        bracket = _BRACKET.search(text)
        idstr = text[: bracket.start()] if bracket else text
        if bracket and any(section.idstr == idstr for section in self.contents.stream.sections):
            return self._no_instance(idstr, bracket[0])
        names = list(dict.fromkeys(item.name for item in self.contents.nodes))
        names += [label for label in self.contents.labels.values() if "#" not in label]
        near = self._elsewhere(text)
        near = near or self._alike(text) or _suggestion(text, names)
        return f"nothing in this stream is called {text!r}{near}"

    def _alike(self, text: str) -> str:
        """Return fields whose names are nearly the text, anywhere in the stream; nothing if none is."""
        if self._contents is None or not text.isidentifier():
            return ""
        from difflib import get_close_matches  # for errors only

        paths: dict[str, str] = {}
        for place in islice(walk(self.contents), _MOST_LOOKED_AT):
            paths.setdefault(re.split(r"[./]", place.path)[-1], place.path)
        near = get_close_matches(text, paths, _MOST_SUGGESTED, 0.6)
        return f"; nearest: {', '.join(paths[name] for name in near)}" if near else ""

    def _no_instance(self, idstr: str, bracket: str) -> str:
        same = [section for section in self.contents.stream.sections if section.idstr == idstr]
        there = list(dict.fromkeys(str(section) for section in same))
        verb = "there is only" if len(there) == 1 else "there are"
        more = ", …" if len(there) > _MOST_SUGGESTED else ""
        return f"no {idstr}{bracket}; {verb} {', '.join(there[:_MOST_SUGGESTED])}{more}"

    def _elements(self) -> str:
        """Return how many elements there are at the place that was reached."""
        count = self.place and count_of(self.place.node)
        if not self.place or not count:
            return ""
        keys = keys_at(self.place)
        wanted = self.rest[1:].partition("]")[0]
        if keys is not None and not wanted.isdigit():
            return _suggestion(wanted, keys)
        return f"; it has {quantity(count, 'element')}, from [0] on"

    def _elsewhere(self, wanted: str) -> str:
        """Return where else the last part of a path leads to; nothing if it leads nowhere."""
        if self._contents is None:
            return ""
        last = re.split(r"[./]", _BRACKET.sub("", wanted).rstrip("./"))[-1]
        found = [
            place.path
            for place in islice(walk(self.contents), _MOST_LOOKED_AT)
            if last and place.path.endswith((f".{last}", f"/{last}"))
        ]
        more = ", …" if len(found) > _MOST_SUGGESTED else ""
        return f"; there is {', '.join(found[:_MOST_SUGGESTED])}{more}" if found else ""


def _begins(text: str, name: str) -> bool:
    return bool(name) and text.startswith(name) and (len(text) == len(name) or text[len(name)] in "./[")


def _names(child: Node, owner: str, sign: str, number: str, *, full: bool) -> Iterator[str]:
    """Yield the names by which a path may mean a child after ``sign``.

    ``number`` tells it from others of its name; without it, all of them are meant.
    """
    names = []
    if full:
        if child.kind == "subsection" and sign == "/":
            names.append(child.name.removeprefix(owner + "/"))
        names.append(child.name)
    elif child.kind == "subsection":
        names.append(child.name.rsplit("/", 1)[-1])
    elif sign == ".":
        names.append(re.split(r"[.>]", child.name)[-1])
    if number:
        yield from (name + number for name in names)
    yield from names


def _suggestion(wanted: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches  # only where something is wrong

    names = list(dict.fromkeys(names))
    near = get_close_matches(wanted, names, _MOST_SUGGESTED, 0.4)
    near += [name for name in names if wanted in name and name not in near]
    shown = near[:_MOST_SUGGESTED] or names[:_MOST_SUGGESTED]
    if not shown:
        return ""
    more = ", …" if len(names) > len(shown) else ""
    return f"; {'nearest' if near else 'there is'}: {', '.join(shown)}{more}"


@lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    signs = {"*": ".*", "?": "."}
    text = "".join(signs.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile(rf"{text}(?:[./\[#].*)?", re.DOTALL)


_SECTION = re.compile(r"[^.\[]*(?P<instance>\[\d+\])?")


def matches(pattern: str, path: str) -> bool:
    """Return True if a path, or a place around it, fits a glob: ``*`` any text, ``?`` any character.

    ``[`` stands for itself.  Instances and element numbers may be left out of the pattern.
    """
    glob = _glob(pattern)
    if glob.fullmatch(path) or glob.fullmatch(_BRACKET.sub("", path)):
        return True
    section = _SECTION.match(path)
    if "[0]" not in pattern or section is None or section["instance"]:
        return False
    # A section's only instance is not part of its name.
    return _glob(_ONLY.sub(r"\1", pattern, count=1)).fullmatch(path) is not None
