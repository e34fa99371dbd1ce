"""``vmstate matrix``: migrate between all releases, for many machine types, processors and modes."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from vmstate.cli.common_options import add_workers, workers_of
from vmstate.cli.expecting import add_junit
from vmstate.cli.report import Report
from vmstate.cli.terminal import Style, announce_pairs, progress
from vmstate.cli.with_option import add_with
from vmstate.junit import junit
from vmstate.matrix.baseline import Baseline, Change, Compared
from vmstate.matrix.cells import Kind
from vmstate.matrix.judging import MatrixQuestion, Ways
from vmstate.matrix.junit import suites
from vmstate.matrix.matrix import Cause, Grid, Matrix, Pair, make_matrix
from vmstate.outputs import save, save_text
from vmstate.pages.matrix_page import matrix_page
from vmstate.proposals.chosen_set import ChosenSet

_COLOURS = {
    Kind.ACCEPT: "green",
    Kind.WARN: "yellow",
    Kind.REJECT: "red",
    Kind.CRASH: "red",
    Kind.STALLED: "red",
    Kind.REFUSED: "dim",
    Kind.NOT_MODELLED: "cyan",
}
_BAD = {Kind.REJECT, Kind.CRASH, Kind.STALLED}
_SHOWN = 12  # causes, and grids, shown without --all


EXAMPLES = (
    ("two releases, one machine type", "vmstate matrix --releases 7.2,10.0 --machine pseries-7.2"),
    (
        "old types, on a page to look through",
        "vmstate matrix --machine 'pseries-2.1*' --releases 2.9..2.12 --html matrix.html",
    ),
    (
        "keep it, to compare with the next one",
        "vmstate matrix --releases 7.2 --machine pseries-7.2 --json > old.json",
    ),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "exit status: 0 every pair that starts on both sides is accepted (with --baseline: no verdict "
        "changed); 1 otherwise; 2 some cannot be judged; 130 interrupted: the report covers what was done "
        "until then"
    )
    for name, what in (
        ("machine", "machine types, or patterns: 'pseries-7.2,pseries-9.*' (default: all)"),
        ("releases", "7.2..11.1, 2.11, 10.0.2, 4.2+NAME (default: the newest of each line)"),
        ("cpu", "processors under TCG; 'default' is that of the machine type"),
        ("ic-mode", "interrupt modes: default, xics, xive, dual"),
        ("max-cpu-compat", "compatibility modes: default, power8, …"),
        ("host", "tcg (the default), and KVM hosts (names or .toml files)"),
    ):
        parser.add_argument(f"--{name}", metavar="A,B", help=what)
    parser.add_argument(
        "--option", metavar="TEXT", action="append", default=[],
        help="more of -machine, where a release has it: 'cap-htm=off,cap-cfpc=broken'; each is one more "
        "setting ('default': nothing more)",
    )  # fmt: skip
    parser.add_argument(
        "--rest", metavar="TEXT", default=ChosenSet().rest, help="the rest of all command lines"
    )
    parser.add_argument("--guest", metavar="KERNEL", help="boot a guest on every source first: linux-6.1")
    parser.add_argument(
        "--ways", choices=[str(way) for way in Ways], default=str(Ways.BOTH),
        help="forward: only to the same or newer releases; backward: to older ones (default: both)",
    )  # fmt: skip
    parser.add_argument(
        "--html", metavar="OUT.html", help="also write a page with all pairs, to look through"
    )
    parser.add_argument(
        "--baseline", metavar="OLD.json", help="an earlier matrix, from --json: show what changed since"
    )
    add_with(parser)
    add_workers(parser, None)
    parser.add_argument("--all", action="store_true", help="show every grid and cause")
    add_junit(parser, "the pairs")


def run(options: argparse.Namespace) -> Report:
    """Judge all pairs, and show them by machine."""
    baseline = None if options.baseline is None else Baseline(Path(options.baseline))
    question = MatrixQuestion(_chosen(options), tuple(options.with_file), Ways(options.ways))
    workers = workers_of(options)
    start = time.monotonic()
    with progress("judging pairs", 1000) as tick:
        matrix = make_matrix(
            question,
            workers,
            lambda done, of: tick(1000 * done // of),
            begin=lambda pairs: announce_pairs(
                pairs, workers.processes, "fewer --releases or --machine are less"
            ),
        )
    seconds = time.monotonic() - start
    if options.junit is not None:
        save(options.junit, [junit(suites(matrix))])
    if options.html is not None:
        with progress("explaining", 1000) as tick:
            page = matrix_page(matrix, lambda done, of: tick(1000 * done // of))
        save_text(options.html, page)
    counts = matrix.counts()
    compared = None if baseline is None else baseline.compare(matrix)
    return Report(
        lines=_MatrixLines(matrix, options, seconds, compared).lines(),
        result=lambda: _result(matrix, seconds, compared),
        ok=not _BAD & counts.keys() if compared is None else not compared.changes,
        unusable=Kind.NOT_MODELLED in counts,
        interrupted=not matrix.complete,
    )


def _result(matrix: Matrix, seconds: float, compared: Compared | None) -> dict[str, object]:
    result = {**matrix.as_json(), "seconds": round(seconds, 1)}
    if compared is not None:
        changes = [change.as_json(matrix) for change in compared.changes]
        result["baseline"] = {"same": compared.same, "new": compared.new, "changes": changes}
    return result


def _chosen(options: argparse.Namespace) -> ChosenSet:
    return ChosenSet(
        releases=_values(options.releases) if options.releases else (),
        types=_values(options.machine) if options.machine else (),
        cpus=_values(options.cpu),
        hosts=_values(options.host or "tcg"),
        ic_modes=_values(options.ic_mode),
        compat_modes=_values(options.max_cpu_compat),
        options=tuple("" if text == "default" else text for text in options.option) or ("",),
        rest=options.rest,
        guest=options.guest or "",
    )


def _values(text: str | None) -> tuple[str, ...]:
    """Split a list; ``default``, and no list, stand for QEMU's default."""
    return tuple("" if value == "default" else value for value in (text or "default").split(","))


