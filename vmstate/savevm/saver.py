"""Saving a source's state: a complete stream, as qemu_savevm_state writes it for a paused machine.

migration/savevm.c qemu_savevm_state_header, _setup, _complete_precopy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from vmstate.dataclass import dataclass
from vmstate.describe import History, Plan, Release, Writer
from vmstate.describe.history import Span
from vmstate.describe.vmdesc import DESCRIBES_CONFIGURATION, VmdescWriter
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers
from vmstate.stream.constants import MAGIC, VERSION, Command, SectionType
from vmstate.stream.writer import command

#: The description was made, even where it is suppressed (until a55090db2a).
DESCRIBES_ALWAYS = History(True, ("10.0", False))
SWITCHOVER_START = Span(since="10.0")


class SourceAborts(Exception):
    """Saving ends QEMU itself; ``line`` is the last line that it prints."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


_IDS = struct.Struct(">II")
_SECTION = struct.Struct(">BI")


@dataclass
class Saver:
    """One outgoing migration of a paused machine.

    ``entries``: in sending order.  ``footers``, ``vmdescription``: the machine type has section footers, and
    a description at the end.  ``page_size``: the size of a target page in bytes, for that description.
    ``described``: the description has its text, which no destination reads.  ``switchover_start``: the type
    sends a command when the guest has stopped (migration_switchover_start).
    """

    release: Release
    entries: Sequence[SaveStateEntry[Described | SaveVMHandlers]]
    configuration: object | None
    configuration_plan: Plan | None
    footers: bool
    vmdescription: bool
    page_size: int
    described: bool = True
    switchover_start: bool = False

    def run(self) -> Writer:
        """Write the whole stream.  Raises SaveFailure if a hook refuses, SourceAborts if QEMU ends."""
        out = Writer()
        out.put(_IDS.pack(MAGIC, VERSION))
        if self.configuration_plan is not None:
            out.put(bytes([SectionType.CONFIGURATION]))
            self.configuration_plan.save(out, self.configuration)
        live = [(entry, entry.device) for entry in self.entries if isinstance(entry.device, SaveVMHandlers)]
        live = [(entry, device) for entry, device in live if device.active()]
        for entry, device in live:
            self._start(out, SectionType.START, entry)
            device.setup(out)
            self._footer(out, entry)
        for kind in (SectionType.PART, SectionType.END):
            if kind == SectionType.END and self.switchover_start and SWITCHOVER_START.covers(self.release):
                out.put(command(Command.SWITCHOVER_START))
            for entry, device in live:
                out.put(_SECTION.pack(kind, entry.section_id))
                (device.iterate if kind == SectionType.PART else device.complete)(out)
                self._footer(out, entry)
        described = list(self._full_sections(out))
        out.put(bytes([SectionType.EOF]))
        described_anyway = self.vmdescription or DESCRIBES_ALWAYS.at(self.release)
        if described_anyway and self.configuration_plan is None and DESCRIBES_CONFIGURATION.at(self.release):
            # The description is opened when the configuration is written, but closed in any case.
            raise SourceAborts("leave_container: Assertion `depth' failed.")
        if self.vmdescription:
            text = self._vmdesc(described).encode() if self.described else b""
            out.put(bytes([SectionType.VMDESCRIPTION]) + len(text).to_bytes(4, "big"))
            out.put(text)
        return out

    def _full_sections(self, out: Writer) -> Iterable[str]:
        writer = VmdescWriter.at(self.release)
        for entry in self.entries:
            device = entry.device
            if isinstance(device, SaveVMHandlers) or not device.needed():
                continue
            self._start(out, SectionType.FULL, entry)
            plan = device.plan
            plan.save(out, device)
            self._footer(out, entry)
            if self.vmdescription and self.described:
                yield writer.device(plan, device.idstr, device.instance_id, device)

    def _start(self, out: Writer, kind: int, entry: SaveStateEntry[Described | SaveVMHandlers]) -> None:
        name = entry.device.idstr.encode()
        header = _SECTION.pack(kind, entry.section_id) + bytes([len(name)]) + name
        out.put(header + _IDS.pack(entry.device.instance_id & 0xFFFFFFFF, entry.device.version_id))

    def _footer(self, out: Writer, entry: SaveStateEntry[Described | SaveVMHandlers]) -> None:
        if self.footers:
            out.put(_SECTION.pack(SectionType.FOOTER, entry.section_id))

    def _vmdesc(self, devices: Iterable[str]) -> str:
        writer = VmdescWriter.at(self.release)
        pairs = [("page_size", str(self.page_size)), ("devices", writer.style.array(devices))]
        if self.configuration_plan is not None and DESCRIBES_CONFIGURATION.at(self.release):
            plan = self.configuration_plan
            described = writer.style.object(writer.group(plan, self.configuration, plan.version_id))
            pairs.insert(0, ("configuration", described))
        return writer.style.object(pairs)
