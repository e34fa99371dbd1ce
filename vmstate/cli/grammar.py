"""The grammar of all commands: options stand anywhere among arguments, and take one value or none.

argparse alone gives arguments that may be absent their default as soon as an option follows, and lets an
option with several values swallow what stands behind it.  :class:`CommandParser` therefore sorts the words
first, options with their values before arguments, and leaves the rest (types, choices, help) to argparse.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, NoReturn

from vmstate.pattern import pattern
from vmstate.similar_names import did_you_mean

_NUMBER = pattern(r"-\d+$|-\d*\.\d+$")
_WIDEST = 100  # columns of a help text


class Program(NamedTuple):
    """A program's command line, after ``--``: where it goes in the options, and its help."""

    dest: str
    help: str


class CommandParser(argparse.ArgumentParser):
    """The parser of one command.

    A module's ``configure`` declares options and arguments as with argparse.  Two things are declared with
    methods of its own: :meth:`add_program` and :meth:`keep_order`.
    """

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, formatter_class=_formatter)
        self._positionals.title = "arguments"
        self.examples: Sequence[tuple[str, str]] = ()
        self.extra = ""
        self.program: Program | None = None
        self._in_order: str | None = None

    def add_program(self, dest: str, help_text: str) -> None:
        """Declare the command line of a program: what stands after ``--``.

        Of a command without other arguments, the first word that is neither an option nor its value begins
        the program's command line, so that ``--`` may be left out.
        """
        self.program = Program(dest, help_text)

    def keep_order(self, option: str) -> None:
        """Take every argument after the first for a value of ``option``, at its place among the options."""
        self._in_order = option

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words after the command's name.  Raises SystemExit, as argparse does."""
        for argument in self.arguments():
            if argument.nargs == "*":
                argument.required = False  # argparse calls it required in its messages
        sorter = _Sorter(self, list(words))
        whole_program = self.program is not None and not self.arguments()
        options, arguments, program = sorter.sort(whole_program=whole_program, in_order=self._in_order)
        if self.program is not None and not program and not sorter.asks_for_help:
            self.error("a command line of QEMU is needed, after --")
        separated = ["--", *arguments] if arguments else []
        found, extra = self.parse_known_args([*options, *separated])
        if extra:
            self.error(f"unexpected argument: {' '.join(one for one in extra if one != '--')}")
        if self.program is not None:
            setattr(found, self.program.dest, program)
        return found

    # ---- what help, completion and the manual read

    def options(self) -> list[argparse.Action]:
        """Return the options, in the order of their declaration, without hidden ones."""
        return [one for one in self._actions if one.option_strings and one.help != argparse.SUPPRESS]

    def arguments(self) -> list[argparse.Action]:
        """Return the arguments that are no options, without a program's command line."""
        return [one for one in self._actions if not one.option_strings]

    def strings(self) -> dict[str, argparse.Action]:
        """Return each spelling of each option."""
        return {text: one for one in self._actions for text in one.option_strings}

    def usage_words(self) -> str:
        """Return the usage without its head: ``vmstate edit [OPTION …] -o OUT STREAM [CHANGE …]``."""
        if self.usage is not None:
            return self.usage % {"prog": self.prog}
        needed = [f"{one.option_strings[0]} {value_of(one)}" for one in self.options() if one.required]
        words = [self.prog, "[OPTION …]", *needed, *map(_argument, self.arguments())]
        if self.program is not None:
            words += ["--" if self.arguments() else "[--]", "COMMAND …"]
        return " ".join(words)

    def format_usage(self) -> str:
        first, *more = self.usage_words().split("\n")
        lines = [f"usage: {first}", *(f"       {line.strip()}" for line in more)]
        return "\n".join(lines) + "\n"

    def format_help(self) -> str:
        formatter = _formatter(self.prog, width() - 2)
        formatter.add_text(self.description)
        for group in self._action_groups:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)  # noqa: SLF001 - as ArgumentParser.format_help
            formatter.end_section()
        if self.program is not None:
            formatter.start_section("after --")
            formatter.add_text(self.program.help)
            formatter.end_section()
        texts = [self.format_usage(), formatter.format_help()]
        if self.epilog:
            texts.append(f"{filled(self.epilog)}\n")
        if self.extra:
            texts.append(f"{filled(extra_text(self.extra))}\n")
        if self.examples:
            texts.append("\n".join(example_lines(self.examples)) + "\n")
        return "\n".join(texts)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and how it is right, and end with status 2."""
        self.exit(2, f"{self.prog}: {message}\n{self.format_usage()}more: {self.prog} --help\n")


class _Sorter:
    """Tells options, their values and arguments apart."""

    def __init__(self, parser: CommandParser, words: list[str]) -> None:
        self._parser = parser
        self._known = parser.strings()
        self._words = words
        self.asks_for_help = False

    def sort(
        self, *, whole_program: bool, in_order: str | None
    ) -> tuple[list[str], list[str], list[str] | None]:
        """Return options, each with its value as one word, then arguments, then what stands after ``--``."""
        options: list[str] = []
        arguments: list[str] = []
        takes_program = self._parser.program is not None
        at = 0
        while at < len(self._words):
            word = self._words[at]
            at += 1
            if word == "--":
                if takes_program:
                    return options, arguments, self._words[at:]
                arguments += self._words[at:]
                break
            option = self._option(word)
            if option is None:
                if whole_program:
                    return options, arguments, self._words[at - 1 :]
                if arguments and in_order is not None:
                    options.append(f"{in_order}={word}")
                else:
                    arguments.append(word)
                continue
            action, value = option
            self.asks_for_help |= isinstance(action, argparse._HelpAction)  # noqa: SLF001 - it has no other mark
            if value is None and action.nargs is None:
                value = self._value(word, at)
                at += 1
            options.append(_joined(action, word, value))
        return options, arguments, None

    def _value(self, word: str, at: int) -> str:
        if at == len(self._words) or self._words[at] == "--":
            self._parser.error(f"{word} needs a value")
        if self._words[at] in self._known:
            self._parser.error(f"{word} needs a value, found the option {self._words[at]}")
        return self._words[at]

    def _option(self, word: str) -> tuple[argparse.Action, str | None] | None:
        """Return the option that a word is, and the value inside the word; None for an argument."""
        if not word.startswith("-") or word == "-":
            return None
        if word in self._known:
            return self._known[word], None
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            matching = {id(one): one for text, one in self._known.items() if text.startswith(name)}
            if name in self._known:
                return self._known[name], value if equals else None
            if len(matching) == 1:
                return next(iter(matching.values())), value if equals else None
            if len(matching) > 1:
                names = ", ".join(sorted(text for text in self._known if text.startswith(name)))
                self._parser.error(f"{name} may be one of {names}")
        elif word[:2] in self._known and f"-{name}" not in self._known:
            return self._known[word[:2]], word[2:]
        if " " in word or _NUMBER.match(word):
            return None
        return self._parser.error(f"no option {name}{did_you_mean(name, self._known)}")


def _joined(action: argparse.Action, word: str, value: str | None) -> str:
    """Return an option and its value as one word, whatever the value begins with."""
    if value is None:
        return word
    name = long_name(action)
    return f"{name}={value}" if name.startswith("--") else f"{name}{value}"


def long_name(action: argparse.Action) -> str:
    """Return the long spelling of an option: ``--output`` of ``-o, --output``."""
    return next((one for one in action.option_strings if one.startswith("--")), action.option_strings[0])


def value_of(action: argparse.Action) -> str:
    """Return the name of an option's value: ``OUT``; ``both|old`` of choices; empty if it takes none."""
    if action.nargs == 0:
        return ""
    if action.metavar is None and action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _argument(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "*": f"[{name} …]", "+": f"{name} …"}.get(str(action.nargs), name)


