"""Judge a stream by the record of a QEMU: sections, instances, versions, layouts, RAM blocks.

The destination is a machine as it was recorded.  Hooks are code that nothing here runs: an accept means that
nothing which was compared is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from vmstate.compatibility import RULES, Category, Direction, Issue, compare
from vmstate.dataclass import dataclass, replace
from vmstate.describe import Node, Release
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, ENOENT, Diagnostic, UnknownSubsection
from vmstate.describe.from_vmdesc import parse_json
from vmstate.errors import ConfigurationError, Finding, NotModelled, Place, Severity, StreamError
from vmstate.pseries.devices.host.ram_load import MISMATCH
from vmstate.records.record import Record
from vmstate.records.values import CONFIG, refused_values, said
from vmstate.savevm import diagnostics as r
from vmstate.savevm.commands import COMMANDS
from vmstate.savevm.loader import FLATTENED
from vmstate.savevm.messages import lines
from vmstate.savevm.verdict import Check, Outcome, Verdict
from vmstate.schema import Description, Knows, Origin, Schema, SchemaField
from vmstate.schema.fitting import misfits
from vmstate.schema.from_stream import description_sent
from vmstate.stream.constants import FILE_HEADER_SIZE, Command, SectionType
from vmstate.stream.items import CommandItem, Section
from vmstate.stream.reader import Stream, flat, open_stream
from vmstate.stream.sections.ram import Ram
from vmstate.tree import Contents

NO_HOOKS = "no hooks were run (post_load, needed, field_exists): QEMU's code may still refuse"
#: The names of ROMs from fw_cfg begin so; QEMU gives such a block the size that comes (hw/core/loader.c).
_RESIZED = "/rom@"
#: A field's name in a vmdesc; after it come an index or a length, or the type.
_FIELD_NAME = re.compile(rb'"name" ?: ?"([^"]*)", ?"(?:index|array_len|type)"')
#: Conditional fields of which an earlier field of the stream decides (hw/ide/core.c is_identify_set).
_SAID_BEFORE = frozenset({"identify_data"})
_OF_ANY_SIZE = frozenset({"virtio", "virtqueue_extra_state", "virtio-gpu", "tmp", "qtailq", "qlist", "gtree"})
COMMAND_UNKNOWN, VALUE_DIFFERS = r.CommandUnknown.rule(), "value-differs"
CONFIG_DIFFERS = "pci-config-differs"
#: What a vmdesc knows.
_SENT = frozenset({Knows.TYPES})


@dataclass(frozen=True)
class Judgement:
    """A verdict with the findings about it; ``unknown``: the reason if there is none."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    machine: str
    unknown: NotModelled | None = None


class _Rejected(Exception):
    """The first thing that QEMU refuses: the check, and what it prints.

    ``known`` is False for bytes that are read from the wrong place: what QEMU says then depends on them.
    """

    def __init__(
        self, check: Check, *diagnostics: Diagnostic, line: str = "", known: bool = True, errno: int = EINVAL
    ) -> None:
        super().__init__(check.message)
        self.check, self.diagnostics, self.line, self.known = check, diagnostics, line, known
        self.errno = errno


def judge(stream: Stream, record: Record, machine: str | None = None) -> Judgement:
    """Judge a stream; ``machine``: the destination's type, by default the stream's.

    Raises ConfigurationError if neither names a machine type that the record has a stream of.
    """
    return Judge(record, machine_of(stream, machine)).judge(stream)


def machine_of(stream: Stream, machine: str | None) -> str:
    """Return the destination's type: the given one, else the stream's.  Raises ConfigurationError."""
    sent = stream.configuration.machine if stream.configuration is not None else None
    name = machine if machine is not None else sent
    if name is None:
        raise ConfigurationError("the stream names no machine type: give one, RECORD:TYPE")
    return name


