"""Simulated migrations of pseries machines: processors, capabilities, interrupt modes, hosts, chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vmstate.bump.question import Question
from vmstate.bump.replays import Replay
from vmstate.bump.sides import Side
from vmstate.dataclass import dataclass, field, replace
from vmstate.describe import Release
from vmstate.errors import ConfigurationError, NotModelled
from vmstate.pseries.catalogue import Binary
from vmstate.pseries.startup.build import Start, build
from vmstate.pseries.startup.command_line import Configuration, parse
from vmstate.pseries.tables.accelerators import shipped_hosts
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind
from vmstate.savevm.verdict import Outcome, Verdict
from vmstate.simulate.migration import Received, Sent, received_by, sent_by, sent_from
from vmstate.simulate.remedies import Remedy, remedies

CPUS = ("power8", "power9", "power10", "power11")
_TCG = "cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"


@dataclass(frozen=True)
class Setting:
    """One variation of a machine: what it is called, its options, and the host that runs it."""

    name: str
    machine: str = ""
    options: str = ""
    host: str = ""

    def line(self, release: str, machine: str) -> str:
        """Return the command line of a machine type with this setting."""
        host = f"{self.host}: " if self.host else ""
        extra = f",{self.machine}" if self.machine else ""
        return f"{host}qemu-{release} -machine {machine}{extra} {self.options}".rstrip()


@dataclass(frozen=True)
class Simulated:
    """A simulated migration over two or more releases; ``verdict`` is that of the last one tried."""

    way: tuple[str, ...]
    machine: str
    setting: str
    verdict: Verdict = field(repr=False)
    lines: tuple[str, ...] = ()


def settings(old: Binary, new: Binary) -> list[Setting]:
    """Return the variations that both releases know."""
    found = [Setting("default"), Setting("no warnings", _TCG)]
    found += [Setting(f"cpu {cpu}", _TCG, f"-cpu {cpu}") for cpu in CPUS if _has(old, cpu) and _has(new, cpu)]
    found += [Setting(f"ic-mode {mode}", f"{_TCG},ic-mode={mode}") for mode in ("xics", "xive")]
    for cap in new.capabilities:
        if cap.property_name in old.capability:
            for text in _levels(cap):
                rest = ",".join(p for p in _TCG.split(",") if not p.startswith(f"{cap.property_name}="))
                given = f"{cap.property_name}={text}"
                found.append(Setting(given, f"{given},{rest}" if rest else given))
    for host in shipped_hosts():
        found.append(Setting(f"host {host}", "accel=kvm", "-cpu host", host))
    return found


def _has(binary: Binary, cpu: str) -> bool:
    return any(name.partition("_")[0].lower() == cpu for name in binary.cpus)


def _levels(cap: CapabilityAt) -> list[str]:
    if cap.kind is Kind.BOOL:
        return ["on", "off"]
    return ["64k"] if cap.kind is Kind.PAGE_SIZE else list(cap.values)


class Simulator:
    """Simulates migrations between releases; each source is saved once, each stream loaded once."""

    def __init__(self) -> None:
        self._starts: dict[str, Start] = {}
        self._sent: dict[str, Sent | NotModelled | ConfigurationError] = {}
        self._loaded: dict[tuple[bytes | memoryview, str], Verdict | NotModelled | ConfigurationError] = {}

    def migrate(self, source: Configuration, destination: Configuration) -> Verdict:
        """Return the verdict.  Raises ConfigurationError, NotModelled."""
        sent = self._source(source)
        if sent.stream is None:
            return Verdict(Outcome.SOURCE_REFUSED, source_messages=sent.messages, decided_by=sent.refused)
        key = (sent.stream, _text(destination))
        known = self._loaded.get(key)
        if known is None:
            try:
                known = received_by(sent.stream, self._start(destination)).verdict
            except (NotModelled, ConfigurationError) as unknown:
                known = unknown
            self._loaded[key] = known
        if not isinstance(known, Verdict):
            raise known
        return replace(known, source_messages=sent.messages)

    def chain(self, sides: Sequence[Configuration]) -> tuple[Verdict, int]:
        """Move a guest from side to side; return the last verdict, and the number of moves that worked."""
        sent = self._source(sides[0])
        moves = 0
        if sent.stream is None:
            return Verdict(Outcome.SOURCE_REFUSED, decided_by=sent.refused), 0
        verdict = Verdict(Outcome.ACCEPT)
        for number, side in enumerate(sides[1:], 1):
            assert sent.stream is not None
            received: Received = received_by(sent.stream, self._start(side))
            verdict = received.verdict
            if verdict.outcome != Outcome.ACCEPT or received.instance is None:
                break
            moves = number
            if number < len(sides) - 1:
                sent = sent_from(received.instance, [])
                if sent.stream is None:
                    return Verdict(Outcome.SOURCE_REFUSED, decided_by=sent.refused), moves
        return verdict, moves

    def _start(self, config: Configuration) -> Start:
        text = _text(config)
        if text not in self._starts:
            self._starts[text] = build(config)
        return self._starts[text]

    def _source(self, config: Configuration) -> Sent:
        text = _text(config)
        if text not in self._sent:
            try:
                self._sent[text] = sent_by(self._start(config))
            except (NotModelled, ConfigurationError) as unknown:
                self._sent[text] = unknown
        known = self._sent[text]
        if not isinstance(known, Sent):
            raise known
        return known


def _text(config: Configuration) -> str:
    return f"{config.catalogue.fork_name} {config.release} {config.text}"


@dataclass
class Simulations:
    """The simulated migrations of a bump: those that fail, and how many there were."""

    failed: list[Simulated] = field(default_factory=list)
    warned: list[Simulated] = field(default_factory=list)
    stuck: list[Simulated] = field(default_factory=list)
    pairs: int = 0
    accepted: int = 0
    not_started: int = 0
    not_judged: dict[str, int] = field(default_factory=dict)
    chains: int = 0


def simulations(old: Side, new: Side, question: Question, done: Callable[[int], None]) -> Simulations:
    """Simulate every setting of every machine type that both releases have, in both directions."""
    result = Simulations()
    binaries = [side.catalogue.binary(Release.parse(side.release)) for side in (old, new)]
    simulator = Simulator()
    common = [m for m in new.machines if m in set(old.machines) and question.wants(m)]
    known = settings(*binaries)
    for number, machine in enumerate(common):
        done(number)
        for setting in known:
            _pairs(simulator, (old, new), machine, setting, result)
        _chains(simulator, (old, new), machine, question, result)
    return result


def _config(side: Side, line: str) -> Configuration:
    return parse(line, side.catalogue)


def _pairs(
    simulator: Simulator, sides: tuple[Side, Side], machine: str, setting: Setting, result: Simulations
) -> None:
    lines = [setting.line(_named(side), machine) for side in sides]
    for source, destination in ((0, 1), (1, 0)):
        way = (sides[source].name, sides[destination].name)
        try:
            configs = [_config(side, line) for side, line in zip(sides, lines, strict=True)]
            verdict = simulator.migrate(configs[source], configs[destination])
            control = simulator.migrate(configs[0], configs[0])
            own = simulator.migrate(configs[destination], configs[destination])
        except (NotModelled, ConfigurationError) as unknown:
            result.not_judged[str(unknown)] = result.not_judged.get(str(unknown), 0) + 1
            continue
        result.pairs += 1
        one = Simulated(way, machine, setting.name, verdict, (lines[source], lines[destination]))
        if verdict.outcome == Outcome.ACCEPT:
            result.accepted += 1
            if own.outcome == Outcome.ACCEPT and set(verdict.messages) - set(own.messages):
                result.warned.append(one)
        elif Outcome.SOURCE_REFUSED in (verdict.outcome, control.outcome):
            result.not_started += 1  # no such guest, or none that the old release runs
        elif control.outcome == Outcome.ACCEPT:
            result.failed.append(one)
        else:
            result.not_started += 1


def _named(side: Side) -> str:
    return f"{side.release}+{side.catalogue.fork_name}" if side.catalogue.fork_name else side.release


def _chains(
    simulator: Simulator, sides: tuple[Side, Side], machine: str, question: Question, result: Simulations
) -> None:
    """Move a guest there and back, and over the further releases of the question and back."""
    old, new = (_named(side) for side in sides)
    ways: list[tuple[str, ...]] = [(old, new, old), (new, old, new)]
    if question.chain:
        there = (old, *question.chain, new)
        ways.append((*there, *there[-2::-1]))
    setting = Setting("no warnings", _TCG)
    for way in ways:
        owners = {old: sides[0], new: sides[1]}
        try:
            configs = [_config(owners.get(r, sides[1]), setting.line(r, machine)) for r in way]
            verdict, moves = simulator.chain(configs)
        except (NotModelled, ConfigurationError) as unknown:
            result.not_judged[str(unknown)] = result.not_judged.get(str(unknown), 0) + 1
            continue
        result.chains += 1
        if verdict.outcome not in (Outcome.ACCEPT, Outcome.SOURCE_REFUSED) and moves:
            lines = (configs[moves].text, configs[moves + 1].text)
            names = tuple(f"qemu-{name}" for name in way[: moves + 2])
            result.stuck.append(Simulated(names, machine, setting.name, verdict, lines))


def frees(one: Simulated, sides: tuple[Side, Side]) -> list[Remedy]:
    """Return changes with which a guest that is stuck can leave, proved by another simulation."""
    if len(one.lines) != 2:
        return []
    owners = {f"qemu-{_named(side)}": side for side in sides}
    names = one.way[-2:]
    try:
        configs = [_config(owners.get(n, sides[1]), line) for n, line in zip(names, one.lines, strict=True)]
        found = remedies(*configs)
    except (NotModelled, ConfigurationError):
        return []
    return sorted(found, key=lambda remedy: remedy.side != "source")


def predicted(one: Replay, sides: tuple[Side, Side], simulator: Simulator) -> Verdict | str:
    """Return the prediction for a real replay, or why there is none."""
    by_name = {side.name: side for side in sides}
    source, destination = (by_name[name] for name in one.way)
    words = " ".join(one.arguments)
    try:
        configs = [
            _config(side, f"qemu-{_named(side)} -machine {one.machine} {words}")
            for side in (source, destination)
        ]
        return simulator.migrate(*configs)
    except (NotModelled, ConfigurationError) as unknown:
        return str(unknown)