class _MatrixLines:
    """The report for people: grids of signs, those that are alike together; then the causes."""

    def __init__(
        self, matrix: Matrix, options: argparse.Namespace, seconds: float, compared: Compared | None
    ) -> None:
        self.matrix = matrix
        self.compared = compared
        self.options = options
        self.seconds = seconds
        self.paint = Style.of(sys.stdout).paint

    def lines(self) -> Iterator[str]:
        counts = self.matrix.counts()
        parts = [self.paint(_COLOURS[kind], f"{count:,} {_WORDS[kind]}") for kind, count in counts.items()]
        yield f"{sum(counts.values()):,} pairs in {self.seconds:.0f} s: {', '.join(parts) or 'none'}"
        if not self.matrix.complete:
            done, of = self.matrix.tasks
            yield self.paint("yellow", f"interrupted: {100 * done // of} % of the matrix was judged")
        if self.compared is not None:
            yield from self._changes(self.compared)
            return
        yield from self._grids()
        yield from self._causes()

    def _changes(self, compared: Compared) -> Iterator[str]:
        changed = sum(change.pairs for change in compared.changes)
        new = f", {compared.new:,} are not in the baseline" if compared.new else ""
        yield f"{changed:,} pairs have another verdict or other lines, {compared.same:,} have not{new}"
        shown = compared.changes if self.options.all else compared.changes[:_SHOWN]
        for number, change in enumerate(shown, 1):
            yield ""
            yield from self._change(number, change)
        if len(compared.changes) > len(shown):
            yield f"… and {len(compared.changes) - len(shown)} more changes (--all)"

    def _change(self, number: int, change: Change) -> Iterator[str]:
        same = change.before == change.after
        way = f"{_WORDS[change.before]}, with other lines" if same else _became(change)
        colour = "yellow" if same else "red" if change.worse else "green"
        yield self.paint(colour, f"{number}. {_pairs(change.pairs)}: {way}")
        yield from (f"     {line}" for line in change.lines)
        yield f"     {self._command(change.example)}"

    def _grids(self) -> Iterator[str]:
        groups = self.matrix.alike()
        shown = groups if self.options.all else groups[:_SHOWN]
        for group in shown:
            yield ""
            yield from (self.paint("bold", line) for line in self._heading(group))
            yield from self._grid(group[0])
        if len(groups) > len(shown):
            yield ""
            yield f"… and {len(groups) - len(shown)} more different grids (--all)"
        if groups:
            yield ""
            signs = ", ".join(f"{kind.sign} {_WORDS[kind]}" for kind in self.matrix.counts())
            yield f"rows: sources; columns: destinations, in the order of the rows; {signs}"

    def _heading(self, group: list[Grid]) -> Iterator[str]:
        """Yield a line for each mode, with its machine types; neighbours are shortened to A … B."""
        names = self.matrix.judge.chosen.types
        types: dict[str, list[int]] = {}
        for grid in group:
            types.setdefault(self.matrix.judge.modes(grid.setting), []).append(grid.setting.type)
        modes: dict[str, list[str]] = {}
        for mode, places in types.items():
            modes.setdefault(", ".join(_ranges(places, names)), []).append(mode)
        yield from (f"{these}: {'; '.join(those)}" for these, those in modes.items())

    def _grid(self, grid: Grid) -> Iterator[str]:
        """Yield the rows; releases that do not have the machine type are left out."""
        signs = self.matrix.signs(grid)
        there = [place for place, row in enumerate(signs) if row.strip()]
        width = max((len(self.matrix.programs[place]) for place in there), default=0)
        for row in there:
            cells = "".join(self._sign(int(grid.cells[row, column])) for column in there)
            yield f"  {self.matrix.programs[row]:>{width}}  {cells}"

    def _sign(self, number: int) -> str:
        kind = self.matrix.kind(number)
        return kind.sign if kind is Kind.ABSENT else self.paint(_COLOURS[kind], kind.sign)

    def _causes(self) -> Iterator[str]:
        causes = self.matrix.causes()
        shown = causes if self.options.all else causes[:_SHOWN]
        for number, cause in enumerate(shown, 1):
            yield ""
            yield from self._cause(number, cause)
        if len(causes) > len(shown):
            yield ""
            yield f"… and {len(causes) - len(shown)} more causes (--all)"

    def _cause(self, number: int, cause: Cause) -> Iterator[str]:
        head = f"{number}. {_pairs(cause.pairs)} {_WORDS[cause.kind]}"
        yield self.paint(_COLOURS[cause.kind], f"{head}: {cause.decided_by}" if cause.decided_by else head)
        yield from (f"     {line}" for line in cause.lines)
        yield f"     {self._command(cause.example)}"

    def _command(self, pair: Pair) -> str:
        words = ["vmstate", "migrate", *(f"--with {shlex.quote(file)}" for file in self.options.with_file)]
        words += ["--guest", shlex.quote(self.options.guest)] if self.options.guest else []
        return " ".join([*words, *(shlex.quote(side) for side in self.matrix.sides(pair))])


def _pairs(count: int) -> str:
    return f"{count:,} pair{'' if count == 1 else 's'}"


def _became(change: Change) -> str:
    return f"{_WORDS[change.before]} before, now {_WORDS[change.after]}"


def _ranges(places: list[int], names: Sequence[str]) -> Iterator[str]:
    """Yield the names, runs of more than two of them as ``first … last``."""
    first = 0
    for end in range(1, len(places) + 1):
        if end < len(places) and places[end] == places[end - 1] + 1:
            continue
        run = [names[place] for place in places[first:end]]
        yield from run if len(run) <= 2 else (f"{run[0]} … {run[-1]}",)
        first = end


_WORDS = {
    Kind.ACCEPT: "accepted",
    Kind.WARN: "accepted with new lines",
    Kind.REJECT: "rejected",
    Kind.CRASH: "end in a crash",
    Kind.STALLED: "wait for ever",
    Kind.REFUSED: "do not start",
    Kind.NOT_MODELLED: "cannot be judged",
}
