"""Run the benchmarks in this folder and print their tables as Markdown.

    tools/bench [--smoke] [--list] [--strict] [--before REV] [--peer PATH] [--rows REGEX] [NAME…]

``--smoke`` runs all the code on the smallest inputs, to check that the benchmarks work; its figures mean
nothing.  ``--strict`` exits with status 1 when a budget is missed.  ``--before`` and ``--peer`` are for those
that compare with an earlier revision, and with the analyze-migration.py of QEMU.  ``--rows`` chooses rows of
``commands``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
NOT_BENCHMARKS = {"run", "measure"}


def available() -> list[str]:
    names = (path.stem for path in HERE.glob("*.py"))
    return sorted(name for name in names if name not in NOT_BENCHMARKS and not name.startswith("_"))


def machine() -> str:
    """Return one line about the machine."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith(("model name", "cpu\t")):
            model = line.split(":", 1)[1].strip()
            break
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} cores, {system}"


def run(name: str, *, smoke: bool) -> bool:
    """Run one benchmark and print its table.  Return True if every budget was kept."""
    from measure import markdown

    benchmark = importlib.import_module(name)
    start = time.perf_counter()
    rows = list(benchmark.rows(smoke=smoke))
    print(f"\n{markdown(benchmark.TITLE, rows)}", flush=True)
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return all(row.kept for row in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="run only these (see --list)")
    parser.add_argument(
        "--smoke", action="store_true", help="use the smallest inputs, to check that everything runs"
    )
    parser.add_argument("--strict", action="store_true", help="exit with status 1 when a budget is missed")
    parser.add_argument("--before", metavar="REV", help="a git revision to compare with")
    parser.add_argument("--peer", metavar="PATH", help="QEMU's analyze-migration.py")
    parser.add_argument("--rows", metavar="REGEX", help="of commands, only the rows that this finds")
    parser.add_argument("--quiet", action="store_true", help="omit the heading")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    options = parser.parse_args()
    unknown = set(options.names) - set(available())
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if options.list:
        print("\n".join(available()))
        return 0
    for variable, value in (
        ("VMSTATE_BENCH_BEFORE", options.before),
        ("VMSTATE_BENCH_ROWS", options.rows),
        ("ANALYZE_MIGRATION", options.peer),
    ):
        if value is not None:
            os.environ[variable] = value
    sys.path.insert(0, str(HERE))
    warning = " (smoke run: the figures mean nothing)" if options.smoke else ""
    if not options.quiet:
        print(f"## Benchmarks{warning}\n\n{machine()}", flush=True)
    names = options.names or available()
    if len(names) == 1:
        return 1 if not run(names[0], smoke=options.smoke) and options.strict else 0
    # Each in its own process: otherwise the memory of one would count for the children of the next.
    flags = [
        flag
        for flag, on in (("--smoke", options.smoke), ("--strict", options.strict), ("--quiet", True))
        if on
    ]
    status = [
        subprocess.run([sys.executable, __file__, name, *flags], check=False).returncode for name in names
    ]
    return max(status)


if __name__ == "__main__":
    raise SystemExit(main())
