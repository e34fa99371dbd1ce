"""What is made of the parsers of all commands: ``docs/commands.md``, man pages, completions.

``python -m tests.support.reference`` writes them; tests check that they are current.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vmstate import __version__
from vmstate.cli.commands import COMMANDS, Group
from vmstate.cli.completion import SCRIPTS
from vmstate.cli.grammar import CommandParser, command_lines, value_of
from vmstate.cli.help import topic_text, topics
from vmstate.cli.parsers import command_parser

ROOT = Path(__file__).resolve().parents[2]
COMPLETIONS = {
    "bash": "share/bash-completion/completions/vmstate",
    "zsh": "share/zsh/site-functions/_vmstate",
    "fish": "share/fish/vendor_completions.d/vmstate.fish",
}


def files() -> dict[str, str]:
    """Return the text of each file, by its path in the project."""
    found = {COMPLETIONS[shell]: script() for shell, script in SCRIPTS.items()}
    found["docs/commands.md"] = "\n".join(_page())
    found["share/man/man1/vmstate.1"] = "\n".join(_overview_manual())
    for name in COMMANDS:
        found[f"share/man/man1/vmstate-{name}.1"] = "\n".join(_manual(name))
    return found


# ---- docs/commands.md


def _page() -> Iterator[str]:
    yield from (
        "# Commands",
        "",
        "<!-- Generated from the parsers by `python -m tests.support.reference`. -->",
        "",
        "All commands, their options and examples, as `vmstate help COMMAND` has them.  The wheel installs",
        "them as man pages, with the completion of bash, zsh and fish (`vmstate completion bash` prints it).",
        "What several commands share is in topics: "
        + ", ".join(f"`vmstate help {name}`" for name in topics())
        + ".",
        "",
    )
    for group in Group:
        yield f"- {group}: " + ", ".join(f"[{n}](#{n})" for n in COMMANDS if COMMANDS[n].group is group)
    for name, command in COMMANDS.items():
        parser = command_parser(name)
        yield from (
            "",
            f"## {name}",
            "",
            f"{command.summary[0].upper()}{command.summary[1:]}.",
            "",
            "```text",
        )
        yield parser.format_usage().rstrip("\n")
        yield from ("```", "", "| | |", "|---|---|")
        yield from _rows(parser)
        if parser.epilog:
            yield from ("", _cell(" ".join(parser.epilog.split())))
        if command.extra:
            yield from (
                "",
                f"It needs `pip install 'qemu-vmstate[{command.extra}]'` for a real QEMU or its program.",
            )
        yield from ("", "```sh")
        width = max(len(line) for _, line in parser.examples)
        for says, line in parser.examples:
            yield f"{line:<{min(width, 72)}}  # {says}"
        yield "```"
    yield ""


def _rows(parser: CommandParser) -> Iterator[str]:
    for one in parser.arguments():
        yield f"| `{value_of(one) or one.dest}` | {_cell(_help(parser, one))} |"
    if parser.program is not None:
        yield f"| `-- COMMAND …` | {_cell(parser.program.help)} |"
    for one in parser.options():
        if one.dest not in {"help", "json", "quiet"}:
            spelled = ", ".join(f"`{text}`" for text in _spelled(one))
            yield f"| {_cell(spelled)} | {_cell(_help(parser, one))} |"


def _spelled(action) -> Iterator[str]:
    for text in action.option_strings:
        yield f"{text} {value_of(action)}".strip()


def _help(parser: CommandParser, action) -> str:
    return parser._get_formatter()._expand_help(action)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


# ---- man pages


def _head(name: str, summary: str) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" "qemu-vmstate {__version__}" "vmstate"'
    yield ".SH NAME"
    yield f"{_roff(name)} \\- {_roff(summary)}"


def _overview_manual() -> Iterator[str]:
    yield from _head("vmstate", "read, write, check, edit and judge QEMU live-migration streams")
    yield from (".SH SYNOPSIS", r"\fBvmstate\fR \fICOMMAND\fR [\fIOPTION\fR ...] [\fIARGUMENT\fR ...]")
    yield ".SH COMMANDS"
    for group in Group:
        yield f".SS {_roff(str(group))}"
        for name, command in COMMANDS.items():
            if command.group is group:
                yield from (".TP", rf"\fBvmstate\-{_roff(name)}\fR(1)", _roff(command.summary))
    for name in topics():
        title, *lines = topic_text(name).splitlines()
        yield f'.SH "{_roff(name).upper()}"'
        yield _roff(title.partition(": ")[2])
        yield from (".PP", ".nf", *map(_roff, lines), ".fi")
    yield ""


def _manual(name: str) -> Iterator[str]:
    parser = command_parser(name)
    yield from _head(f"vmstate-{name}", COMMANDS[name].summary)
    yield from (".SH SYNOPSIS", ".nf", *map(_roff, parser.usage_words().split("\n")), ".fi")
    if parser.arguments() or parser.program is not None:
        yield ".SH ARGUMENTS"
        for one in parser.arguments():
            yield from (".TP", rf"\fI{_roff(value_of(one) or one.dest)}\fR", _roff(_help(parser, one)))
        if parser.program is not None:
            yield from (".TP", r"\fB\-\-\fR \fICOMMAND\fR ...", _roff(parser.program.help))
    yield ".SH OPTIONS"
    for one in parser.options():
        value = value_of(one)
        spelled = [
            rf"\fB{_roff(text)}\fR" + (rf" \fI{_roff(value)}\fR" if value else "")
            for text in one.option_strings
        ]
        yield from (".TP", ", ".join(spelled), _roff(_help(parser, one)))
    if parser.epilog:
        yield from (".SH NOTES", _roff(" ".join(parser.epilog.split())))
    yield ".SH EXAMPLES"
    for number, (says, line) in enumerate(parser.examples):
        shown = (rf"\fB{_roff(one)}\fR" for one in command_lines(line, 70))
        yield from (*[".PP"][:number], _roff(says), ".RS", ".nf", *shown, ".fi", ".RE")
    yield from (
        ".SH EXIT STATUS",
        "0 fine; 1 findings, or a reject; 2 unusable input, or not modelled; 3 a bug.",
    )
    yield from (".SH SEE ALSO", r"\fBvmstate\fR(1)", "")


_SIGNS = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "^": r"\(ha",
    "~": r"\(ti",
    "`": r"\(ga",
    "…": "...",
    "→": "->",
    "×": "x",
}


def _roff(text: str) -> str:
    """Return a text as troff reads it literally."""
    line = "".join(_SIGNS.get(sign, sign) for sign in " ".join(text.split()) if sign) if text.strip() else ""
    indent = len(text) - len(text.lstrip(" "))
    line = " " * indent + line
    return rf"\&{line}" if line.startswith((".", "'")) else line


if __name__ == "__main__":
    for name, text in files().items():
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
