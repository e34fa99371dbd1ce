"""Wrappers around a line of QEMU: timestamps, program names, libvirt's sentences, JSON, journald, colours.

``unwrap`` yields the lines of a text with everything taken off that is not QEMU's.  It takes any bytes that
were read as text: a line may be of any length and hold any character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from vmstate.dataclass import dataclass
from vmstate.explain.formats import LONGEST

_COLOUR = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LONGEST_JSON = 1 << 20
_DEPTH = 8
_PEELS = 16

_PREFIXES = (
    r"(?:libvirt(?:\.libvirtError|d)?|libvirtError|virsh)?:? ?"
    r"(?:[Ee]rror|[Ii]nternal error|[Oo]peration failed|[Oo]peration aborted|[Uu]nsupported configuration"
    r"|Requested operation is not valid|Timed out during operation|Operation not supported"
    r"|argument unsupported|invalid argument|Domain not found|Live Migration failure): +"
)
_SENTENCES = (
    r"process exited while connecting to monitor",
    r"(?:[Gg]uest|QEMU|qemu) unexpectedly (?:quit|closed the monitor)(?: \(vm='[^']*'\))?",
    r"early end of file from monitor[^:]*",
    r"unable to execute QEMU (?:command|monitor command) '[^']*'",
    r"[Dd]omain \S+ failed|Failed to run: [^:]*|exit status \d+",
    r"monitor|stderr|stdout|qemu stderr|unable to migrate|failed to migrate|VM state load failed",
    r"error encountered during \w+ libvirt api call",
    r"virError\(Code=\d+, Domain=\d+, Message=",
)

#: What may stand before a line; each is tried at its beginning, again and again.
_WRAPPERS = tuple(
    re.compile(pattern)
    for pattern in (
        # Times: ISO 8601, of libvirt and journald; syslog; klog; a clock; seconds since the boot.
        r"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?\]?:?\s+",
        r"\w{3} +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? ",
        r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\] ",
        r"\[? *\d{1,9}\.\d{3,9}\]:? ",
        r"\d\d:\d\d:\d\d(?:[.,]\d+)?\s+",
        # The name of a host and a program with its number: `node1 virtqemud[1234]: `.
        r"(?:[\w.-]{1,255} )?[\w./@-]{1,255}\[\d+\]: ",
        # libvirt: `1234: error : qemuProcessReportLogError:2052 : `.
        r"\d+: (?:error|warning|info|debug) : (?:\w+:\d+ : )?",
        # Levels of other programs, and keys of `level=error msg="…"`.
        r"(?:level=\w+ |time=\"[^\"]*\" |ts=\S+ )*msg=\"?",
        r"(?:ERROR|WARN|WARNING|INFO|FATAL|CRITICAL|DEBUG)\b:?\s+(?:\[[^\]]*\]\s+)?",
        # libvirt's and other managers' sentences.
        _PREFIXES,
        r"libvirt: QEMU Driver error ?: ",
        rf"(?:{'|'.join(_SENTENCES)})[:']? *",
        r"\(qemu\) ",
        # virsh's progress, and marks of prose.
        r"Migration: \[ *\d+(?:\.\d+)? %\]",
        r"(?:title|description) = \"+",
        r"[`*>|]+ *",
        r"> ",
        # pacemaker: `VM_migrate_to_0:5177:stderr [ error: … ]`
        r"(?:notice|warning|error): (?=[^ ]+:stderr \[)",
        r"[\w.-]{1,255}:\d+:stderr \[ ",
    )
)

#: A program's name before its message: `qemu-system-ppc64: `, `/usr/libexec/qemu-kvm: `.
_PROGRAM = re.compile(
    r"(?:^|(?<=[\s'\"=(])|(?=qemu-system-))(?:/[\w./+@-]{1,512}/)?(?:qemu|kvm)[\w.+-]{0,64}(?:\.exe)?: "
)
#: What management programs put into the middle of a line before QEMU's words.
_MARKER = re.compile(
    r"Message='|[\"']desc[\"']: [\"']|\bjob '[^']{1,64}' failed: "
    r"|unable to execute QEMU (?:monitor )?command '[^']{1,64}': "
    r"|(?:internal error|operation failed|operation aborted|LibvirtException|libvirtError): "
)
#: A command-line option before its message: `-device virtio-net-pci,netdev=n: `.
_OPTION = re.compile(r"--?[a-zA-Z][\w-]*:? ")
_KEYS = frozenset(
    {
        "desc",
        "message",
        "msg",
        "log",
        "error",
        "err",
        "reason",
        "failurereason",
        "stderr",
        "text",
        "errordetail",
    }
    | {"lasterror", "description", "output", "error-desc", "metadata", "details", "failure_reason"}
)


@dataclass(frozen=True)
class Peeled:
    """A line of a log: as it was, and what is left of it: ``texts``, in the order in which they are tried."""

    line: str
    texts: tuple[str, ...]


def unwrap(text: str) -> Iterator[Peeled]:
    """Yield every line of the text that is not empty, without wrappers."""
    for line in re.split(r"\r?\n|\r", text):
        if line.strip():
            yield from _lines(line)


def _lines(line: str) -> Iterator[Peeled]:
    start = line.find("{")
    if start >= 0 and len(line) <= _LONGEST_JSON:
        texts = _from_json(line[start:])
        if texts:
            for text in texts:
                for part in text.splitlines():
                    if part.strip():
                        yield Peeled(part, tuple(_peeled(part)))
            return
    if "\\n" in line and len(line) <= LONGEST:
        for part in line.split("\\n"):
            if part.strip():
                yield Peeled(part, tuple(_peeled(part)))
        return
    yield Peeled(line, tuple(_peeled(line)))


def _from_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return []
    found: list[str] = []
    _strings(value, _DEPTH, found, wanted=False)
    return found


def _strings(value: object, depth: int, found: list[str], *, wanted: bool) -> None:
    if depth == 0:
        return
    if isinstance(value, str):
        if wanted:
            found.append(value)
    elif isinstance(value, list):
        for one in value:
            _strings(one, depth - 1, found, wanted=wanted)
    elif isinstance(value, dict):
        for key, one in value.items():
            _strings(one, depth - 1, found, wanted=str(key).lower() in _KEYS)


def _peeled(line: str) -> Iterator[str]:
    """Yield what is left of a line: what follows an option, then the text with most taken off, then less."""
    if len(line) > 4 * LONGEST:
        return
    texts = [_CONTROLS.sub("", _COLOUR.sub("", line)).strip()]
    for _ in range(_PEELS):
        text = _once(texts[-1])
        if text == texts[-1]:
            break
        texts.append(text)
    least = texts[-1]
    markers = [*_MARKER.finditer(least, 0, LONGEST)][:_PEELS]
    # Python logs an error twice: `text: libvirt.libvirtError: text`.
    parts = (least[marker.end() :].partition(": libvirt.libvirtError: ")[0] for marker in reversed(markers))
    texts.extend(map(_trimmed, parts))
    program = _PROGRAM.search(texts[-1])
    if program is not None:
        texts.append(_trimmed(texts[-1][program.end() :]))
    if _OPTION.match(texts[-1]):
        yield from _after_option(texts[-1])
    yield from reversed(texts)


def _once(text: str) -> str:
    for wrapper in _WRAPPERS:
        found = wrapper.match(text)
        if found is not None and found.end() < len(text):
            return _trimmed(text[found.end() :])
    return text


def _trimmed(text: str) -> str:
    text = text.strip().removesuffix(" (Libvirt::Error)").rstrip("`*")
    for close in (" ]", "')", '"}', "'}", '"', "'"):
        if text.endswith(close) and (text.count(close[0]) % 2 or (close == " ]" and "[" not in text)):
            text = text[: -len(close)].rstrip()
    return text


def _after_option(text: str) -> Iterator[str]:
    """Yield what follows an option and its value; a value in JSON may have colons of its own."""
    at = text.find(": ")
    for _ in range(_PEELS if "{" in text else 1):
        if at < 0:
            return
        yield text[at + 2 :]
        at = text.find(": ", at + 2)
