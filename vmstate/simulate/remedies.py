"""Remedies for a migration: single changes on one side, each proved by another simulated run.

The guest runs, so changes of the destination come first; those of the source need a restart of the guest.
On each side the smallest come first: a capability, the compat limit, the interrupt mode, a property of one
device, the topology and memory, the devices, the processor, the machine type, the release.  Only those are
tried that concern the check that decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmstate.dataclass import dataclass, replace
from vmstate.errors import ConfigurationError
from vmstate.pseries.machine import Machine
from vmstate.pseries.startup.build import build
from vmstate.pseries.startup.command_line import Configuration, Option
from vmstate.pseries.tables.capabilities import CapabilityAt, Kind
from vmstate.savevm.verdict import Check, Outcome, Verdict
from vmstate.simulate.migration import Side, configuration, migrate

Judge = Callable[[Configuration, Configuration], Verdict]
ENOUGH = 6  # enough to read; more would be found quickly


@dataclass(frozen=True)
class Remedy:
    """One change on one ``side`` (``source`` or ``destination``) with which the migration is accepted.

    One on the source is possible only when the guest is started again: ``restart``.  ``warnings``: lines
    that the destination still prints.
    """

    side: str
    change: str
    command_line: str
    warnings: list[str]

    @property
    def restart(self) -> bool:
        """True if the guest must be started again for it."""
        return self.side == "source"

    def as_json(self) -> dict[str, object]:
        """Return the remedy as a JSON object."""
        return {
            "side": self.side,
            "change": self.change,
            "command_line": self.command_line,
            "warnings": self.warnings,
            "restart": self.restart,
        }


def remedies(
    source: Side,
    destination: Side,
    *,
    enough: int = ENOUGH,
    judge: Judge = migrate,
    verdict: Verdict | None = None,
) -> list[Remedy]:
    """Return changes that make ``source`` → ``destination`` accepted; empty if none is known.

    Those of the destination come first, and the smallest of each side.  ``judge`` tries a change; it is not
    ``migrate`` where a guest has booted.  ``verdict``: that on the two sides as they are, if it is known.

    Raises ConfigurationError for command lines that are not modelled.
    """
    sides = configuration(source), configuration(destination)
    decided = (verdict or judge(*sides)).decided_by
    found: list[Remedy] = []
    tried = {("source", sides[0].text), ("destination", sides[1].text)}
    for side, change, changed in _candidates(*sides, decided):
        pair = (changed, sides[1]) if side == "source" else (sides[0], changed)
        if len(found) >= enough or (side, changed.text) in tried:
            continue
        tried.add((side, changed.text))
        answer = _try(*pair, judge)
        if answer is not None and answer.outcome == Outcome.ACCEPT:
            found.append(Remedy(side, change, changed.text, answer.messages))
    return found


def _try(source: Configuration, destination: Configuration, judge: Judge) -> Verdict | None:
    try:
        return judge(source, destination)
    except ConfigurationError:
        return None


@dataclass(frozen=True)
class Half:
    """The side to change: its command line and machine, and the other side's."""

    side: str
    config: Configuration
    own: Machine | None
    other: Machine | None
    peer: Configuration


Changes = Iterator[tuple[str, Configuration]]


def _candidates(
    source: Configuration, destination: Configuration, decided: Check | None
) -> Iterator[tuple[str, str, Configuration]]:
    sender, receiver = build(source).machine, build(destination).machine
    halves = (
        Half("destination", destination, receiver, sender, source),
        Half("source", source, sender, receiver, destination),
    )
    steps = _concerning(decided)
    for half in halves:
        for step in steps:
            for change, changed in step(half):
                if _concerns(decided, change):
                    yield half.side, change, changed


def _concerning(decided: Check | None) -> tuple[Callable[[Half], Changes], ...]:
    """Return the kinds of changes that can matter to the check that decided, smallest first."""
    larger = (_machine_type, _release)
    if decided is None or decided.rule in {"command-line", "aborted", "ended", "save"}:
        return (_capabilities, _compat, _interrupts, _properties, _size, _devices, _processor, *larger)
    section = (decided.section or "").rpartition("/")[2]
    if decided.rule == "capability":
        return (_capabilities, *larger)
    if decided.rule == "machine-type":
        return larger
    if section == "ram":
        return (_properties, _size, _devices, *larger)
    if section.startswith("cpu") and decided.rule not in {"unknown-section", "footer-missing"}:
        return (_compat, _processor, *larger)
    if section.startswith(("xive", "spapr-xive", "ics", "icp", "cpu", "spapr_cpu")):
        return (_size, _interrupts, _processor, *larger)
    if decided.section is not None and section not in {"spapr", "configuration"}:
        return (_properties, _devices, _size, _interrupts, *larger)
    return (_capabilities, _compat, _interrupts, _properties, _size, _devices, _processor, *larger)


def _concerns(decided: Check | None, change: str) -> bool:
    """Return False for a capability that is not the one that decided."""
    if decided is None or decided.rule != "capability" or not decided.path:
        return True
    return "cap-" not in change or decided.path in change


def _capabilities(half: Half) -> Changes:
    given = {key for key, _ in _machine_properties(half.config)}
    known = half.config.catalogue.binary(half.config.release).capabilities
    for cap in known:
        levels = [m.level(cap.name) for m in (half.own, half.other) if m is not None]
        if (
            half.own is not None
            and half.other is not None
            and levels[0] != levels[1]
            and levels[1] is not None
        ):
            text = f"{cap.property_name}={level_text(cap, levels[1])}"
            yield (
                f"-machine {text}",
                with_property(half.config, cap.property_name, level_text(cap, levels[1])),
            )
    for cap in known:
        if cap.property_name in given:
            yield f"without {cap.property_name}", without_property(half.config, cap.property_name)
        if half.own is None and cap.kind is not Kind.PAGE_SIZE:
            text = level_text(cap, 0)
            yield f"-machine {cap.property_name}={text}", with_property(half.config, cap.property_name, text)


