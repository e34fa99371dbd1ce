"""A source saves its state: a complete stream, as qemu_savevm_state writes it for a paused machine.

migration/savevm.c qemu_savevm_state_header, _setup, _complete_precopy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vmstate.describe import Plan, Release, Writer
from vmstate.describe.vmdesc import DESCRIBES_CONFIGURATION, VmdescWriter
from vmstate.savevm.entries import Described, SaveStateEntry, SaveVMHandlers
from vmstate.savevm.loader import (
    CONFIGURATION,
    END,
    EOF_MARK,
    FILE_VERSION,
    FOOTER,
    FULL,
    MAGIC,
    PART,
    START,
    VMDESCRIPTION,
)


class SourceAborts(Exception):
    """Saving ends QEMU itself; ``line`` is the last that it prints."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


PAGE_SIZE = 4096
_IDS = struct.Struct(">II")
_SECTION = struct.Struct(">BI")


@dataclass
class Saver:
    """One outgoing migration of a paused machine.

    ``entries``: in sending order.  Sections carry footers, and the stream a vmdescription, if the machine
    type wants them.
    """

    release: Release
    entries: Sequence[SaveStateEntry[Described | SaveVMHandlers]]
    configuration: object | None
    configuration_plan: Plan | None
    footers: bool
    vmdescription: bool

    def run(self) -> Writer:
        """Write the whole stream.  Raises SaveFailure if a hook refuses, SourceAborts if QEMU ends."""
        out = Writer()
        out.put(_IDS.pack(MAGIC, FILE_VERSION))
        if self.configuration_plan is not None:
            out.put(bytes([CONFIGURATION]))
            self.configuration_plan.save(out, self.configuration)
        live = [e for e in self.entries if isinstance(e.device, SaveVMHandlers) and e.device.active()]
        for entry in live:
            self._start(out, START, entry)
            entry.device.setup(out)  # type: ignore[union-attr]
            self._footer(out, entry)
        for kind in (PART, END):
            for entry in live:
                out.put(_SECTION.pack(kind, entry.section_id))
                (entry.device.iterate if kind == PART else entry.device.complete)(out)  # type: ignore[union-attr]
                self._footer(out, entry)
        described = list(self._full_sections(out))
        out.put(bytes([EOF_MARK]))
        if (
            self.vmdescription
            and self.configuration_plan is None
            and DESCRIBES_CONFIGURATION.at(self.release)
        ):
            # The description is begun where the configuration is written, and ended in any case.
            raise SourceAborts("leave_container: Assertion `depth' failed.")
        if self.vmdescription:
            text = self._vmdesc(described).encode()
            out.put(bytes([VMDESCRIPTION]) + len(text).to_bytes(4, "big"))
            out.put(text)
        return out

    def _full_sections(self, out: Writer) -> Iterable[str]:
        writer = VmdescWriter.at(self.release)
        for entry in self.entries:
            device = entry.device
            if isinstance(device, SaveVMHandlers) or not device.needed():
                continue
            self._start(out, FULL, entry)
            plan = device.plan
            plan.save(out, device)
            self._footer(out, entry)
            if self.vmdescription:
                yield writer.device(plan, device.idstr, device.instance_id, device)

    def _start(self, out: Writer, kind: int, entry: SaveStateEntry[Described | SaveVMHandlers]) -> None:
        name = entry.device.idstr.encode()
        header = _SECTION.pack(kind, entry.section_id) + bytes([len(name)]) + name
        out.put(header + _IDS.pack(entry.device.instance_id & 0xFFFFFFFF, entry.device.version_id))

    def _footer(self, out: Writer, entry: SaveStateEntry[Described | SaveVMHandlers]) -> None:
        if self.footers:
            out.put(_SECTION.pack(FOOTER, entry.section_id))

    def _vmdesc(self, devices: Iterable[str]) -> str:
        writer = VmdescWriter.at(self.release)
        pairs = [("page_size", str(PAGE_SIZE)), ("devices", writer.style.array(devices))]
        if self.configuration_plan is not None and DESCRIBES_CONFIGURATION.at(self.release):
            plan = self.configuration_plan
            described = writer.style.object(writer.group(plan, self.configuration, plan.version_id))
            pairs.insert(0, ("configuration", described))
        return writer.style.object(pairs)
