"""The answer of a bump: everything that was done, as issues by rule, and the numbers of each part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from vmstate.bump.question import Question
from vmstate.bump.replays import Replay, replays
from vmstate.bump.sides import Side
from vmstate.bump.simulated import Simulated, Simulations, Simulator, frees, predicted, simulations
from vmstate.compatibility import Comparison, Direction, Issue, compare
from vmstate.dataclass import dataclass, field
from vmstate.judge.comparison import without_installation
from vmstate.savevm.verdict import Verdict
from vmstate.simulate.remedies import Remedy

_DEVICE = re.compile(
    r"(?:device|section or instance|subsection of|loading state for instance \S+ of device) '([^']+)'"
)
_UNKNOWN = re.compile(r"Unknown (?:savevm )?section or instance '([^']+)'")
_PCI = re.compile(r"^(?:pci@\w+|\w{4}):\S+?/")
_CAPABILITY = re.compile(r"\b(cap-[\w-]+)")
_VERSION = re.compile(r"^([\w/.@:-]+): incoming version_id")
_TOO_NEW = re.compile(r"unsupported version \d+ for '([^']+)' v\d+")
_WARNING = "warning: "
_EXAMPLES = 3
_SETTINGS = 6

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Stuck:
    """Guests that cannot leave: an example, the machine types, and changes that free them."""

    example: Simulated
    machines: tuple[str, ...]
    frees: tuple[Remedy, ...]


@dataclass
class Answer:
    """The answer to a bump.

    ``issues`` has everything that a policy judges; ``elsewhere`` has what concerns only devices that none of
    the machine types can have.
    """

    old: Side
    new: Side
    common: tuple[str, ...]
    comparison: Comparison
    replays: list[Replay] = field(default_factory=list)
    predictions: dict[str, int] = field(default_factory=dict)
    simulations: Simulations | None = None
    stuck: list[Stuck] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    elsewhere: tuple[Issue, ...] = ()

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both sides, the old one first."""
        return (self.old, self.new)


def bump(old: Side, new: Side, question: Question, progress: Progress = lambda _what, _done: None) -> Answer:
    """Do all parts of a bump that are possible with these sides, and collect the issues."""
    common = tuple(m for m in new.machines if m in set(old.machines) and question.wants(m))
    comparison = compare(old.schema, new.schema)
    answer = Answer(old, new, common, comparison)
    answer.issues += _gone(answer, question)
    if question.replays and any(side.program is not None for side in answer.sides):
        answer.replays = replays(old, new, question, lambda done: progress("replaying", done))
        answer.issues += _replayed(answer)
    if question.simulate and old.is_pseries and new.is_pseries:
        if answer.replays:
            answer.issues += _predicted(answer)
        answer.simulations = simulations(old, new, question, lambda done: progress("simulating", done))
        answer.issues += _simulated(answer, answer.simulations)
        answer.stuck = list(_stuck(answer, answer.simulations))
    concerned = [issue for issue in comparison.issues if _concerns(issue, answer)]
    answer.elsewhere = tuple(issue for issue in comparison.issues if issue not in concerned)
    answer.issues += concerned
    return answer


def _concerns(issue: Issue, answer: Answer) -> bool:
    """Return True if a machine type of both releases may have the section of an issue.

    It may if it sent the section, or if a user can add such a device.  Without both facts all issues count.
    """
    known = [side.creatable for side in answer.sides if side.creatable is not None]
    sent = frozenset().union(*(one.sections for one in answer.replays))
    if not known or not sent or issue.path == "*" or issue.rule.startswith(("not-compared.", "compat.")):
        return True
    places = {issue.path.partition(".")[0], issue.path.partition("/")[0]}
    places |= {label.partition("#")[0] for label in issue.within}
    return not places.isdisjoint(sent.union(*known))


def _gone(answer: Answer, question: Question) -> Iterator[Issue]:
    gone = [m for m in answer.old.machines if m not in answer.new.machines and question.wants(m)]
    if gone:
        message = f"the new release does not have {span(gone)}"
        yield Issue("bump.machine-gone", "*", message, directions=(Direction.FORWARD,), within=tuple(gone))
    if not answer.common:
        message = "no machine type is in both releases"
        yield Issue("bump.nothing-common", "*", message, directions=tuple(Direction))


def _direction(answer: Answer, way: tuple[str, ...]) -> Direction:
    """Return the direction of the last move."""
    return Direction.FORWARD if way[-1] == answer.new.name else Direction.BACKWARD


def _replayed(answer: Answer) -> Iterator[Issue]:
    """Yield one issue for each way and message, with the machine types that meet it."""
    groups: dict[tuple[str, str, Direction, str, str], list[tuple[str, str]]] = {}
    for one in answer.replays:
        if one.accepted:
            continue
        first = first_error(one.messages)
        if not one.started:
            key = ("bump.not-started", one.way[0], Direction.FORWARD, first, "")
        else:
            rule = "bump.rejected-by-record" if one.by_record else "bump.rejected"
            rule = "bump.stuck" if len(one.way) > 2 else rule
            key = (rule, subject(one.messages), _direction(answer, one.way), first, " → ".join(one.way))
        groups.setdefault(key, []).append((one.machine, one.variant))
    for (rule, path, direction, message, way), group in groups.items():
        text = f"{way}: {message}" if way else message
        yield Issue(rule, path, text, directions=(direction,), within=labels(group))


