"""``vmstate edit``: set fields, remove and add subsections; every other byte stays the same."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vmstate.cli.common_options import add_limit
from vmstate.cli.grammar import CommandParser
from vmstate.cli.report import Report
from vmstate.errors import ConfigurationError, naming
from vmstate.front.known import known_meanings
from vmstate.front.opening import open_stream_file
from vmstate.outputs import Buffer, new_folder, save
from vmstate.stream.multifd.folder import Files, files_of
from vmstate.tree.changes import Changes
from vmstate.tree.typed_changes import apply

_EPILOG = """\
changes: PATH=VALUE sets a field (numbers in any base, names of levels and processors, hex:… and text:…),
PATH[3]=VALUE an element, PATH[*]=VALUE every element of an array, PATH=1,2,3,… all of them one by one;
--remove PATH removes a section, subsection or footer; +PATH=VALUE adds the subsection in the path,
with that field set and zeros elsewhere; +PATH@VERSION=BYTES adds a subsection of raw bytes.
Changes are applied in order."""


class _Change(argparse.Action):
    """Collects options and arguments in one list, in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        given = [values] if isinstance(values, str) else list(values or ())
        sign = {"--remove": "-", "--add": "+", "--set": ""}.get(option_string or "", "")
        changes = [*(getattr(namespace, "changes", None) or ()), *(sign + one for one in given)]
        namespace.changes = changes


EXAMPLES = (
    ("set a field", "vmstate edit guest.mig 'cpu[0]/compat.compat_pvr=power9' -o edited.mig"),
    (
        "remove a section, and set two fields",
        "vmstate edit guest.mig -o edited.mig --remove timer 'cpu[0].gpr[3]=1' cpu.nip=0x100",
    ),
    ("add a subsection", "vmstate edit guest.mig -o edited.mig '+spapr/cap/htm.mig.caps[0x00]=1'"),
)


def configure(parser: CommandParser) -> None:
    """Declare the arguments."""
    parser.epilog = _EPILOG
    parser.add_argument("stream", metavar="STREAM", help='a stream; "-" is the standard input')
    parser.add_argument("changes", metavar="CHANGE", nargs="*", action=_Change, help="a change, see below")
    parser.add_argument("--set", metavar="PATH=VALUE", action=_Change, help="set a field")
    parser.add_argument("--remove", metavar="PATH", action=_Change, help="remove a section or subsection")
    parser.add_argument("--add", metavar="PATH=VALUE", action=_Change, help="add a subsection")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help='the file to write; "-" is the standard output; if STREAM is a folder with the channels of a '
        "migration, FOLDER/ is a new one like it",
    )
    parser.keep_order("--set")
    parser.add_argument("--bare", action="store_true", help="write the bare stream, without its containers")
    add_limit(parser)


def run(options: argparse.Namespace) -> Report:
    """Apply the changes and write the stream, in the same containers."""
    if not options.changes:
        raise ConfigurationError("nothing to change: give PATH=VALUE, --remove PATH or --add PATH=VALUE")
    files = _channels(options)
    source = options.stream if files is None else files.main
    given = open_stream_file(source, limit=options.limit)
    changes = Changes(given.contents, known_meanings())
    with naming(options.stream):
        values = sum(apply(changes, change) for change in options.changes)
    chunks = changes.chunks()
    size = len(changes.edit)
    chunks = chunks if options.bare else given.opened.rewrap(chunks)
    written = save(options.output, chunks) if files is None else _save(files, options.output, chunks)
    result = {"changes": options.changes, "values": values, "stream_bytes": size, "bytes": written}
    before = len(given.stream.data)
    changed = "1 change" if len(options.changes) == 1 else f"{len(options.changes)} changes"
    if values > len(options.changes):
        changed += f" of {values} values"
    line = f"{changed}; {before} bytes of stream, now {size}; {written} bytes written"
    return Report([line], result, given.findings, output_taken=options.output == "-")


def _channels(options: argparse.Namespace) -> Files | None:
    """Return the channels to write again; None if one stream is to be written."""
    if not options.output.endswith("/"):
        return None
    if not Path(options.stream).is_dir():
        raise ConfigurationError(f"{options.output} is a folder, {options.stream} is not one of channels")
    return files_of(options.stream, limit=options.limit)


def _save(files: Files, output: str, main: Iterable[Buffer]) -> int:
    """Write the main channel, and the others as they are, to a new folder; return the main one's size."""
    with new_folder(output) as folder:
        for file in files.others:
            shutil.copyfile(file, folder / file.name)
        return save(folder / files.main.name, main)
