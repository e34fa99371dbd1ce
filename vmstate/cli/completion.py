"""``vmstate completion``: the completion of bash, zsh or fish, made of the parsers of all commands."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Sequence

from vmstate.cli.commands import COMMANDS
from vmstate.cli.grammar import CommandParser, value_of
from vmstate.cli.parsers import command_parser
from vmstate.cli.report import Report
from vmstate.dataclass import dataclass

EXAMPLES = (
    ("of bash", "vmstate completion bash > ~/.local/share/bash-completion/completions/vmstate"),
    ("of fish", "vmstate completion fish > ~/.config/fish/completions/vmstate.fish"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "A package of the system, and pip install --prefix, put these files where the shells look for them "
        "(share/bash-completion, share/zsh, share/fish)."
    )
    parser.add_argument("shell", metavar="SHELL", choices=list(SCRIPTS), help="bash, zsh or fish")


def run(options: argparse.Namespace) -> Report:
    """Print the script."""
    text = SCRIPTS[options.shell]()
    return Report(text.splitlines(), {"shell": options.shell, "script": text})


# ---- what is completed


@dataclass(frozen=True)
class _Value:
    """The values of an option or an argument: one of these words, or a file, or (neither) any text."""

    words: tuple[str, ...] = ()
    file: bool = False


@dataclass(frozen=True)
class _Option:
    strings: tuple[str, ...]
    says: str
    value: _Value | None  # None: it takes none


@dataclass(frozen=True)
class _Command:
    name: str
    says: str
    options: tuple[_Option, ...]
    argument: _Value | None
    program: bool


_FILES = frozenset(
    {"STREAM", "FILE", "IMAGE", "OUT", "OLD", "NEW", "SOURCE", "BINARY", "PROGRAM", "DIR", "FOLDER", "RECIPE"}
)


def _commands() -> Iterator[_Command]:
    for name, command in COMMANDS.items():
        parser = command_parser(name)
        arguments = [_value(name, one) for one in parser.arguments()]
        merged = _Value(
            tuple(word for one in arguments for word in one.words), any(one.file for one in arguments)
        )
        yield _Command(
            name,
            command.summary,
            tuple(_options(name, parser)),
            merged if arguments else None,
            parser.program is not None,
        )


def _options(name: str, parser: CommandParser) -> Iterator[_Option]:
    for action in parser.options():
        value = None if action.nargs == 0 else _value(name, action)
        yield _Option(tuple(action.option_strings), str(action.help), value)


def _value(command: str, action: argparse.Action) -> _Value:
    if action.choices is not None:
        return _Value(tuple(map(str, action.choices)))
    known = _NAMES.get((command, action.dest))
    if known is not None:
        return known()
    name = value_of(action)
    if name.partition(".")[2] or name in _FILES or (command == "show" and name == "PATH"):
        return _Value(file=True)
    return _Value()


def _of_topics() -> _Value:
    from vmstate.cli.help import topics

    return _Value((*COMMANDS, *topics()))


def _of_releases() -> _Value:
    from vmstate.pseries.catalogue import CATALOGUE

    return _Value(tuple(f"{one.line[0]}.{one.line[1]}" for one in sorted(CATALOGUE.newest)))


def _of_types() -> _Value:
    from vmstate.pseries.catalogue import CATALOGUE

    return _Value(("pseries", *(one.name for one in CATALOGUE.machine_types)))


def _of_capabilities() -> _Value:
    from vmstate.pseries.catalogue import CATALOGUE

    return _Value(tuple(one.property_name for one in CATALOGUE.capabilities))


def _of_cpus() -> _Value:
    from vmstate.pseries.catalogue import CATALOGUE

    cpus = CATALOGUE.binary(max(CATALOGUE.newest)).cpus.values()
    return _Value(tuple(name for cpu in cpus for name in (cpu.name, *cpu.aliases)))


def _of_hosts() -> _Value:
    from vmstate.pseries.tables.accelerators import shipped_hosts

    return _Value(tuple(shipped_hosts()), file=True)


def _of_scenarios() -> _Value:
    from vmstate.scenarios.files import shipped_scenarios

    return _Value(tuple(path.stem for path in shipped_scenarios()), file=True)


def _of_proposals() -> _Value:
    from vmstate.proposals.files import shipped_proposals

    return _Value(tuple(one.name for one in shipped_proposals()), file=True)


#: What else than a file is known of a value: by command and destination.
_NAMES: dict[tuple[str, str], Callable[[], _Value]] = {
    ("help", "topic"): _of_topics,
    ("releases", "release"): _of_releases,
    ("machine", "release"): _of_releases,
    ("device", "release"): _of_releases,
    ("capability", "release"): _of_releases,
    ("cpu", "release"): _of_releases,
    ("capability", "name"): _of_capabilities,
    ("cpu", "name"): _of_cpus,
    ("machine", "type"): _of_types,
    ("host", "hosts"): _of_hosts,
    ("scenario", "names"): _of_scenarios,
    ("whatif", "proposal"): _of_proposals,
}


# ---- the shells


def bash() -> str:
    """Return the script for bash."""
    lines = [
        "# bash completion for vmstate: made by `vmstate completion bash`",
        "_vmstate() {",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= program= i",
        "    local words= files= options=",
        "    COMPREPLY=()",
        "    [[ $cur == = ]] && cur=",
        "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}",
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        "        case ${COMP_WORDS[i]} in",
        "            --) program=yes; break ;;",
        "            -*) ;;",
        "            *) [[ $command ]] || command=${COMP_WORDS[i]} ;;",
        "        esac",
        "    done",
        "    if [[ $program ]]; then",
        "        compopt -o filenames 2>/dev/null",
        '        COMPREPLY=($(compgen -c -f -- "$cur"))',
        "        return",
        "    fi",
        "    case $command in",
        f'        "") words={_words((*COMMANDS, "--help", "--version"))} ;;',
    ]
    for command in _commands():
        lines += _bash_command(command)
    lines += [
        "    esac",
        "    [[ $cur == -* ]] && words=$options files=",
        '    COMPREPLY=($(compgen -W "$words" -- "$cur"))',
        "    if [[ $files ]]; then",
        "        compopt -o filenames 2>/dev/null",
        '        COMPREPLY+=($(compgen -f -- "$cur"))',
        "    fi",
        "}",
        "complete -F _vmstate vmstate",
    ]
    return "\n".join(lines) + "\n"


def _words(words: Sequence[str]) -> str:
    return shlex.quote(" ".join(words))


def _bash_command(command: _Command) -> Iterator[str]:
    strings = [text for option in command.options for text in option.strings]
    yield f"        {command.name})"
    yield f"            options={_words(strings)}"
    yield "            case $prev in"
    for option in command.options:
        if option.value is not None:
            files = " files=yes" if option.value.file else ""
            names = "|".join(option.strings)
            yield f"                {names}) words={_words(option.value.words)}{files} options= ;;"
    argument = command.argument or _Value()
    words = argument.words or (() if argument.file else tuple(strings))
    yield f"                *) words={_words(words)}{' files=yes' if argument.file else ''} ;;"
    yield "            esac ;;"


def zsh() -> str:
    """Return the script for zsh."""
    lines = [
        "#compdef vmstate",
        "# zsh completion for vmstate: made by `vmstate completion zsh`",
        "_vmstate() {",
        "    local context state line curcontext=$curcontext",
        "    local -a commands",
        "    _arguments -C '--help[the overview]' '--version[the version]' \\",
        "        '1:command:->command' '*::word:->words'",
        "    case $state in",
        "        command)",
        "            commands=(",
        *(f"                {_zsh_quoted(f'{name}:{one.summary}')}" for name, one in COMMANDS.items()),
        "            )",
        "            _describe command commands ;;",
        "        words)",
        "            case $words[1] in",
    ]
    for command in _commands():
        lines.append(f"                {command.name})")
        specs = [*map(_zsh_option, command.options)]
        if command.argument is not None:
            specs.append(f"*:argument:{_zsh_value(command.argument)}")
        if command.program:
            specs.append("*:::program:_normal")
            specs = [one for one in specs if not one.startswith("*:argument")] + [
                one.replace("*:", "1:", 1) for one in specs if one.startswith("*:argument")
            ]
        lines.append("                    _arguments -S \\")
        lines += [f"                        {_zsh_quoted(one)} \\" for one in specs[:-1]]
        lines.append(f"                        {_zsh_quoted(specs[-1])} ;;")
    lines += [
        "            esac ;;",
        "    esac",
        "}",
        'if [[ $funcstack[1] == _vmstate ]]; then _vmstate "$@"; else compdef _vmstate vmstate; fi',
    ]
    return "\n".join(lines) + "\n"


def _zsh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_option(option: _Option) -> str:
    says = option.says.replace("%%", "%")
    for sign in ("\\", "[", "]", ":"):
        says = says.replace(sign, f"\\{sign}")
    value = "" if option.value is None else f":value:{_zsh_value(option.value)}"
    names = option.strings[-1]
    return f"*{names}[{says}]{value}"


def _zsh_value(value: _Value) -> str:
    if value.words and not value.file:
        return f"({' '.join(value.words)})"
    return "_files" if value.file else " "


def fish() -> str:
    """Return the script for fish."""
    lines = [
        "# fish completion for vmstate: made by `vmstate completion fish`",
        "complete -c vmstate -f",
        "complete -c vmstate -n __fish_use_subcommand -l help -d 'the overview'",
        "complete -c vmstate -n __fish_use_subcommand -l version -d 'the version'",
    ]
    for command in _commands():
        says = _fish_quoted(command.says)
        lines.append(f"complete -c vmstate -n __fish_use_subcommand -a {command.name} -d {says}")
        start = f"complete -c vmstate -n '__fish_seen_subcommand_from {command.name}'"
        argument = command.argument
        if argument is not None and argument.words:
            lines.append(f"{start} -a {_fish_quoted(' '.join(argument.words))}")
        if command.program or (argument is not None and argument.file):
            lines.append(f"{start} -F")
        lines += [f"{start} {_fish_option(option)}" for option in command.options]
    return "\n".join(lines) + "\n"


def _fish_option(option: _Option) -> str:
    words = [f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.strings]
    if option.value is not None:
        words.append("-r -F" if option.value.file else "-x")
        if option.value.words:
            words.append(f"-a {_fish_quoted(' '.join(option.value.words))}")
    return " ".join([*words, "-d", _fish_quoted(option.says.replace("%%", "%"))])


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
