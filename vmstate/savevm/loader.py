"""Loading a stream at a destination, with the order, checks and errno of qemu_loadvm_state.

migration/savevm.c qemu_loadvm_state and the functions that it calls.  :mod:`vmstate.savevm.messages` turns
the loader's reports into QEMU's lines.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from vmstate.dataclass import dataclass, field, replace
from vmstate.describe import Cursor, History, Plan, Release
from vmstate.describe.cursor import signed
from vmstate.describe.diagnostics import EINVAL, EIO, Diagnostic, Exited, HookFailed, LoadFailure, Printed
from vmstate.errors import NotModelled, StreamError
from vmstate.savevm import diagnostics as r
from vmstate.savevm.commands import Commands
from vmstate.savevm.entries import Entry
from vmstate.savevm.verdict import Check
from vmstate.stream.constants import MAGIC, VERSION, VERSION_COMPAT, SectionType

# Plain numbers for the loop over sections: an enum's operators cost more than the comparison.
_EOF, _START, _PART = int(SectionType.EOF), int(SectionType.START), int(SectionType.PART)
_END, _FULL, _FOOTER = int(SectionType.END), int(SectionType.FULL), int(SectionType.FOOTER)
_VMDESCRIPTION, _COMMAND = int(SectionType.VMDESCRIPTION), int(SectionType.COMMAND)
_CONFIGURATION = int(SectionType.CONFIGURATION)
ENOTSUP = 95
NO_ALIAS = 0xFFFFFFFF  # the alias of an entry without one; a stream may use it as the instance
FLATTENED = History(False, ("11.1", True))  # vmstate_load_state only returns 0 or -EINVAL


_IDS = struct.Struct(">II")
_FOOTER_LAYOUT = struct.Struct(">BI")


@dataclass
class Loader:
    """One incoming migration.  ``run`` returns 0 or a negative errno; ``cur.diagnostics`` has the reports.

    Raises NotModelled where it cannot tell what QEMU does next.

    ``entries``: the destination's registered sections, in QEMU's order.  ``configuration``: the state of the
    configuration section, if the machine type has one.  ``rare``: finds sections that are not in ``entries``
    because few streams have them.  ``take_over``: what the destination does when all is loaded;
    ``synchronize``: what it does before that with its processors, also after a section that failed; returns
    the line with which QEMU then exits, or None.
    ``stalled``: everything was loaded, but the destination then waits for a source that does not exist.
    ``passed``: called between two sections, outside of packages; from its state at that moment, the loader
    can :meth:`go_on`.
    """

    cur: Cursor
    entries: Sequence[Entry]
    release: Release
    configuration: object | None
    configuration_plan: Plan | None
    footers: bool
    vmdescription: bool
    trace: bool = False
    decided_by: Check | None = None
    _loading: dict[int, tuple[int, int]] = field(default_factory=dict)
    rare: Callable[[str, int], Entry | None] | None = None
    take_over: Callable[[], None] | None = None
    synchronize: Callable[[], str | None] | None = None
    stalled: bool = False
    passed: Callable[[Loader], None] | None = None
    _commands: Commands | None = None  # only for ``passed``: it refers to the loader, and that to the stream
    _by_name: dict[str, list[Entry]] = field(default_factory=dict)
    _by_id: dict[str, dict[int, Entry]] = field(default_factory=dict)
    _parts: dict[int, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._by_name.setdefault(entry.idstr, []).append(entry)
            if entry.compat is not None:
                self._by_name.setdefault(entry.compat[0], []).append(entry)

    def run(self) -> int:
        """Load the whole stream (qemu_loadvm_state)."""
        return self._guard(self._header) or self.go_on()

    def go_on(self) -> int:
        """Load the rest of the stream, from the beginning of a section on."""
        ret = self.sections()
        if ret == 0 and self.cur.short:
            ret = -EIO
            self.fail(r.TrailingError(ret), "stream")
        if ret == 0 and self.vmdescription:
            self._vmdescription()
        ret = self._synchronize(ret)
        if ret == 0 and not self.stalled and self.take_over is not None:
            ret = self._guard(self.take_over)
        return ret

    def _synchronize(self, ret: int) -> int:
        """Give the processors' registers to the accelerator (``cpu_synchronize_all_post_init``)."""
        line = self.synchronize() if self.synchronize is not None and not self.stalled else None
        if line is None:
            return ret
        self.fail(Exited(line), "exited")
        return ret or -EINVAL

    def _guard(self, step: object) -> int:
        try:
            step()  # type: ignore[operator]
        except LoadFailure as failure:
            self._decide(failure)
            return failure.ret
        except StreamError as error:
            self._decide(error)
            return error.ret
        return 0

    def _decide(self, error: StreamError) -> None:
        """Record the first error as the reason; if a hook refused, the comparison that made it refuse."""
        if self.decided_by is not None:
            return
        place, diagnostics = error.place, self.cur.diagnostics
        first = next((d for d in diagnostics if not isinstance(d, Printed | r.Checked)), None)
        check = Check(
            first.rule() if first is not None else "stream", False, error.message, place.section,
            place.instance, place.offset, place.path, error.found, error.expected,
        )  # fmt: skip
        compared = (d.check for d in diagnostics if isinstance(d, r.Checked) and not d.check.passed)
        refused = next(compared, None) if isinstance(first, HookFailed) else None
        self.decided_by = (
            check if refused is None else replace(refused, offset=check.offset, message=check.message)
        )
        self.note(check)

    def note(self, check: Check) -> None:
        """Keep a check if a trace was requested."""
        if self.trace:
            self.cur.diagnostics.append(r.Checked(check))

    def fail(self, diagnostic: Diagnostic, rule: str, *, ret: int = -EINVAL, **facts: Any) -> LoadFailure:
        """Report that one of the loader's own checks failed; return the exception to raise."""
        failure = self.cur.fail(diagnostic, rule, ret=ret, **facts)
        self._decide(failure)
        return failure

    def _header(self) -> None:
        magic = self.cur.word()
        if magic != MAGIC:
            raise self.fail(
                r.NotAStream(magic), "not a migration stream", offset=0, expected=MAGIC, found=magic
            )
        version = self.cur.word()
        if version != VERSION:
            old = version == VERSION_COMPAT
            report = r.ObsoleteVersion() if old else r.UnsupportedFileVersion(version)
            raise self.fail(report, "file version", ret=-ENOTSUP, offset=4, expected=VERSION, found=version)
        if self.configuration_plan is None:
            return
        mark = self.cur.byte()
        if mark != _CONFIGURATION:
            raise self.fail(
                r.ConfigurationMissing(mark), "configuration", offset=8, expected=_CONFIGURATION, found=mark
            )
        try:
            self.configuration_plan.load(self.cur, self.configuration, 0)
        except StreamError as error:
            error.within(section="configuration", instance=0)
            self._flatten(error)
            raise

    def sections(self) -> int:
        """Load sections and commands up to the end mark; return 0 or an errno (qemu_loadvm_state_main)."""
        commands, self._commands = self._commands or Commands(self), None
        while True:
            if self.passed is not None and self.cur is commands.file:
                self._commands = commands
                self.passed(self)
                self._commands = None
            kind = self.cur.byte()
            if self.cur.short:
                self.fail(r.TypeUnreadable(-EIO), "the stream ends without an end mark", ret=-EIO)
                return -EIO
            if kind == _EOF:
                if commands.leave():
                    continue
                self.stalled = commands.colo
                return 0
            if kind in (_START, _FULL):
                ret = self._guard(self._start_full)
            elif kind in (_PART, _END):
                ret = self._guard(self._part_end)
            elif kind == _COMMAND:
                ret = self._guard(commands.process)
            else:
                self.fail(r.UnknownType(kind), "unknown section type", offset=self.cur.pos - 1, found=kind)
                return -EINVAL
            if ret < 0:
                return ret

    def find(self, idstr: str, instance_id: int) -> Entry | None:
        """Find an entry by name and instance or alias, or by the name that old releases used (find_se)."""
        known = self._by_id.get(idstr)
        if known is None:
            known = self._by_id[idstr] = self._ids_of(idstr)
        entry = known.get(instance_id)
        if entry is None and self.rare is not None:
            return self.rare(idstr, instance_id)
        return entry

    def _ids_of(self, idstr: str) -> dict[int, Entry]:
        """Return the entries of a name by instance and by alias; the first one of each."""
        found: dict[int, Entry] = {}
        for entry in self._by_name.get(idstr, ()):
            own = entry.instance_id if entry.idstr == idstr else (entry.compat or ("", -1))[1]
            found.setdefault(own & 0xFFFFFFFF, entry)
            found.setdefault(NO_ALIAS if entry.alias_id is None else entry.alias_id, entry)
        return found

    def _start_full(self) -> None:
        cur = self.cur
        start = cur.pos - 1
        section_id, idstr, instance_id, version = self._section_header()
        entry = self.find(idstr, instance_id)
        if entry is None or version > entry.version_id:
            raise self._unfit(entry, start, idstr, instance_id, version)
        self._loading[id(entry)] = (section_id, version)
        self._parts.clear()
        try:
            self._load(entry, version)
        except StreamError as error:
            error.within(section=idstr, instance=instance_id)
            self._decide(error)
            cur.diagnostics.append(r.SectionFailed(instance_id, idstr))
            raise
        self._footer(entry, section_id)
        if self.trace:
            self.note(
                Check(
                    "section",
                    True,
                    section=idstr,
                    instance=instance_id,
                    offset=start,
                    incoming=version,
                    local=entry.version_id,
                )
            )

    def _unfit(
        self, entry: Entry | None, start: int, idstr: str, instance_id: int, version: int
    ) -> LoadFailure:
        where: dict[str, Any] = {"offset": start, "section": idstr, "instance": instance_id}
        if entry is None:
            return self.fail(r.UnknownSection(idstr, instance_id), "unknown section or instance", **where)
        report = r.SectionTooNew(signed(version), idstr, entry.version_id)
        return self.fail(report, "section version", expected=entry.version_id, found=version, **where)

    def _section_header(self) -> tuple[int, str, int, int]:
        cur = self.cur
        section_id = self.cur.word()
        length = cur.byte()
        if length > cur.end - cur.pos or cur.short or length == 0:
            raise self.fail(r.IdstrUnreadable(section_id), "section name")
        idstr = str(cur.take(length), "utf-8", "replace").split("\0", 1)[0]
        if cur.end - cur.pos >= _IDS.size:
            instance_id, version = _IDS.unpack_from(cur.data, cur.pos)
            cur.pos += _IDS.size
        else:
            instance_id, version = self.cur.word(), self.cur.word()
            raise self.fail(r.InstanceUnreadable(-EIO), "section header", ret=-EIO)
        return section_id, idstr, instance_id, version

    def _flatten(self, error: StreamError) -> None:
        if FLATTENED.at(self.release):
            error.ret = -EINVAL

    def _loaded_as(self, section_id: int) -> Entry | None:
        """Return the first entry whose section started with that id; it is 0 before a section starts."""
        known = self._parts.get(section_id)
        if known is not None:
            return known
        for entry in self.entries:
            if self._loading.get(id(entry), (0, 0))[0] == section_id:
                self._parts[section_id] = entry
                return entry
        return None

    def _part_end(self) -> None:
        cur = self.cur
        section_id = self.cur.word()
        if cur.short:
            raise self.fail(r.SectionIdUnreadable(-EIO), "section id", ret=-EIO)
        entry = self._loaded_as(section_id)
        if entry is None:
            raise self.fail(
                r.UnknownPart(signed(section_id)), "a part of a section that never started", found=section_id
            )
        version = self._loading.get(id(entry), (0, 0))[1]
        try:
            self._load(entry, version)
        except StreamError as error:
            error.within(section=entry.idstr, instance=entry.instance_id)
            self._decide(error)
            cur.diagnostics.append(r.PartFailed(signed(section_id), entry.idstr))
            raise
        self._footer(entry, section_id)

    def _load(self, entry: Entry, version: int) -> None:
        try:
            self._load_entry(entry, version)
        except NotModelled as unknown:
            raise unknown.within(entry.idstr, entry.instance_id) from None

    def _load_entry(self, entry: Entry, version: int) -> None:
        live = getattr(entry, "load_state", None)
        if live is None:
            try:
                entry.plan.load(self.cur, entry, signed(version))  # type: ignore[attr-defined]
            except StreamError as error:
                self._flatten(error)
                raise
            return
        try:
            live(self.cur, signed(version))
        except StreamError as error:
            self.cur.diagnostics.append(r.LiveStateFailed(signed(version), error.ret))
            raise

    def _footer(self, entry: Entry, section_id: int) -> None:
        if not self.footers:
            return
        cur = self.cur
        start = cur.pos
        if start + _FOOTER_LAYOUT.size <= cur.end and _FOOTER_LAYOUT.unpack_from(cur.data, start) == (
            _FOOTER,
            section_id,
        ):
            cur.pos += _FOOTER_LAYOUT.size
            return
        where: dict[str, Any] = {"offset": start, "section": entry.idstr, "instance": entry.instance_id}
        mark = cur.byte()
        report: Diagnostic
        if cur.short:
            report = r.FooterUnreadable(-EIO)
        elif mark != _FOOTER:
            report = r.FooterMissing(entry.idstr)
        elif (read := self.cur.word()) != section_id:
            report = r.FooterMismatch(entry.idstr, read, section_id)
        else:
            return
        failure = self.fail(report, "section footer", **where)
        cur.diagnostics.append(r.FooterFailed(signed(section_id)))
        raise failure

    def _vmdescription(self) -> None:
        kind = self.cur.byte()
        if kind != _VMDESCRIPTION:
            self.cur.diagnostics.append(r.VmdescriptionExpected(kind))
