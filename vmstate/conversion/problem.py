"""The problem that is to be mended: the check that refused, the stream, and the destination."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from vmstate.conversion.destination import Destination
from vmstate.dataclass import dataclass
from vmstate.errors import Unsupported
from vmstate.pseries.devices.host.ram import Ram
from vmstate.pseries.startup.command_line import Configuration
from vmstate.savevm.verdict import Check
from vmstate.simulate.instance import Instance
from vmstate.stream.items import Section
from vmstate.tree.by_offset import places_at
from vmstate.tree.contents import Contents
from vmstate.tree.paths import PathError, Place, find


@dataclass
class Problem:
    """A load that a ``check`` refused."""

    check: Check
    contents: Contents
    destination: Destination

    @property
    def rule(self) -> str:
        """The check's rule."""
        return self.check.rule

    @cached_property
    def section(self) -> Section | None:
        """The section in which the load stopped, where that is known."""
        if self.check.section is None:
            return None
        return self.contents.stream.find(self.check.section, self.check.instance)

    @property
    def label(self) -> str:
        """That section in paths; its name alone if the stream does not have it."""
        section = self.section
        return str(self.check.section) if section is None else self.contents.labels[section.start]

    def places(self, before: int = 0) -> list[Place]:
        """Return the places at the check's offset, or ``before`` bytes before it, outermost first."""
        offset = self.check.offset
        return [] if offset is None else places_at(self.contents, offset - before)

    def described(self, before: int = 0) -> Place | None:
        """Return the innermost section or subsection there, which has a description of its own."""
        kinds = ("section", "subsection")
        return next((one for one in reversed(self.places(before)) if one.node.kind in kinds), None)

    def at_destination(self, path: str) -> Place | None:
        """Return the same place in the stream that the destination would send itself."""
        own = self.destination.own
        places = [] if own is None else found_at(own, path)
        return places[0] if len(places) == 1 else None

    def incoming_number(self) -> int:
        """The check's incoming value, a number."""
        return _number(self.check, "incoming")

    def local_number(self) -> int:
        """The check's local value, a number."""
        return _number(self.check, "local")

    @property
    def blocks(self) -> Mapping[str, int]:
        """The destination's RAM blocks: the length of each by its name."""
        own = self.destination.own
        ram = None if own is None else own.stream.ram
        return {} if ram is None else {one.name: one.length for one in ram.blocks}


@dataclass
class PseriesProblem(Problem):
    """The same at a simulated pseries machine; ``instance``: the destination as it is then."""

    instance: Instance
    configuration: Configuration

    @property
    def blocks(self) -> Mapping[str, int]:
        """The destination's RAM blocks: the length of each by its name."""
        rams = self.instance.machine.registered(Ram)
        return {one.name: one.used_length for ram in rams for one in ram.blocks}


def _number(check: Check, side: str) -> int:
    value = check.as_json().get(side)
    if not isinstance(value, int):
        raise Unsupported(f"{check.rule} has no number for {side}: {value!r}")
    return value


def found_at(contents: Contents, path: str) -> list[Place]:
    """Return the places that a path may mean; none if it leads nowhere."""
    try:
        return find(contents, path)
    except PathError:
        return []