class Judge:
    """A recorded machine as the destination of streams: it has the sections that its own stream shows.

    ``own``: that stream.  Raises ConfigurationError if the record has none of that machine type.
    """

    def __init__(self, record: Record, machine: str) -> None:
        self.record, self.machine = record, record.machine(machine)
        self.release = Release.parse(record.release)
        assert self.machine.stream is not None
        self.started = [str(line) for line in self.machine.about.get("lines", ())]
        self.own = open_stream(self.machine.stream)
        self.entries = {(one.idstr, one.instance_id): one for one in self.own.sections}
        self.contents = Contents(self.own)
        self.texts = self.contents.entries

    def judge(self, stream: Stream) -> Judgement:
        """Judge a stream."""
        findings: list[Finding] = []
        unknown = None
        try:
            self._configuration(stream)
            findings += self._load(stream)
        except _Rejected as refused:
            said = [refused.line] if refused.line else []
            told = lines(refused.diagnostics, -refused.errno, self.release)
            messages = [*self.started, *said, *told] if refused.known else []
            verdict = Verdict(Outcome.REJECT, messages, decided_by=refused.check, errno=-refused.errno)
        except NotModelled as reason:
            unknown, place = reason, reason.place
            check = Check(
                "not-compared", False, str(unknown.args[0]), place.section, place.instance, place.offset
            )
            verdict = Verdict(Outcome.NOT_MODELLED, self.started, decided_by=check)
        else:
            verdict = Verdict(Outcome.ACCEPT, self.started)
        findings.append(Finding("record.no-hooks", Severity.INFO, NO_HOOKS))
        return Judgement(verdict, tuple(findings), self.machine.name, unknown)

    @cached_property
    def _named(self) -> Mapping[str, list[tuple[str, Description]]]:
        found: dict[str, list[tuple[str, Description]]] = {}
        for label, one in (self.record.schema.descriptions if self.record.schema is not None else {}).items():
            found.setdefault(one.name, []).append((label, one))
        return found

    @cached_property
    def _sizes(self) -> Mapping[str, int]:
        """The sizes of types that only QEMU's code knows, as the recorded stream's vmdesc has them."""
        found: dict[str, set[int]] = {}
        for section in self.own.devices:
            text = self.texts.text_of(section)
            if _name(text) is not None and text is not None:
                for kind, size in _plain_sizes(description_sent(text, section.version_id or 0)):
                    found.setdefault(kind, set()).add(size)
        return {kind: sizes.pop() for kind, sizes in found.items() if len(sizes) == 1}

    def _load(self, stream: Stream) -> list[Finding]:
        """Compare all sections in their order.  Raises _Rejected, or NotModelled where that is not known."""
        findings: list[Finding] = []
        _no_postcopy(stream)
        contents = Contents(stream)
        devices = {id(section) for section in stream.devices}
        rams = _rams(stream)
        seen: set[tuple[str, int]] = set()
        for section in flat(stream.items):
            if isinstance(section, CommandItem):
                self._command(section)
            if not isinstance(section, Section):
                continue
            key = (section.idstr, section.instance_id)
            if key in seen:
                continue
            seen.add(key)
            text = contents.entries.text_of(section) if id(section) in devices else None
            own = self._entry(section, text)
            self._version(section, own)
            if section.idstr == "ram" and rams:
                self._blocks(section, rams[0])
            else:
                findings += self._described_section(section, own, text, contents)
            self._footer(stream, section)
        return findings

    def _configuration(self, stream: Stream) -> None:
        """Compare what comes before all sections.  Raises _Rejected, or NotModelled."""
        name = self.machine.name
        sent, own = stream.configuration, self.own.configuration
        if sent is None or own is None:
            if sent is own:
                return
            kind = stream.data[FILE_HEADER_SIZE]
            diagnostic = r.ConfigurationMissing(kind) if sent is None else r.UnknownType(kind)
            message = (
                f"{'the stream' if sent is None else 'the recorded machine'} has no configuration section"
            )
            rule = diagnostic.rule()
            raise _Rejected(Check(rule, False, message, "configuration", 0, FILE_HEADER_SIZE), diagnostic)
        if not sent.machine.startswith(name[: len(sent.machine)]):
            place = ("configuration", 0, FILE_HEADER_SIZE)
            raise _Rejected(
                Check("machine-type", False, "the machine type differs", *place, None, sent.machine, name),
                line=f"Machine type received is '{sent.machine}' and local is '{name}'",
            )
        compared = [(one.target_page_bits, sorted(one.capabilities), one.uuid) for one in (sent, own)]
        if compared[0] != compared[1]:
            raise NotModelled("other settings of the migration than the record's", offset=sent.start)

    def _footer(self, stream: Stream, section: Section) -> None:
        """Refuse a footer where the recorded machine has none, or none where it has one."""
        if stream.footers is None or self.own.footers is None or stream.footers == self.own.footers:
            return
        diagnostics: tuple[Diagnostic, ...] = (r.UnknownType(SectionType.FOOTER),)
        if self.own.footers:
            diagnostics = r.FooterMissing(section.idstr), r.FooterFailed(section.section_id)
        message = "one side alone has footers behind sections"
        place = (section.idstr, section.instance_id, section.payload_end)
        raise _Rejected(Check(diagnostics[0].rule(), False, message, *place), *diagnostics)

    def _command(self, item: CommandItem) -> None:
        """Refuse a command that this release does not have."""
        if item.command >= len(COMMANDS.at(self.release)):
            message = f"this release does not know {item.name}"
            check = Check(COMMAND_UNKNOWN, False, message, None, None, item.start, None, item.command)
            raise _Rejected(check, r.CommandUnknown(item.command, item.data_end - item.data_start))

    def _entry(self, section: Section, text: bytes | None) -> Section:
        own = self.entries.get((section.idstr, section.instance_id))
        if own is not None:
            return own
        name = _name(text) or section.idstr
        known = [one for _, one in self._named.get(name, ()) if one.conditional]
        if known or any(idstr == section.idstr for idstr, _ in self.entries):
            raise NotModelled(
                f"the recorded machine does not send {section}, and may or may not have it",
                offset=section.start,
            ).within(section.idstr, section.instance_id)
        message = "the recorded machine has no such section"
        check = Check("section", False, message, section.idstr, section.instance_id, section.start)
        raise _Rejected(check, r.UnknownSection(section.idstr, section.instance_id))

    def _version(self, section: Section, own: Section) -> None:
        incoming, local = section.version_id or 0, own.version_id or 0
        if incoming > local:
            message = "the section is newer than this QEMU knows"
            check = Check(
                "section-version", False, message, section.idstr, section.instance_id, section.start, None,
                incoming, local,
            )  # fmt: skip
            raise _Rejected(check, r.SectionTooNew(signed(incoming), section.idstr, local))

    def _blocks(self, section: Section, ram: Ram) -> None:
        own = {block.name: block.length for handler in _rams(self.own) for block in handler.blocks}
        for block in ram.blocks:
            place = (section.idstr, section.instance_id, section.start, block.name)
            if block.name not in own:
                check = Check(
                    "ram-block", False, "the recorded machine has no such block", *place, block.name
                )
                line = f'Unknown ramblock "{block.name}", cannot accept migration'
                raise _Rejected(check, *_of_ram(section), line=line)
            if block.name.startswith(_RESIZED) and block.length != own[block.name]:
                if block.length > own[block.name]:
                    why = f"{block.name} grows up to a limit that the record does not have"
                    raise NotModelled(why, offset=section.start).within(section.idstr, section.instance_id)
            elif block.length != own[block.name]:
                message = "the block has another size; record a machine with the same -m"
                check = Check("ram-block", False, message, *place, block.length, own[block.name])
                words = MISMATCH.at(self.release)
                line = words.format(block.name, block.length, own[block.name])
                raise _Rejected(check, *_of_ram(section), line=line)

    def _described_section(
        self, section: Section, own: Section, text: bytes | None, contents: Contents
    ) -> list[Finding]:
        """Compare a section's layout and values; a value may be refused although the layout is not known."""
        try:
            findings = list(self._layout(section, own, text))
        except NotModelled:
            self._values(section, contents.node(section), own)
            raise
        self._values(section, contents.node(section), own)
        return findings

    def _layout(self, section: Section, own: Section, text: bytes | None) -> Iterator[Finding]:
        """Compare what was sent with what the destination reads; yield what was not compared."""
        where = Place(section.start, section.idstr, section.instance_id)
        local = self.texts.text_of(own)
        if _name(text) is None or _name(local) is None or text is None or local is None:
            yield Finding("record.not-compared", Severity.INFO, "its bytes are not described", where)
            return
        try:
            source = description_sent(text, section.version_id or 0)
        except StreamError as why:
            raise NotModelled(f"its description is unreadable: {why}", offset=section.start) from None
        target, knows = self._described(own, local)
        if source.version_id < (target.minimum_version_id or 0):
            message = "the section is older than this QEMU takes"
            check = Check(
                "section-version", False, message, section.idstr, section.instance_id, section.start, None,
                source.version_id, target.minimum_version_id,
            )  # fmt: skip
            raise _Rejected(check, r.SectionFailed(section.instance_id, section.idstr))
        if _fits(target, text):
            other = sorted((_sent_names(text) ^ _sent_names(local)) & _conditional_names(target))
            if other:
                message = f"{other[0]} is sent under a condition in code by one side alone"
                raise NotModelled(message, offset=section.start).within(section.idstr, section.instance_id)
            return
        for issue in _issues(source, target, knows, self.record.release):
            rule = RULES[issue.rule]
            if issue.rule == "subsection.unknown":
                raise self._unknown_subsection(section, target, issue)
            if issue.rule == "not-compared.unsent" and issue.old is not None:
                unknown = NotModelled(f"{issue.path}: {issue.message}", offset=section.start)
                raise unknown.within(section.idstr, section.instance_id)
            if rule.severity is Severity.ERROR and rule.category in {Category.WIRE, Category.LOAD}:
                by_hand = issue.rule == "field.size" and _by_hand(issue, source)
                if issue.rule.startswith("not-compared") or by_hand or _depends(issue, target):
                    message = f"{issue.path}: {issue.message}, unless QEMU's code says otherwise"
                    unknown = NotModelled(message, offset=section.start)
                    raise unknown.within(section.idstr, section.instance_id)
                compared = (issue.old, issue.new)
                check = Check(
                    issue.rule, False, issue.message, section.idstr, section.instance_id, section.start,
                    issue.path, *compared,
                )  # fmt: skip
                raise _Rejected(check, known=False)
            if rule.severity is not Severity.INFO:
                yield Finding(
                    f"record.{issue.rule}", rule.severity, issue.message, replace(where, path=issue.path)
                )

    def _unknown_subsection(self, section: Section, target: Description, issue: Issue) -> _Rejected:
        """Return the refusal of a subsection that was sent and that the destination does not know.

        In a part of the section, QEMU also names the fields around it, which are not looked for here.
        """
        check = Check(
            issue.rule, False, issue.message, section.idstr, section.instance_id, section.start, issue.path
        )
        errno = EINVAL if FLATTENED.at(self.release) else ENOENT
        return _Rejected(
            check,
            UnknownSubsection(target.name, issue.path),
            r.SectionFailed(section.instance_id, section.idstr),
            known=issue.path.startswith(f"{target.name}/"),
            errno=errno,
        )

    def _values(self, section: Section, sent: Node, own: Section) -> None:
        """Compare what QEMU compares with its own value; of an inner field it also names those around."""
        root = self.contents.node(own)
        found = next(refused_values(sent, root), None)
        if found is None:
            return
        chain, local = found
        path = ".".join(node.name for node in chain[1:])
        check = Check(
            VALUE_DIFFERS, False, "the destination compares it with its own value", section.idstr,
            section.instance_id, chain[-1].start, path, chain[-1].value, local.value,
        )  # fmt: skip
        failed = r.SectionFailed(section.instance_id, section.idstr)
        if any(node.type == CONFIG for node in chain):
            raise _Rejected(replace(check, rule=CONFIG_DIFFERS), known=False)
        name = _name(self.texts.text_of(own)) or section.idstr
        raise _Rejected(check, *said(name, chain, local), failed, known=len(chain) == 2)

    def _described(self, own: Section, text: bytes) -> tuple[Description, frozenset[Knows]]:
        """Return the description of a section: the program's, else what the recorded stream says of it."""
        entry = parse_json(text)
        for _, one in self._named.get(_name(text) or "", ()):
            if not misfits(one, entry):
                assert self.record.schema is not None
                return _with_sizes(one, self._sizes), self.record.schema.knows
        return description_sent(text, own.version_id or 0), _SENT