def subject(messages: Iterable[str]) -> str:
    """Return what a rejection is about: the innermost device or capability that its lines name."""
    for line in messages:
        if line.startswith(_WARNING):
            continue
        for pattern in (_VERSION, _TOO_NEW, _UNKNOWN, _DEVICE, _CAPABILITY):
            found = pattern.search(line)
            if found:
                return _PCI.sub("", found[1])
    return "*"


def first_error(messages: tuple[str, ...]) -> str:
    """Return the first line that is not a warning."""
    errors = [line for line in messages if not line.startswith(_WARNING)]
    return (errors or list(messages) or ["(no message)"])[0]


def _predicted(answer: Answer) -> Iterator[Issue]:
    """Compare the real replays with predictions; where there is none, say so once."""
    simulator = Simulator()
    counts = answer.predictions
    unknown: dict[str, list[str]] = {}
    for one in answer.replays:
        if len(one.way) != 2 or one.recorded or one.by_record or not one.started:
            continue
        verdict = predicted(one, answer.sides, simulator)
        label = f"{one.machine} ({one.variant})"
        if isinstance(verdict, str):
            unknown.setdefault(verdict, []).append(label)
            counts["not judged"] = counts.get("not judged", 0) + 1
            continue
        same = verdict.outcome == one.outcome and _same_lines(verdict, one)
        counts["agree" if same else "differ"] = counts.get("agree" if same else "differ", 0) + 1
        if not same:
            path, direction = subject(one.messages or verdict.messages), _direction(answer, one.way)
            message = f"{' → '.join(one.way)}: the simulator says {verdict.outcome}, QEMU {one.outcome}"
            said = (first_error(tuple(verdict.messages)), first_error(one.messages))
            yield Issue("bump.disagrees", path, message, *said, (direction,), (label,))
    for reason, where in unknown.items():
        yield Issue("bump.not-judged", "*", reason, directions=tuple(Direction), within=tuple(where))


def _same_lines(verdict: Verdict, one: Replay) -> bool:
    return without_installation(verdict.messages) == without_installation(one.messages)


def _simulated(answer: Answer, found: Simulations) -> Iterator[Issue]:
    for rule, listed in (("bump.simulated", found.failed), ("bump.warns", found.warned)):
        groups: dict[tuple[str, Direction, str], list[Simulated]] = {}
        for one in listed:
            key = (_about(one), _direction(answer, one.way), first_error(tuple(one.verdict.messages)))
            groups.setdefault(key, []).append(one)
        for (path, direction, message), group in groups.items():
            yield Issue(
                rule,
                path,
                message,
                directions=(direction,),
                within=labels((one.machine, one.setting) for one in group),
            )
    for reason, number in found.not_judged.items():
        message = f"not judged {number} times: {reason}"
        yield Issue("bump.not-judged", "*", message, directions=tuple(Direction))


def _about(one: Simulated) -> str:
    check = one.verdict.decided_by
    named = subject(one.verdict.messages)
    if named != "*":
        return named
    return check.rule if check is not None else "*"


def labels(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return machine types and what they have, in words: types that have the same are together."""
    by_machine: dict[str, list[str]] = {}
    for machine, setting in pairs:
        by_machine.setdefault(machine, []).append(setting)
    by_settings: dict[tuple[str, ...], list[str]] = {}
    for machine, names in by_machine.items():
        by_settings.setdefault(tuple(names), []).append(machine)
    return tuple(f"{span(machines)}: {_some(names)}" for names, machines in by_settings.items())


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SETTINGS])
    return shown if len(names) <= _SETTINGS else f"{shown} and {len(names) - _SETTINGS} more"


def span(machines: list[str]) -> str:
    """Return machine types in a few words: the first, the last, and their number."""
    if len(machines) <= _EXAMPLES:
        return ", ".join(machines)
    return f"{machines[-1]} to {machines[0]} ({len(machines)} types)"


def _stuck(answer: Answer, found: Simulations) -> Iterator[Stuck]:
    """Yield guests that arrived, or started, on the new release and cannot go to the old one."""
    groups: dict[tuple[tuple[str, ...], str, str], list[Simulated]] = {}
    backward = [one for one in found.failed if _direction(answer, one.way) is Direction.BACKWARD]
    for one in (*found.stuck, *backward):
        key = (one.way, _about(one), first_error(tuple(one.verdict.messages)))
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        machines = tuple(dict.fromkeys(one.machine for one in group))
        yield Stuck(group[0], machines, tuple(frees(group[0], answer.sides)[:_EXAMPLES]))
