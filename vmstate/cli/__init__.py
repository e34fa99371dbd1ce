"""The ``vmstate`` command: one module per subcommand, imported only when it is called.

Exit status: 0 success; 1 findings, or a reject; 2 unusable input, or no verdict as something is not
modelled; 3 a bug in vmstate.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TextIO

from vmstate import __version__
from vmstate.cli.commands import COMMANDS, Group
from vmstate.cli.parsers import command_parser
from vmstate.cli.report import Report, Status, failure, print_report
from vmstate.cli.shrunk_files import report_shrunk_files
from vmstate.cli.terminal import set_quiet, visible
from vmstate.cli.unreadable import unreadable
from vmstate.errors import OutputWarning, VmstateError
from vmstate.similar_names import did_you_mean
from vmstate.users_code import blamed, files_in_use

_show_other_warning = warnings.showwarning
GARBAGE = 100_000  # objects between two garbage collections: small commands need none, large trees few
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_NO_READER = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    before = gc.get_threshold()
    gc.set_threshold(GARBAGE, *before[1:])
    try:
        return _guarded(arguments)
    finally:
        gc.set_threshold(*before)


def _guarded(arguments: list[str]) -> int:
    _open_closed_streams()
    warnings.showwarning = _show_warning
    try:
        status = _main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output is gone
        _give_up_output()
        return _NO_READER
    except OSError as error:  # such as a full disk; errors of the input were reported before
        _give_up_output()
        print(f"vmstate: cannot write the output: {error.strerror or error}", file=sys.stderr)
        return Status.UNUSABLE
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED
    except (Exception, SystemExit):  # noqa: BLE001 - what gets here is a bug, and is reported as one
        import traceback

        traceback.print_exc()
        theirs = files_in_use()
        where = f", or in {', '.join(theirs)}; if not there," if theirs else ","
        print(
            f"this is a bug in vmstate {__version__}{where} please report it with the lines above",
            file=sys.stderr,
        )
        return Status.BUG
    return status


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed, so that no other file gets their numbers."""
    for number, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning about an output in one line, and others as Python does."""
    if issubclass(category, OutputWarning):
        print(visible(f"vmstate: warning: {message}", coloured=False), file=sys.stderr)
    else:
        _show_other_warning(message, category, filename, lineno, file, line)


def _give_up_output() -> None:
    """Discard the output that Python flushes at exit, which would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _main(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(
            stream, "reconfigure"
        ):  # strings of a guest may hold characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    name, words = _split(arguments)
    if name is None:
        return _without_command(words)
    if name not in COMMANDS:
        return _wrong(f"no command {name!r}", name, COMMANDS)
    try:
        options = command_parser(name).read(words)
    except SystemExit as end:  # --help, a wrong option
        return end.code if isinstance(end.code, int) else Status.UNUSABLE
    set_quiet(quiet=options.quiet)
    if COMMANDS[name].group not in (Group.FACTS, Group.HELP):
        report_shrunk_files(Status.UNUSABLE)
    try:
        report: Report = import_module(COMMANDS[name].module).run(options)
        print_report(name, report, as_json=options.json, quiet=options.quiet)
    except BrokenPipeError:
        raise
    except (Exception, SystemExit) as error:  # also raised by lines that are generated while they are printed
        theirs = error if isinstance(error, VmstateError | OSError) else unreadable(error) or blamed(error)
        if theirs is None:
            raise
        report = failure(theirs)
        print_report(name, report, as_json=options.json, quiet=options.quiet)
    return report.status


def _split(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the command's name, and the other words: options before the name are the command's too."""
    at = next((place for place, word in enumerate(arguments) if not word.startswith("-")), None)
    if at is None:
        return None, arguments
    return arguments[at], [*arguments[:at], *arguments[at + 1 :]]


def _without_command(words: list[str]) -> int:
    """Answer ``vmstate``, ``vmstate --help`` and ``vmstate --version``."""
    known = {"--help", "-h", "--version", "-V"}
    unknown = next((word for word in words if word not in known), None)
    if unknown is not None:
        return _wrong(f"no option {unknown} without a command", unknown, known)
    if {"--version", "-V"} & set(words):
        print(f"vmstate {__version__}")
        return Status.FINE
    from vmstate.cli.overview import overview_lines

    print("\n".join(overview_lines()))
    return Status.FINE if words else Status.UNUSABLE  # a script that lost its arguments must not pass


def _wrong(text: str, name: str, known: Iterable[str]) -> int:
    print(f"vmstate: {text}{did_you_mean(name, known)}", file=sys.stderr)
    print("vmstate help lists the commands, vmstate help COMMAND shows one", file=sys.stderr)
    return Status.UNUSABLE
