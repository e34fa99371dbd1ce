"""The state of a walk over a stream, shared with the walks over the streams packaged in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from vmstate.dataclass import dataclass, field
from vmstate.errors import Finding, Place, Severity, StreamError, finding_of, quantity
from vmstate.stream.items import Found
from vmstate.stream.recover import Budget
from vmstate.stream.sections.handlers import LiveContext, LiveHandler, handler_for
from vmstate.stream.wire import SectionStart, Window

MAX_FINDINGS = 1000
MAX_HANDLERS = 1000


class Candidate(NamedTuple):
    """A possible end of a payload and its source; ``sure``: if nothing fits there, the stream is faulty."""

    end: int
    found: Found
    sure: bool = True


Measure = Callable[[SectionStart, Window], Iterable[Candidate]]
"""A function that yields the possible ends of a full section's payload, the surest first."""


@dataclass
class Live:
    """A live device of the stream: the section that started it, and its handler if its grammar is known."""

    start: SectionStart
    handler: LiveHandler | None


@dataclass
class WalkState:
    """The state of a walk over a stream.

    ``footers``: True if the stream's sections have footers, None until the first section has ended.
    ``keep_pages``: see :class:`~vmstate.stream.sections.handlers.LiveContext`.  ``live``: the live devices by
    section id; ``handlers``: every handler made, with its idstr.  ``newest``: the highest section id so far.
    """

    measure: Measure | None = None
    origin: int = 0
    page_size: int | None = None
    keep_pages: bool = True
    capabilities: frozenset[str] = frozenset()
    postcopy: bool = False
    footers: bool | None = None
    live: dict[int, Live] = field(default_factory=dict)
    handlers: list[tuple[str, LiveHandler]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    suppressed: int = 0
    newest: int = -1
    budget: Budget = field(default_factory=Budget)

    def all_findings(self) -> list[Finding]:
        """Return the findings; if there were too many, the last one counts the rest."""
        if not self.suppressed:
            return self.findings
        more = Finding("findings.more", Severity.WARNING, quantity(self.suppressed, "more finding"))
        return [*self.findings, more]

    def note(self, finding: Finding) -> None:
        """Keep a finding; after a thousand, only count it."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)
        else:
            self.suppressed += 1

    def report(
        self,
        rule: str,
        message: str,
        offset: int,
        start: SectionStart | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Add a finding at ``offset``, in the section that ``start`` names."""
        section, instance = (start.idstr, start.instance_id) if start else (None, None)
        self.note(Finding(rule, severity, message, Place(offset, section, instance)))

    def handler(self, start: SectionStart, full: bool = False) -> LiveHandler | None:
        """Make a handler for a START (``full``: FULL) section; None when its grammar is unknown.

        At most a thousand are made: a handler is large, and a section that starts one may be tiny.
        """
        if len(self.handlers) >= MAX_HANDLERS:
            return None
        context = LiveContext(
            start, self.page_size, self.capabilities, self.postcopy, self.origin, self.keep_pages
        )
        try:
            handler = handler_for(context, full)
        except StreamError as error:
            self.note(
                finding_of(error.within(section=start.idstr, instance=start.instance_id), "section.version")
            )
            return None
        if handler is not None:
            self.handlers.append((start.idstr, handler))
        return handler
