"""The ``vmstate`` command: one module per subcommand, imported only when it is called.

Exit status: 0 success; 1 findings, or a reject; 2 unusable input, or no verdict as something is not
modelled; 3 a bug in vmstate.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

from vmstate import __version__
from vmstate.cli.commands import COMMANDS
from vmstate.cli.report import Report, Status, failure, print_report
from vmstate.cli.terminal import visible
from vmstate.errors import OutputWarning, VmstateError

_show_other_warning = warnings.showwarning
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
_NO_READER = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (by default the process's) and return the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
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
    except Exception:  # noqa: BLE001 - any exception that gets here is a bug, and is reported as one
        traceback.print_exc()
        print(
            f"this is a bug in vmstate {__version__}, please report it with the lines above", file=sys.stderr
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
    name = next((a for a in arguments if not a.startswith("-")), None)
    arguments, after = _split(name, arguments)
    try:
        options = _parser(name).parse_args(arguments)
    except SystemExit as end:  # --help, --version, a wrong option
        return end.code if isinstance(end.code, int) else Status.UNUSABLE
    if after is not None:
        options.qemu = after
    try:
        report: Report = import_module(COMMANDS[options.command].module).run(options)
        print_report(options.command, report, as_json=options.json)
    except BrokenPipeError:
        raise
    except (VmstateError, OSError) as error:  # also raised by lines that are generated while they are printed
        report = failure(error)
        print_report(options.command, report, as_json=options.json)
    return report.status


def _split(name: str | None, arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Split off the command line after ``--``, for a subcommand that takes one."""
    if name not in COMMANDS or not COMMANDS[name].before_command:
        return arguments, None
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen command's module is imported, to declare its arguments."""
    parser = argparse.ArgumentParser(
        prog="vmstate",
        description="Read, write, check, edit and judge QEMU live-migration streams.",
        epilog="exit status: 0 success; 1 findings, or a reject; 2 unusable input, or not modelled; "
        "3 a bug in vmstate",
    )
    parser.add_argument("--version", action="version", version=f"vmstate {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.summary, description=command.summary)
        subparser.add_argument("--json", action="store_true", help="write a JSON object")
        if name == chosen:
            import_module(command.module).configure(subparser)
    return parser