def _issues(
    source: Description, target: Description, knows: frozenset[Knows], release: str
) -> tuple[Issue, ...]:
    """Compare what one section sent with a description."""
    old = Schema("the stream", Origin.STREAM, {source.name: source}, _SENT)
    origin = Origin.BINARY if Knows.UNSENT in knows else Origin.STREAM
    new = Schema("the record", origin, {target.name: target}, knows, release)
    return compare(old, new, [Direction.FORWARD]).issues


def _fits(target: Description, text: bytes) -> bool:
    """Return True if the destination may itself have sent just this, and reads it as it was sent.

    Of two subsections of one name it reads both as the first: such a description is compared in full.
    """
    names = [[sub.name for sub in one.subsections] for one in _every(target)]
    twice = any(len(set(listed)) < len(listed) for listed in names)
    return not twice and not misfits(target, parse_json(text))


def _conditional_names(target: Description) -> set[str]:
    """Return the names of fields that a condition in code decides on."""
    found = {field.name for vmsd in _every(target) for field in vmsd.fields if field.conditional}
    return found - _SAID_BEFORE


def _sent_names(text: bytes) -> set[str]:
    """Return the names of all fields that a vmdesc lists for a section."""
    return {match[1].decode() for match in _FIELD_NAME.finditer(text)}