# ---- help texts


def width() -> int:
    """Return the columns of a help text on this terminal."""
    from shutil import get_terminal_size  # imports bz2 and lzma

    return min(get_terminal_size().columns, _WIDEST)


def _formatter(prog: str, width: int = _WIDEST) -> argparse.HelpFormatter:
    """Return a formatter; argparse makes one for each option that is declared, of any width."""
    return argparse.HelpFormatter(prog, max_help_position=26, width=width)


def filled(text: str) -> str:
    """Return a text, filled."""
    from textwrap import fill

    return fill(text, width() - 2)


def extra_text(extra: str) -> str:
    """Return what must be installed for a command."""
    return f"A real QEMU or its program is read with: pip install 'qemu-vmstate[{extra}]'."


def example_lines(examples: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield examples as a help text has them: what each does, and the command line below."""
    yield "examples:"
    for says, command in examples:
        yield f"  # {says}"
        yield from (f"  {line}" for line in command_lines(command, 76))


def command_lines(command: str, columns: int) -> Iterator[str]:
    """Yield a shell's command line, continued with a backslash where it is too long."""
    line = ""
    for word in re.findall(r"(?:'[^']*'|\S)+", command):
        if line and len(line) + 1 + len(word) > columns - 2:
            yield f"{line} \\"
            line = f"    {word}"
        else:
            line = f"{line} {word}" if line else word
    yield line
