"""The process of a command: it ends at once, and yet does all that a process does at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (
    "import sys; from vmstate.__main__ import command; sys.argv[1:] = {words!r}; {before}; exit(command())"
)


def ended(
    *words: str, before: str = "pass", options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(words=list(words), before=before)
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "status"),
    [(["releases"], 0), (["verify", __file__], 2), (["no-such-command"], 2), (["releases", "--help"], 0)],
    ids=["fine", "unusable", "no command", "help"],
)
def test_the_status_and_the_whole_output_come_out(words, status):
    done = ended(*words)
    module = subprocess.run(
        [sys.executable, "-m", "vmstate", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == module.returncode == status
    assert (done.stdout, done.stderr) == (module.stdout, module.stderr)
    assert done.stdout or done.stderr


def test_what_is_registered_for_the_end_is_done():
    done = ended("releases", before="import atexit; atexit.register(print, 'the end')")
    assert done.stdout.endswith("\nthe end\n")


def test_python_frees_nothing_at_the_end():
    kept = "import types; K = type('K', (), {'__del__': lambda self: print('freed')}); types.kept = K()"
    assert "freed" not in ended("releases", before=kept).stdout


def test_a_thread_that_goes_on_is_waited_for():
    late = (
        "import threading; main = threading.main_thread();"
        "threading.Thread(target=lambda: (main.join(), print('late'))).start()"
    )
    done = ended("releases", before=late)
    assert (done.returncode, done.stdout.endswith("late\n")) == (0, True)


def test_a_profiler_gets_the_end():
    done = subprocess.run(
        [sys.executable, "-m", "cProfile", "-m", "vmstate", "releases"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "function calls" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_an_error_as_ever():
    code = COMMAND.format(words=["releases"], before="pass")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=buffered,
        )
    assert (done.returncode, done.stderr) == (
        2,
        "vmstate: cannot write the output: No space left on device\n",
    )