def _depends(issue: Issue, target: Description) -> bool:
    """Return True if the place is in a description that has conditional fields, which may make up for it."""
    owner = issue.path.partition(".")[0]
    return any(one.conditional for vmsd in _every(target) if vmsd.name == owner for one in vmsd.fields)


def _by_hand(issue: Issue, source: Description) -> bool:
    """Return True if QEMU writes a field by hand: it has not the same size in each state."""
    owner, _, name = issue.path.partition(".")
    fields = (field for vmsd in _every(source) if vmsd.name == owner for field in vmsd.fields)
    return any(field.name == name and field.kind in _OF_ANY_SIZE for field in fields)


def _every(one: Description) -> Iterator[Description]:
    yield one
    for inner in one.inner():
        yield from _every(inner)


def _plain_sizes(one: Description) -> Iterator[tuple[str, int]]:
    for vmsd in _every(one):
        for field in vmsd.fields:
            if field.kind is not None and field.vmsd is None and isinstance(field.size, int):
                yield field.kind, field.size


def _with_sizes(one: Description, sizes: Mapping[str, int]) -> Description:
    """Return a description with the sizes of these types where it has none."""

    def sized(field: SchemaField) -> SchemaField:
        if field.vmsd is not None:
            return replace(field, vmsd=_with_sizes(field.vmsd, sizes))
        unknown = field.size is None and field.kind in sizes
        return replace(field, size=sizes[field.kind or ""]) if unknown else field

    inner = tuple(_with_sizes(sub, sizes) for sub in one.subsections)
    return replace(one, fields=tuple(map(sized, one.fields)), subsections=inner)


def _no_postcopy(stream: Stream) -> None:
    """Refuse to judge a stream with commands that change how it is loaded (postcopy, packages)."""
    for item in stream.items:
        if isinstance(item, CommandItem) and item.command != Command.SWITCHOVER_START:
            raise NotModelled(f"the stream has a command, {item.name}", offset=item.start)


def _name(text: bytes | None) -> str | None:
    """Return the name of the description that a vmdesc gives for a section."""
    if text is None:
        return None
    return next((str(value) for key, value in parse_json(text) if key == "vmsd_name"), None)


def _rams(stream: Stream) -> list[Ram]:
    return [handler for _, handler in stream.handlers if isinstance(handler, Ram)]


def _of_ram(section: Section) -> tuple[Diagnostic, ...]:
    return (
        r.LiveStateFailed(signed(section.version_id or 0), -EINVAL),
        r.SectionFailed(section.instance_id, section.idstr),
    )
