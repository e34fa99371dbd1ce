"""Paths to things in a stream: ``cpu[0]/compat.compat_pvr``, ``spapr/cap/htm.mig.caps[0x00]``, ``ram``.

A path is the section's name and instance, ``/`` and a subsection (without the section's name at its
beginning), ``.`` and a field, ``[n]`` and an element.  Section, subsection and field names contain these
characters themselves, so a path is never parsed: it is matched against the tree.  The last part of a field's
name is enough (``cpu[0].gpr`` for ``env.gpr``); the only instance need not be named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from vmstate.describe import Node
from vmstate.errors import VmstateError
from vmstate.stream.items import Section
from vmstate.tree.contents import Contents
from vmstate.tree.nodes import element, is_uniform

_BRACKET = re.compile(r"\[(0[xX][0-9a-fA-F]+|\d+)\]")
_ONLY = re.compile(r"^([^.\[]*)\[0\]")
_MOST_SUGGESTED = 5


class PathError(VmstateError, KeyError):
    """A path leads nowhere, or to several things; the message suggests the nearest names."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)  # KeyError would print the repr


@dataclass(frozen=True)
class Place:
    """The end of a path: ``chain`` are the nodes from the top of the tree to the one that is meant."""

    path: str
    chain: tuple[Node, ...]
    section: Section | None = None

    @property
    def node(self) -> Node:
        """The node that the path means."""
        return self.chain[-1]

    @property
    def owner(self) -> Node:
        """The innermost section or subsection around the node, or the node itself."""
        kinds = ("section", "subsection", "item")
        return next((n for n in reversed(self.chain) if n.kind in kinds), self.chain[0])


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


def find(contents: Contents, text: str) -> list[Place]:
    """Return every place that a path may mean; PathError, with the nearest names, if there is none."""
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
    for item in contents.nodes:
        section = contents.by_start.get(item.start) if item.kind == "section" else None
        owner = contents.decoded(section).root.name if section is not None else item.name
        yield from below(Place(item.name, (item,), section), owner, uniform=uniform)


def below(place: Place, owner: str, *, uniform: bool = False) -> Iterator[Place]:
    """Yield a place and everything inside it; ``uniform``: also the elements of arrays of structs."""
    yield place
    node = place.node
    if is_uniform(node) and not uniform:
        return
    for child in node.children:
        inner = Place(joined(place.path, owner, child), (*place.chain, child), place.section)
        yield from below(inner, inner_owner(owner, child), uniform=uniform)


class _Finder:
    def __init__(self, contents: Contents | None) -> None:
        self._contents = contents
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
        for item in self.contents.nodes:
            found += self._in_item(item, text)
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
                yield from self._in_item(self.contents.node(section), text)

    def _foreign(self, text: str) -> Iterator[Place]:
        """Find subsections that are not named after their section: spapr_option_vector_ov5_cas of spapr."""
        for section in self.contents.stream.sections:
            item, decoded = self.contents.node(section), self.contents.decoded(section)
            owner = decoded.root.name
            for child in decoded.root.nodes:
                if child.kind == "subsection" and _begins(text, child.name):
                    place = Place(item.name, (item,), section)
                    yield from self._at(place, owner, child, text[len(child.name) :])

    def _in_item(self, item: Node, text: str) -> Iterator[Place]:
        section = self.contents.by_start.get(item.start) if item.kind == "section" else None
        for rest in self._after_label(item, section, text):
            place = Place(item.name, (item,), section)
            if not rest:
                yield place
            else:
                owner = item.name
                if section is not None:
                    owner = self.contents.decoded(section).root.name
                yield from self.inside(place, owner, rest)

    @staticmethod
    def _after_label(item: Node, section: Section | None, text: str) -> list[str]:
        """Return the rest of the path after the item's name, for each way to read that name."""
        rests = []
        if _begins(text, item.name):
            rests.append(text[len(item.name) :])
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
                yield from self._at(place, owner, child, rest[bracket.end() :])
        children = place.node.children if not bracket or rest[0] != "[" else place.node.nodes
        sign, tail = rest[0], rest[1:]
        for full in (True, False):
            found = False
            for child in children:
                for name in _names(child, owner, sign, full):
                    if _begins(tail, name):
                        for one in self._at(place, owner, child, tail[len(name) :]):
                            found = True
                            yield one
                        break
            if found:
                return

    def _at(self, place: Place, owner: str, child: Node, rest: str) -> Iterator[Place]:
        inner = Place(joined(place.path, owner, child), (*place.chain, child), place.section)
        if not rest:
            yield inner
        else:
            yield from self.inside(inner, inner_owner(owner, child), rest)

    def _note(self, place: Place, rest: str) -> None:
        if len(place.path) >= len(self.reached):
            self.reached, self.rest = place.path, rest
            self.known = [child.name for child in place.node.children[:4096]]

    def explain(self, text: str) -> str:
        if not self.reached:
            names = list(dict.fromkeys(item.name for item in self.contents.nodes))
            names += [label for label in self.contents.labels.values() if "#" not in label]
            return f"nothing in this stream is called {text!r}{_suggestion(text, names)}"
        if self.rest.startswith("["):
            return f"{self.reached} has no element {self.rest}"
        wanted = self.rest.lstrip("./") or text
        return f"no {wanted!r} in {self.reached}{_suggestion(wanted, self.known)}"


def _begins(text: str, name: str) -> bool:
    return bool(name) and text.startswith(name) and (len(text) == len(name) or text[len(name)] in "./[")


def _names(child: Node, owner: str, sign: str, full: bool) -> Iterator[str]:
    """Yield the names by which a path may mean a child after ``sign``."""
    if full:
        if child.kind == "subsection" and sign == "/":
            yield child.name.removeprefix(owner + "/")
        yield child.name
    elif child.kind == "subsection":
        yield child.name.rsplit("/", 1)[-1]
    elif sign == ".":
        yield re.split(r"[.>]", child.name)[-1]


def _suggestion(wanted: str, names: Iterable[str]) -> str:
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
