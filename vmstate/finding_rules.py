"""The rules of findings: every id, with its severity and what it says of a stream.

``docs/findings.md`` and ``docs/containers.md`` have tables made of them; a test compares them with the places
that report findings.  The rules of compared descriptions are ``vmstate.compatibility.rules``.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmstate.dataclass import dataclass
from vmstate.errors import Severity


@dataclass(frozen=True)
class FindingRule:
    """A rule: its id, its severities (several if it depends on what is found), and what it says."""

    id: str
    severities: tuple[Severity, ...]
    meaning: str


_E, _W, _I = (Severity.ERROR,), (Severity.WARNING,), (Severity.INFO,)

#: By chapter, as the pages have them.
CHAPTERS: Mapping[str, tuple[FindingRule, ...]] = {
    "containers": (
        FindingRule(
            "container.truncated", _E, "the container ends too early; its content up to there is kept"
        ),
        FindingRule(
            "container.damaged", _E, "the bytes are wrong from this offset on, or a checksum is wrong"
        ),
        FindingRule("container.nested", _E, "more than 8 nested containers: the ninth is not opened"),
        FindingRule(
            "container.trailing",
            _W,
            "bytes after the container's end, which decompressors ignore; zeros count as padding",
        ),
        FindingRule(
            "container.incomplete",
            _E,
            "libvirt did not finish writing the save image, and would not restore it",
        ),
        FindingRule("container.libvirt.header", _E, "the save image's header contradicts itself"),
        FindingRule(
            "container.libvirt.format",
            _E,
            "the save image's format is unknown, or does not match its content",
        ),
        FindingRule("container.libvirt.unused", _W, "an unused word of the save image's header is not zero"),
        FindingRule(
            "container.xen.record",
            _E,
            "a Xen save file without a record of QEMU's state, or one that ends early",
        ),
        FindingRule("container.offset", _I, "a stream was found inside another file"),
        FindingRule("container.qcow2.corrupt", _E, "QEMU marked the qcow2 image as corrupt"),
        FindingRule(
            "container.qcow2.cluster",
            _E,
            "a cluster of a snapshot's state is used twice, or cannot be decompressed",
        ),
    ),
    "structure": (
        FindingRule("stream.truncated", _E, "the stream ends too early"),
        FindingRule(
            "stream.lost",
            _E,
            "bytes that cannot begin an item; reading resumed at the next bytes that can",
        ),
        FindingRule(
            "stream.trailing",
            (Severity.WARNING, Severity.INFO),
            "bytes after the end; *info* if all are zeros, as in the rest of a volume",
        ),
        FindingRule(
            "section.damaged",
            (Severity.ERROR, Severity.WARNING),
            "a live section's records are invalid from this offset on; a warning if its end was found "
            "nevertheless",
        ),
        FindingRule("section.unknown", _W, "a live section of an unknown kind"),
        FindingRule("section.version", _E, "a live section of an unknown version"),
        FindingRule("section.length", _E, "nothing fits where the payload should end by its description"),
        FindingRule(
            "section.guessed",
            _W,
            "the payload's end is a guess: no description, declaration or footer gives it",
        ),
        FindingRule("section.opaque", _W, "not compared: no description or declaration reads the payload"),
        FindingRule("section.name", _E, "a name of bytes that no device's name has"),
        FindingRule(
            "section.mark",
            _E,
            "a part of a live section whose mark is wrong or missing; it is read as a PART",
        ),
        FindingRule("section.id", _E, "a part of a section that never started; its footer says which it is"),
        FindingRule("stream.end-mark", _E, "an end mark, but sections follow: QEMU would stop here"),
        FindingRule("footer.damaged", _E, "a footer of which a byte is wrong, missing or too many"),
        FindingRule("footer.id", _E, "the footer has the id of another section"),
        FindingRule("footer.missing", _E, "other sections have footers, but this one does not"),
        FindingRule(
            "command.unknown", _E, "a command with an unknown number, or with a length that QEMU rejects"
        ),
        FindingRule("command.nested", _E, "packages nested more than 8 deep"),
        FindingRule(
            "ram.elided",
            _I,
            "guest memory was read through a pipe and not kept: only its records were checked",
        ),
        FindingRule("findings.more", _W, "a thousand findings are shown; this one counts the others"),
    ),
    "multifd": (
        FindingRule("multifd.joined", _I, "the stream was joined from several channels"),
        FindingRule("multifd.channel", _E, "a channel is damaged or ends too early"),
        FindingRule("multifd.channels", _E, "channels are missing, or do not belong together"),
        FindingRule("multifd.tls", _E, "a channel is encrypted and cannot be read"),
        FindingRule("multifd.file", _W, "a file in the folder is no channel of this migration"),
    ),
    "description": (
        FindingRule("vmdesc.json", _E, "the text is not the JSON of a description"),
        FindingRule("vmdesc.missing", _E, "a section without an entry"),
        FindingRule("vmdesc.extra", _E, "an entry without a section"),
        FindingRule("vmdesc.order", _E, "the entries are not in the order of the sections"),
        FindingRule("vmdesc.unreadable", _E, "an entry that QEMU would not write"),
        FindingRule("vmdesc.mismatch", _E, "the bytes do not match their description"),
        FindingRule(
            "vmdesc.understated",
            _I,
            "an array described by its first element, a null pointer, although not all are null (QEMU "
            "before 10.0)",
        ),
    ),
    "declarations": (
        FindingRule(
            "declared.fields",
            _E,
            "a field, type, size or order in the description differs from our declaration",
        ),
        FindingRule("declared.vmdesc", _E, "the fields agree, but not the exact text of the description"),
        FindingRule("declared.mismatch", _E, "our declaration cannot read the payload"),
        FindingRule(
            "declared.releases",
            _W,
            "each section is described as by some release, but no release describes all of them so",
        ),
        FindingRule(
            "declared.unknown",
            _I,
            "not compared: we have no declaration of these devices, or the stream says too little",
        ),
    ),
    "rewriting": (
        FindingRule(
            "rewrite.framing", _E, "a header, footer, command or the configuration differs when rewritten"
        ),
        FindingRule("rewrite.section", _E, "a payload differs when rewritten from its values"),
        FindingRule("rewrite.live", _E, "a number or name of a live section differs when rewritten"),
        FindingRule(
            "rewrite.container",
            (Severity.ERROR, Severity.INFO),
            "the rewritten container does not contain the same stream; *info*: it was not rewritten",
        ),
        FindingRule("value.bool", _I, "a bool that is neither 0 nor 1; it is read as true"),
        FindingRule("value.unused", _I, "unused bytes that are not zero"),
    ),
    "commands": (
        FindingRule("find.nothing", _W, "`find`: nothing fits"),
        FindingRule("convert.real", _E, "`convert --against`: the real QEMU refuses the changed stream"),
        FindingRule("describe.differs", _E, "`describe`: a stream does not fit the program's descriptions"),
        FindingRule("record.changed", _E, "`record --check`: the program differs from its record"),
        FindingRule("record.no-hooks", _I, "`load --on RECORD`: checks in C code are not known"),
        FindingRule(
            "record.not-compared", _I, "`load --on RECORD`: the bytes of a section are not described"
        ),
        FindingRule("replay.outcome", _E, "`replay`: the real QEMU decides otherwise than the simulated one"),
        FindingRule("replay.messages", _W, "`replay`: the real QEMU prints another line"),
        FindingRule(
            "replay.not-compared", _I, "`replay`: the simulator does not model this command line or stream"
        ),
        FindingRule("fuzz.interrupted", _I, "`fuzz`: the campaign was interrupted and can go on"),
    ),
}

#: All, by id.
FINDING_RULES: Mapping[str, FindingRule] = {rule.id: rule for rules in CHAPTERS.values() for rule in rules}
