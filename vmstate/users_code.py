"""Python files of users: proposals, declarations, devices.  What goes wrong in them is reported as theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vmstate.errors import ConfigurationError, VmstateError

_files: set[str] = set()


class UsersCodeError(ConfigurationError):
    """The code in a user's file failed: names the file, the line and the function."""


def run_file(path: str | Path) -> dict[str, Any]:
    """Run a file, and return the names that it defines.

    Raises UsersCodeError if it fails or calls ``sys.exit``, ConfigurationError, OSError if it cannot be read.
    """
    import runpy  # few commands run a file

    _files.add(str(path))
    with _blaming(str(path)):
        return runpy.run_path(str(path))


def run_text(path: str, text: str, name: str) -> dict[str, Any]:
    """Run the text of a file as the module ``name``, as :func:`run_file` does."""
    _files.add(path)
    made: dict[str, Any] = {"__name__": name, "__file__": path}
    with _blaming(path):
        exec(compile(text, path, "exec"), made)  # noqa: S102 - the user's own file, given to be run
    return made


def files_in_use() -> list[str]:
    """Return the users' files that were run in this process."""
    return sorted(_files)


def blamed(error: BaseException) -> UsersCodeError | None:
    """Return the error of the user's file that an exception came through; None if there is none."""
    import traceback

    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename in _files]
    if isinstance(error, SyntaxError) and error.filename in _files:
        return UsersCodeError(f"{error.filename}, line {error.lineno}: SyntaxError: {error.msg}")
    if not frames:
        return None
    last = frames[-1]
    function = "" if last.name == "<module>" else f", in {last.name}"
    return UsersCodeError(f"{last.filename}, line {last.lineno}{function}: {_what(error)}")


def _what(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, VmstateError):
        return str(error)
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def blaming() -> Iterator[None]:
    """Turn exceptions that came through a user's file into UsersCodeError, which other processes can send."""
    try:
        yield
    except (ConfigurationError, OSError):
        raise
    except (Exception, SystemExit) as error:
        theirs = blamed(error)
        if theirs is None:
            raise
        raise theirs from None


@contextmanager
def _blaming(path: str) -> Iterator[None]:
    """As :func:`blaming`, where everything that fails is the file's."""
    try:
        yield
    except (ConfigurationError, OSError):
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the file's, whatever it is
        raise blamed(error) or UsersCodeError(f"{path}: {_what(error)}") from None
