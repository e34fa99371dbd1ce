"""Migrations of a machine with a history: events, and earlier migrations, before the one that is judged."""

from __future__ import annotations

from collections.abc import Iterable

from vmstate.dataclass import dataclass, field, replace
from vmstate.errors import NotModelled
from vmstate.pseries.cas.guest_kernels import Guest
from vmstate.pseries.catalogue import CATALOGUE, Catalogue
from vmstate.pseries.devices.host.globalstate import GlobalState
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.savevm.verdict import Answer, Check, Outcome, Verdict
from vmstate.simulate.events import apply_event
from vmstate.simulate.guest import boot
from vmstate.simulate.instance import Instance
from vmstate.simulate.migration import Sent, Side, configuration, received_from, refusal, sent_from
from vmstate.simulate.undecided import check_decided

MIGRATE = "migrate"


def events_of(text: str) -> list[str]:
    """Split the text of a history, whose events are separated by semicolons."""
    return [event for event in (part.strip() for part in text.split(";")) if event]


def migrate_history(
    source: Side,
    destination: Side,
    events: Iterable[str],
    *,
    guest: Guest | None = None,
    catalogue: Catalogue = CATALOGUE,
    trace: bool = False,
) -> Verdict:
    """Start a source, let the events happen in order, then migrate it.

    The event ``migrate COMMAND-LINE`` migrates the machine, and the later events happen there.  If one of
    these migrations fails, its verdict is returned.  Raises ConfigurationError for what is not modelled.
    """
    history = _History(configuration(source), guest)
    final = configuration(destination)
    for event in events:
        name, _, argument = event.partition(" ")
        if name == MIGRATE:
            failed = history.migrate(parse(argument, catalogue), event, trace=trace)
            if failed is not None:
                return failed
        else:
            history.apply(event)
    return history.finish(final, trace=trace)


@dataclass
class _History:
    """The machine where it is now: the lines that its QEMU has printed, and the answers to all events."""

    side: Configuration
    guest: Guest | None
    messages: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    instance: Instance | None = None
    ended: Check | None = None
    _shown: int = 0

    def __post_init__(self) -> None:
        start = build(self.side)
        self.messages = list(start.messages)
        if start.machine is None:
            self.ended = refusal("source", start)
            return
        self.instance = Instance(start.machine)
        if self.guest is not None:
            boot(self.instance, self.guest)

    def apply(self, event: str) -> None:
        if self.instance is not None:
            self.answers.append(apply_event(self.instance, self.side, event))

    def migrate(self, to: Configuration, event: str, *, trace: bool) -> Verdict | None:
        """Migrate; return the verdict if that fails."""
        verdict = self.finish(to, trace=trace)
        if verdict.outcome is not Outcome.ACCEPT:
            return verdict
        assert self._arrived is not None
        self.answers.append(Answer(event))
        source, self.side, self.instance = self.instance, to, self._arrived
        self.messages = verdict.messages
        self._shown = len(self.instance.machine.printed)
        if source is not None:
            self.instance.take_over_guest(source)
        _resume(self.instance)
        return None

    _arrived: Instance | None = None

    def finish(self, to: Configuration, *, trace: bool) -> Verdict:
        """Migrate, and return the verdict."""
        if self.instance is None:
            sent = Sent(None, self.messages, self.ended)
        else:
            self.messages += self.instance.machine.printed[self._shown :]
            sent = sent_from(self.instance, self.messages)
        if sent.stream is None or self.instance is None:
            return Verdict(
                Outcome.SOURCE_REFUSED,
                source_messages=self.messages,
                decided_by=sent.refused,
                answers=self.answers,
            )
        received = received_from(sent, to, trace=trace)
        self._arrived = received.instance
        if self.instance.guest is not None and received.instance is not None:
            check_decided(self.instance, received.instance, received.verdict)
        return replace(received.verdict, source_messages=self.messages, answers=self.answers)


def _resume(instance: Instance) -> None:
    """Set the run state that a destination started with ``-S`` has after a load; a guest that runs goes on.

    migration/migration.c ``process_incoming_migration_bh``.
    """
    machine = instance.machine
    if instance.running:
        return
    if not machine.flags.store_global_state:
        raise NotModelled(f"further events of a {machine.type_name} that was migrated are not modelled")
    for state in machine.registered(GlobalState):
        if bytes(state.runstate).rstrip(b"\0") == b"running":
            state.runstate = b"paused".ljust(len(state.runstate), b"\0")