def level_text(cap: CapabilityAt, level: int) -> str:
    """Return a capability's level as the command line has it."""
    if cap.kind is Kind.BOOL:
        return "on" if level else "off"
    if cap.kind is Kind.PAGE_SIZE:
        return str(1 << level)
    return cap.values[level] if level < len(cap.values) else str(level)


def _compat(half: Half) -> Changes:
    for mode in reversed(half.config.catalogue.binary(half.config.release).compat.modes):
        yield f"-machine max-cpu-compat={mode.name}", with_property(half.config, "max-cpu-compat", mode.name)
    yield "without max-cpu-compat", without_property(half.config, "max-cpu-compat")


def _interrupts(half: Half) -> Changes:
    for mode in ("dual", "xics", "xive"):
        yield f"-machine ic-mode={mode}", with_property(half.config, "ic-mode", mode)
    yield "without ic-mode", without_property(half.config, "ic-mode")


def _processor(half: Half) -> Changes:
    if half.other is not None:
        yield f"-cpu {half.other.cpu.name}", with_option(half.config, "cpu", half.other.cpu.name)


def _size(half: Half) -> Changes:
    for name in ("m", "smp"):
        given = [o for o in half.peer.options if o.name == name]
        if given:
            yield f"-{name} {given[-1].value}", with_option(half.config, name, given[-1].value)
        else:
            yield (
                f"without -{name}",
                replace(half.config, options=tuple(o for o in half.config.options if o.name != name)),
            )


def _properties(half: Half) -> Changes:
    """Yield, for each device that both sides have, its properties as the other side gives them."""
    theirs = _devices_by_name(half.peer)
    for key, option in _devices_by_name(half.config).items():
        other = theirs.get(key)
        if other is None or other.value == option.value:
            continue
        own, wanted = (dict(_parts(o.value)) for o in (option, other))
        for name in dict.fromkeys((*wanted, *own)):
            if own.get(name) != wanted.get(name):
                changed = {**own, name: wanted[name]} if name in wanted else _without(own, name)
                value = ",".join(k if v is None else f"{k}={v}" for k, v in changed.items())
                new = Option(option.name, value, f"-{option.name} {value}")
                options = tuple(new if o is option else o for o in half.config.options)
                yield f"-{option.name} {value}", replace(half.config, options=options)


def _without(properties: dict[str, str | None], name: str) -> dict[str, str | None]:
    return {key: value for key, value in properties.items() if key != name}


def _parts(value: str) -> Iterator[tuple[str, str | None]]:
    for part in value.split(","):
        key, equals, text = part.partition("=")
        yield key, text if equals else None


def _devices_by_name(config: Configuration) -> dict[tuple[str, str, int], Option]:
    """Return the devices by driver and id; those of one name without an id by their order."""
    found: dict[tuple[str, str, int], Option] = {}
    for option in config.options:
        if option.name == "device":
            properties = dict(_parts(option.value))
            driver = option.value.partition(",")[0]
            number = 0
            while (driver, properties.get("id") or "", number) in found:
                number += 1
            found[driver, properties.get("id") or "", number] = option
    return found


def _devices(half: Half) -> Changes:
    names = {"device", "nodefaults", "netdev", "object"}
    devices = tuple(o for o in half.peer.options if o.name in names)
    rest = tuple(o for o in half.config.options if o.name not in names)
    yield "the other side's devices", replace(half.config, options=(*rest, *devices))


def _machine_type(half: Half) -> Changes:
    if half.other is not None:
        yield f"-machine {half.other.type_name}", with_property(half.config, "type", half.other.type_name)


def _release(half: Half) -> Changes:
    newer = sorted((r for r in half.config.catalogue.newest if r > half.config.release), reverse=False)
    for release in (half.peer.release, *newer):
        yield f"qemu-{release}", replace(half.config, release=release)


# ---- changing a command line


def _machine_properties(config: Configuration) -> list[tuple[str, str]]:
    return [
        (key, value)
        for option in config.options
        if option.name in {"machine", "M"}
        for key, _, value in (part.partition("=") for part in option.value.split(","))
        if value
    ]


def with_option(config: Configuration, name: str, value: str) -> Configuration:
    """Return the command line with ``-name value`` in place of any ``-name``."""
    kept = tuple(o for o in config.options if o.name != name)
    return replace(config, options=(*kept, Option(name, value, f"-{name} {value}")))


def with_property(config: Configuration, key: str, value: str) -> Configuration:
    """Return the command line with a machine property set; ``type`` is the machine type itself."""
    return _edited(config, key, value)


def without_property(config: Configuration, key: str) -> Configuration:
    """Return the command line without a machine property."""
    return _edited(config, key, None)


def _edited(config: Configuration, key: str, value: str | None) -> Configuration:
    options: list[Option] = []
    done = value is None
    for option in config.options:
        if option.name not in {"machine", "M"}:
            options.append(option)
            continue
        parts = [p for p in option.value.split(",") if p.partition("=")[0] != key]
        if key == "type":
            parts = [p for p in parts if "=" in p]
        if not done:
            parts = [str(value), *parts] if key == "type" else [*parts, f"{key}={value}"]
            done = True
        text = ",".join(parts)
        if text:
            options.append(Option("machine", text, f"-machine {text}"))
    if not done:
        text = str(value) if key == "type" else f"{key}={value}"
        options.append(Option("machine", text, f"-machine {text}"))
    return replace(config, options=tuple(options))
