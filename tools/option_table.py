"""Keep docs/options.md in step with the table of QEMU's options.

tools/option_table.py          write the document
tools/option_table.py --check  only check that it is current
"""

from __future__ import annotations

import sys
from pathlib import Path

from vmstate.describe.history import Points, Span
from vmstate.pseries.startup.option_table import OPTIONS, QemuOption, Treatment

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "options.md"
_HEAD = """# QEMU's options

How the simulator treats each option of `qemu-system-ppc64`, 2.9 to 11.1.  An option that a release does not
have is refused in QEMU's words: `invalid option`.  `tools/option_table.py` generates this document from
`vmstate/pseries/startup/option_table.py`.

`vmstate migrate --libvirt A.log B.log` takes the last command lines of two logs of libvirt
(`/var/log/libvirt/qemu/GUEST.log`), and the releases from there. A program without a release in its
name, such as `/usr/bin/qemu-system-ppc64`, needs `--release`. For a domain XML, `virsh domxml-to-native
qemu-argv --xml FILE` makes a command line, which `--libvirt` takes too.
"""
_SECTIONS = {
    Treatment.READ: ("Simulated", "read"),
    Treatment.NO_EFFECT: ("Without effect on a migration", "reason"),
    Treatment.NOT_MODELLED: ("Not modelled: an error, exit status 2", "obstacle"),
    Treatment.OTHER_TARGET: (
        "Of other targets: QEMU refuses them, `Option not supported for this target`",
        "target",
    ),
}


def _points(points: Points) -> str:
    return points if isinstance(points, str) else ", ".join(points)


def _releases(span: Span) -> str:
    since = f"from {_points(span.since)}" if span.since is not None else ""
    until = f"before {_points(span.until)}" if span.until is not None else ""
    return ", ".join(filter(None, (since, until))) or "all"


def _row(option: QemuOption) -> str:
    argument = " …" if option.arguments else ""
    return f"| `-{option.name}{argument}` | {_releases(option.span)} | {option.why} |"


def document() -> str:
    """Return the text of the document."""
    parts = [_HEAD]
    for treatment, (title, column) in _SECTIONS.items():
        rows = [_row(option) for option in OPTIONS if option.treatment is treatment]
        table = [f"| option | releases | {column} |", "|---|---|---|", *sorted(rows, key=str.lower)]
        parts.append("\n".join([f"## {title}", "", *table, ""]))
    return "\n".join(parts)


def main() -> int:
    """Write or check the document."""
    if "--check" in sys.argv[1:]:
        return int(DOCUMENT.read_text() != document())
    DOCUMENT.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
