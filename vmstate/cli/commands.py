"""Which commands there are.  Each one's module has ``configure(parser)`` and ``run(options) -> Report``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subcommand:
    """The module that has the command, and what ``vmstate --help`` says about it."""

    module: str
    summary: str


COMMANDS: dict[str, Subcommand] = {
    "show": Subcommand("vmstate.cli.show", "the tree of sections and fields, or one thing in it"),
    "verify": Subcommand(
        "vmstate.cli.verify", "check streams: structure, description, declarations, rewriting"
    ),
    "diff": Subcommand("vmstate.cli.diff", "two streams by section and field, and guest memory by page"),
    "edit": Subcommand(
        "vmstate.cli.edit", "set, remove, add fields and subsections; all else keeps its bytes"
    ),
    "strip": Subcommand("vmstate.cli.strip", "take guest memory out of a stream"),
    "load": Subcommand("vmstate.cli.load", "let a simulated destination load a stream: what would QEMU say?"),
    "migrate": Subcommand("vmstate.cli.migrate", "a simulated migration between two command lines, or many"),
    "whatif": Subcommand("vmstate.cli.whatif", "what a proposed patch changes, over many pairs of machines"),
    "explain": Subcommand("vmstate.cli.explain", "what a line of QEMU means, or why a migration is refused"),
    "scenario": Subcommand("vmstate.cli.scenario", "questions that were argued about, each run again"),
    "fuzz": Subcommand(
        "vmstate.cli.fuzz", "changed streams against a destination: crashes, hangs, disagreements"
    ),
    "minimize": Subcommand("vmstate.cli.minimize", "the smallest recipe of changes that shows a finding"),
    "unwrap": Subcommand("vmstate.cli.unwrap", "take a stream out of what it is wrapped in"),
    "wrap": Subcommand("vmstate.cli.wrap", "compress a stream, or put it into a save image like another"),
    "capture": Subcommand("vmstate.cli.capture", "let a real QEMU save a stream"),
    "replay": Subcommand(
        "vmstate.cli.replay", "a real QEMU's verdict on a stream, and the simulated one beside it"
    ),
}
