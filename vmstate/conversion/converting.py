"""The conversion of a stream: load it, mend what the check that decided refuses, load it again."""

from __future__ import annotations

from collections.abc import Sequence

from vmstate.conversion.change import Change, Notice
from vmstate.conversion.destination import Destination, Load
from vmstate.dataclass import dataclass, field
from vmstate.describe.words import Meanings
from vmstate.errors import EncodeError, Finding, NotModelled, StreamError
from vmstate.savevm.verdict import Check, Outcome, Verdict, cannot_judge
from vmstate.stream.sections.ram import Ram
from vmstate.tree.contents import Contents
from vmstate.tree.paths import PathError

MOST_STEPS = 64
_ENDS = {
    Outcome.DESTINATION_REFUSED: "the destination does not start",
    Outcome.STALLED: "it is loaded, but the destination waits for ever",
    Outcome.REJECT: f"it is still refused after {MOST_STEPS} changes",
}


@dataclass
class Step:
    """A change that was made, and others that might do in its place."""

    change: Change
    others: tuple[Change, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the change, with the others, as a JSON object."""
        return {**self.change.as_json(), "others": [other.as_json() for other in self.others]}


@dataclass
class Conversion:
    """The changes of a stream, in the order in which they were made, and the verdicts before and after.

    ``unmended``: why no change of the stream mends what is left; ``unknown``: what is not modelled;
    ``findings`` are about the last verdict.
    """

    contents: Contents
    before: Verdict
    after: Verdict
    steps: list[Step] = field(default_factory=list)
    unmended: str = ""
    unknown: NotModelled | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def accepted(self) -> bool:
        """True if the destination accepts the stream as it is now."""
        return self.after.outcome == Outcome.ACCEPT

    def add(self, step: Step) -> None:
        """Note a change; earlier ones in a section that is left out now have left no byte."""
        if step.change.removes:
            self.steps = [one for one in self.steps if one.change.section != step.change.section]
        self.steps.append(step)

    def ranked(self) -> list[Step]:
        """Return the steps by what the guest notices, the worst first."""
        return sorted(self.steps, key=lambda step: -step.change.notice)

    def as_json(self) -> dict[str, object]:
        """Return verdicts and changes as a JSON object; the changes in the order in which they were made."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "changes": [step.as_json() for step in self.steps],
            "unmended": self.unmended or None,
        }


class Converter:
    """Converts one stream for one destination; ``at_most``: the worst that the guest may notice."""

    def __init__(
        self, destination: Destination, meanings: Meanings | None = None, at_most: Notice = Notice.GUEST
    ) -> None:
        self.destination = destination
        self.meanings = meanings
        self.at_most = at_most
        self._seen: set[tuple[object, ...]] = set()

    def convert(self, contents: Contents) -> Conversion:
        """Change the stream until it is accepted, or nothing mends what is left."""
        try:
            load = self.destination.load(contents)
        except NotModelled as unknown:
            verdict = cannot_judge(unknown)
            return Conversion(contents, verdict, verdict, unknown=unknown)
        conversion = Conversion(contents, load.verdict, load.verdict, findings=load.findings)
        for _ in range(MOST_STEPS):
            if load.check is None:
                break
            self._seen.add(_key(load.check))
            further = self._step(conversion, load)
            if further is None:
                break
            load = further
        if not conversion.unmended:
            conversion.unmended = _ENDS.get(load.verdict.outcome, "")
        return conversion

    def _step(self, conversion: Conversion, load: Load) -> Load | None:
        """Make the first change that gets further; None, and the reason in ``conversion``, if none does."""
        changes, conversion.unmended = self._changes(load)
        unknown: NotModelled | None = None
        for number, change in enumerate(changes):
            try:
                contents = self._changed(conversion.contents, change)
                found = self.destination.load(contents)
            except NotModelled as reason:
                if unknown is None:
                    unknown, conversion.unmended = reason, f"what follows is not modelled: {change.what}"
                continue
            except (PathError, EncodeError, StreamError) as error:
                conversion.unmended = f"{change.what}: {error}"
                continue
            if not self._further(found):
                conversion.unmended = conversion.unmended or f"{change.what}: it gets no further"
                continue
            others = tuple(changes[number + 1 :])
            conversion.add(Step(change, others))
            conversion.contents, conversion.after, conversion.unmended = contents, found.verdict, ""
            conversion.findings = found.findings
            return found
        conversion.unknown = unknown
        return None

    def _further(self, load: Load) -> bool:
        """Return True if a load is accepted, or refused by another check than before."""
        if load.verdict.outcome not in (Outcome.ACCEPT, Outcome.REJECT):
            return False
        return load.check is None or _key(load.check) not in self._seen

    def _changes(self, load: Load) -> tuple[Sequence[Change], str]:
        """Return the changes for a check; if it has none, or none is allowed, also the reason."""
        reason = "" if load.fixes else "the destination does not start"
        changes: list[Change] = []
        for fix in load.fixes:
            try:
                changes += fix()
            except StreamError as error:
                reason = reason or error.message
        changes = list({change.what: change for change in changes}.values())
        allowed = sorted((one for one in changes if one.notice <= self.at_most), key=lambda one: one.notice)
        if changes and not allowed:
            least = min(changes, key=lambda one: one.notice)
            reason = f"{least.what}: {least.notice.means}, which is more than --at-most {self.at_most.word}"
        return allowed, reason

    def _changed(self, contents: Contents, change: Change) -> Contents:
        changed = self.destination.contents(iter(change.applied(contents, self.meanings)))
        if _is_mapped(contents) and len(changed.stream.data) != len(contents.stream.data):
            raise StreamError("mapped-ram: nothing in front of the pages may become longer or shorter")
        return changed


def _is_mapped(contents: Contents) -> bool:
    ram = contents.stream.live(Ram)
    return ram is not None and any(block.mapped is not None for block in ram.blocks)


def _key(check: Check) -> tuple[object, ...]:
    values = str(check.incoming), str(check.local)
    return (check.rule, check.section, check.instance, check.path, *values, check.message)
